"""What every solver returns: checked routes with their cost, and ``.sol`` files of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tensordict import TensorDict

from nco.data.formats import FileInstance, read_vehicle_routes, write_solution
from nco.data.instance import num_depots, num_nodes
from nco.envs import RoutingEnv
from nco.envs.checking.routes import Route, Violation, drop_empty


@dataclass(frozen=True)
class Solution:
    """
    A finished solution of one instance. Built by `judge`, so that it is always a checked one.

    Parameters
    ----------
    routes
        The routes that are not empty; none if the solver found none.
    cost
        By the instance's own metric and rounding; infinite without routes where some are needed.
    violations
        Every broken rule that the independent checker found.
    seconds
        Wall time of the solver.
    solver
        Name and version.
    trace
        (seconds, cost) of each improvement, where the solver tells.
    """

    routes: tuple[Route, ...]
    cost: float
    violations: tuple[Violation, ...]
    seconds: float
    solver: str
    trace: tuple[tuple[float, float], ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether the checker found nothing wrong."""
        return not self.violations


def judge(
    env: RoutingEnv,
    instance: TensorDict,
    routes: Sequence[Route],
    seconds: float,
    solver: str,
    trace: Sequence[tuple[float, float]] = (),
) -> Solution:
    """
    Checks routes with the independent checker and recomputes their cost.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).
    routes
        What the solver found; none if it found nothing.
    seconds, solver, trace
        See `Solution`.
    """
    kept = drop_empty(routes)
    found = tuple(env.check(instance, kept))
    broken_nodes = any(violation.rule == "unknown node" for violation in found)
    nothing = not kept and bool(found)  # where every visit is optional, no route is a solution
    cost = float("inf") if broken_nodes or nothing else env.routes_cost(instance, kept)
    return Solution(kept, cost, found, seconds, solver, tuple(trace))


def read_routes(path: Path, file: FileInstance) -> tuple[Route, ...]:
    """
    The routes of a ``.sol`` file of a problem with a depot; empty ones are left out.

    Parameters
    ----------
    path
        The solution.
    file
        The instance that it solves.

    Raises
    ------
    InputError
        See `nco.data.formats.read_vehicle_routes`.
    """
    stays = "open_route" in file.instance.keys() and bool(file.instance["open_route"])
    return tuple(
        Route(visits, vehicle, None if stays else vehicle, vehicle)
        for vehicle, visits in read_vehicle_routes(path, file)
    )


def numbered(env: RoutingEnv, file: FileInstance, routes: Sequence[Route]) -> list[list[int]]:
    """
    Routes in the numbers of a ``.sol`` file, without depots.

    Customers are counted from `FileInstance.first_customer`, the nodes of a TSP from 1.
    """
    depots = num_nodes(file.instance) - env.num_customers(file.instance)
    shift = file.first_customer - depots
    return [[node + shift for node in route.visits] for route in routes]


def write_routes(
    path: Path, env: RoutingEnv, file: FileInstance, routes: Sequence[Route], cost: float
) -> None:
    """
    Writes a solution so that `read_routes` reads it, whole or not at all.

    Where the file of the instance tells vehicles apart, each has its line, in its order; several
    trips of one are parted by 0. The cost is stated in the file's steps.

    Parameters
    ----------
    path
        The ``.sol`` file.
    env, file
        The problem and its instance.
    routes
        Feasible ones; empty ones are left out.
    cost
        In the unit of the instance's distances.

    Raises
    ------
    InputError
        The folder is missing or not writable.
    """
    kept = drop_empty(routes)
    lines = numbered(env, file, kept)
    stated = cost * file.cost_steps
    if abs(stated - round(stated)) < 1e-6 and file.cost_steps != 1:  # 4702.5 in tenths
        stated = round(stated)
    if file.vehicles is not None:
        lines = _lines_of_vehicles(file.vehicles, kept, lines)
        write_solution(path, lines, stated, keep_empty=True)
    elif num_depots(file.instance) > 1:
        write_solution(path, lines, stated, vehicles=[route.vehicle for route in kept] or [0])
    else:
        write_solution(path, lines, stated)


def _lines_of_vehicles(
    vehicles: Sequence[int], routes: Sequence[Route], lines: Sequence[list[int]]
) -> list[list[int]]:
    """What each vehicle drives: a route of its depot node, or all trips of it."""
    counts = Counter(vehicles)
    waiting: dict[int, list[list[int]]] = {node: [] for node in counts}
    for route, line in zip(routes, lines, strict=True):
        queue = waiting[route.vehicle]
        if len(queue) < counts[route.vehicle]:
            queue.append(list(line))
        else:  # one trip more of the only vehicle
            queue[-1] += [0, *line]
    return [waiting[node].pop(0) if waiting[node] else [] for node in vehicles]
