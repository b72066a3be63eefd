"""``.sol`` files of solutions, in the numbers of the instance's file."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nco.data.formats import FileInstance, read_vehicle_routes, write_solution
from nco.data.instance import num_depots
from nco.envs import RoutingEnv
from nco.envs.checking.routes import Route, drop_empty


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


def first_number(env: RoutingEnv, file: FileInstance) -> int:
    """What is added to a node of the instance to get its number in a ``.sol`` file."""
    return file.first_customer - env.visits.depots(file.instance)


def numbered(env: RoutingEnv, file: FileInstance, routes: Sequence[Route]) -> list[list[int]]:
    """
    Routes in the numbers of a ``.sol`` file, without depots.

    Customers are counted from `FileInstance.first_customer`, the nodes of a TSP from 1.
    """
    shift = first_number(env, file)
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
