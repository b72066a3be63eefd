"""How solvers that know only vehicles and depots see each shape of solution."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.instance import num_nodes
from nco.envs import Route
from nco.envs.base import Visits
from nco.envs.optional_tour import OptionalTour
from nco.envs.routes import drop_empty
from nco.envs.visits import DepotRoutes, Tour, is_open
from nco.solvers.scaling import distances


@dataclass(frozen=True)
class Shape:
    """
    One shape of solution as routes of vehicles between depots.

    Parameters
    ----------
    depots
        Nodes where vehicles start and end.
    customers
        Nodes to visit, in order.
    vehicles
        Vehicles at each depot: as many as any solution can use.
    enter
        Turns routes of the environment into routes with depots, one for each vehicle used.
    leave
        The inverse: what the vehicles drove (also those that visit nobody), as routes of the
        environment.
    open
        Whether the way back to the depot is not driven: then it costs nothing.
    """

    depots: tuple[int, ...]
    customers: tuple[int, ...]
    vehicles: int
    enter: Callable[[Sequence[Route]], Sequence[Route]]
    leave: Callable[[Sequence[Route]], Sequence[Route]]
    open: bool = False

    def distances(self, instance: TensorDict) -> NDArray[np.float64]:
        """`nco.solvers.scaling.distances`, with nothing to drive where routes end on the way."""
        matrix = distances(instance)
        if self.open:
            matrix[:, list(self.depots)] = 0
        return matrix


def _tour(instance: TensorDict) -> Shape:
    """One vehicle, with node 0 for a depot: a closed tour may begin anywhere."""
    return Shape((0,), tuple(range(1, num_nodes(instance))), 1, _cut, _close)


def _cut(routes: Sequence[Route]) -> Sequence[Route]:
    (route,) = routes
    begin = route.visits.index(0)
    return [Route((*route.visits[begin + 1 :], *route.visits[:begin]))]


def _close(routes: Sequence[Route]) -> Sequence[Route]:
    return [Route((0, *route.visits), start=None, end=None) for route in routes]


def _depot_routes(instance: TensorDict) -> Shape:
    """A vehicle for each customer is always enough: no route needs to be empty."""
    customers = tuple(range(1, num_nodes(instance)))
    vehicles = max(1, len(customers))
    if is_open(instance):
        return Shape((0,), customers, vehicles, _bring_home, _leave_out, open=True)
    return Shape((0,), customers, vehicles, drop_empty, drop_empty)


def _bring_home(routes: Sequence[Route]) -> Sequence[Route]:
    return [replace(route, end=route.start) for route in drop_empty(routes)]


def _leave_out(routes: Sequence[Route]) -> Sequence[Route]:
    return [replace(route, end=None) for route in drop_empty(routes)]


def _optional_tour(instance: TensorDict) -> Shape:
    """One vehicle, which may stay at home."""
    return replace(_depot_routes(instance), vehicles=1)


SHAPES: dict[type[Visits], Callable[[TensorDict], Shape]] = {
    Tour: _tour,
    DepotRoutes: _depot_routes,
    OptionalTour: _optional_tour,
}
