"""The time that routes take, altogether or the longest of them."""

from collections import defaultdict
from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.schedule import schedule
from nco.envs.checking.view import InstanceView
from nco.envs.constraint import never
from nco.envs.objective import Objective
from nco.envs.resources.clock import Clock
from nco.envs.visits.base import Visits


class Duration(Objective):
    """
    The sum over all routes of the least time that they can take.

    Travel, divided by the speed of the vehicle, services, and waiting that no later departure
    avoids; see `nco.envs.resources.clock` for the attributes. In double precision.

    Parameters
    ----------
    release
        Whether routes wait for the ``release_time`` of their nodes' goods.
    """

    additive = True

    def __init__(self, release: bool = False):
        self.release = release
        self.reads = ("release_time",) if release else ()

    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        durations, _ = route_durations(instance, visits, actions, self.release)
        return durations.sum(-1)

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        return sum(_plain_durations(instance, routes, False, self.release).values(), 0.0)


class Makespan(Objective):
    """
    The time of the route that takes longest (min-max mTSP, min-max HCVRP).

    Parameters
    ----------
    trips
        Whether the routes of a depot node are trips of one vehicle, whose times add up.
    release
        See `Duration`.
    """

    additive = False

    def __init__(self, trips: bool = False, release: bool = False):
        self.trips, self.release = trips, release
        self.reads = ("release_time",) if release else ()

    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        durations, vehicle = route_durations(instance, visits, actions, self.release)
        if not self.trips:
            return durations.amax(-1)
        each = durations.new_zeros(*durations.shape[:2], num_depots(instance))
        return each.scatter_add(-1, vehicle, durations).amax(-1)

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        durations = _plain_durations(instance, routes, self.trips, self.release)
        return max(durations.values(), default=0.0)


class _Stopwatch(Clock):
    """A clock that forbids nothing."""

    flexible = True

    def __init__(self, release: bool):
        self.release = release

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return never(instance)

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        return []


def route_durations(
    instance: TensorDict, visits: Visits, actions: Tensor, release: bool
) -> tuple[Tensor, Tensor]:
    """
    The least time of every route, and its depot node, each ``[B, R, T]``: 0 but where a route ends.
    """
    clock = _Stopwatch(release)
    tables = clock.tables(instance)
    state = visits.reset(instance, actions.shape[1])
    state.tables.update(tables)
    state.parts.update(clock.reset(instance, actions.shape[1]))
    found, vehicles = [], []
    for action in actions.unbind(-1):
        ends = (action < num_depots(instance)) & (state.current >= num_depots(instance))
        found.append(torch.where(ends, clock.least(state), 0))
        vehicles.append(state.first.clamp_min(0))
        parts = clock.update(state, action)
        state = visits.step(state, action)
        state.parts.update(parts)
    return torch.stack(found, -1), torch.stack(vehicles, -1)


def _plain_durations(
    instance: TensorDict, routes: Sequence[Route], trips: bool, release: bool
) -> dict[int, float]:
    """The least time of every route, or of all trips of a vehicle."""
    plain, found = InstanceView(instance), defaultdict[int, float](float)
    for k, route in plain.known(routes):
        duration = schedule(plain, route, release).duration / plain.time_steps
        found[route.vehicle if trips else k] += duration
    return found
