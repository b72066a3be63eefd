"""How solvers that know only vehicles and depots see each shape of solution."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.instance import num_depots, num_nodes
from nco.envs import Route
from nco.envs.checking.routes import drop_empty
from nco.envs.visits.base import Visits
from nco.envs.visits.depot_routes import DepotRoutes, is_open
from nco.envs.visits.fleet_routes import FleetRoutes
from nco.envs.visits.optional_tour import OptionalTour
from nco.envs.visits.tour import Tour
from nco.solvers.model.scaling import distances


@dataclass(frozen=True)
class VehicleModel:
    """
    One shape of solution as routes of vehicles between depots.

    Parameters
    ----------
    depots
        Nodes where vehicles start and end. Each stands for a kind of vehicle, too.
    customers
        Nodes to visit, in order.
    vehicles
        Vehicles of each kind: as many as any solution can use, as far as visits are concerned.
    enter
        Turns routes of the environment into routes with depots, one for each vehicle used.
    leave
        The inverse: what the vehicles drove (empty routes, too), as routes of the
        environment.
    open
        Whether the way back to the depot is not driven: then it costs nothing.
    optional
        Whether customers may be left out.
    """

    depots: tuple[int, ...]
    customers: tuple[int, ...]
    vehicles: int
    enter: Callable[[Sequence[Route]], Sequence[Route]]
    leave: Callable[[Sequence[Route]], Sequence[Route]]
    open: bool = False
    optional: bool = False

    def distances(self, instance: TensorDict) -> NDArray[np.float64]:
        """`nco.solvers.model.scaling.distances`, without a way back where routes are open."""
        return self.without_return(distances(instance))

    def without_return(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """A matrix of legs, with nothing to drive to the depots if routes end on the way."""
        if self.open:
            matrix[:, list(self.depots)] = 0
        return matrix


def _tour(visits: Visits, instance: TensorDict) -> VehicleModel:
    """One vehicle, with node 0 for a depot: a closed tour may begin anywhere."""
    return VehicleModel((0,), tuple(range(1, num_nodes(instance))), 1, _cut, _close)


def _cut(routes: Sequence[Route]) -> Sequence[Route]:
    (route,) = routes
    begin = route.visits.index(0)
    return [Route((*route.visits[begin + 1 :], *route.visits[:begin]))]


def _close(routes: Sequence[Route]) -> Sequence[Route]:
    return [Route((0, *route.visits), start=None, end=None) for route in routes]


def _routes(visits: Visits, instance: TensorDict, vehicles: int | None = None) -> VehicleModel:
    """Routes from depot nodes. A vehicle for each customer is enough: none has to be empty."""
    depots, nodes = num_depots(instance), num_nodes(instance)
    customers = tuple(range(depots, nodes))
    if vehicles is None:
        vehicles = max(1, len(customers))
    stays = is_open(instance)
    enter, leave = (_bring_home, _leave_out) if stays else (drop_empty, drop_empty)
    return VehicleModel(
        tuple(range(depots)), customers, vehicles, enter, leave, stays, visits.optional
    )


def _bring_home(routes: Sequence[Route]) -> Sequence[Route]:
    return [replace(route, end=route.start) for route in drop_empty(routes)]


def _leave_out(routes: Sequence[Route]) -> Sequence[Route]:
    return [replace(route, end=None) for route in drop_empty(routes)]


SHAPES: dict[type[Visits], Callable[[Visits, TensorDict], VehicleModel]] = {
    Tour: _tour,
    DepotRoutes: _routes,
    FleetRoutes: _routes,
    OptionalTour: partial(_routes, vehicles=1),
}
