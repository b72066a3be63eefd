"""
CVRPLIB ``.sol`` files: ``Route #1: 4 2 7`` for each route, then ``Cost 784``.

Customers are numbered from 1 in the order of the instance's file without its depot; the one route
of a TSP tour holds the numbers of all nodes, from 1. Where nothing else tells to which depot node
of an instance the routes belong, we add a line ``Vehicles: 0 2 2`` with that of each route.
``vrplib`` reads these files too, but does not say where an error is and takes any text for a cost;
it writes none with empty routes, which files of vehicles need.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.formats.text import read_text
from nco.data.numbers import integer, plain, real, shown

_ROUTE = re.compile(r"route\s*#?\s*\d+\s*:?(?P<visits>.*)", re.IGNORECASE)
_COST = re.compile(r"cost\s*:?\s*(?P<cost>\S*)", re.IGNORECASE)
_VEHICLES = re.compile(r"vehicles\s*:(?P<nodes>.*)", re.IGNORECASE)


def read_solution(path: Path) -> tuple[list[list[int]], float | None]:
    """
    The routes of a ``.sol`` file, none where it states a cost only, with the cost if it does.

    Raises
    ------
    InputError
        The file cannot be read, has neither route nor cost, or one that is none.
    """
    routes: list[list[int]] = []
    cost: float | None = None
    for number, raw in enumerate(read_text(path).splitlines(), start=1):
        where = f"{path}, line {number}"
        line = raw.strip()
        if match := _ROUTE.fullmatch(line):
            visits = match["visits"].split()
            routes.append([integer(visit, f"{where}: customer") for visit in visits])
        elif match := _COST.fullmatch(line):
            if cost is not None:
                raise InputError(f"{where}: {shown(line)}, expected one cost only")
            cost = real(match["cost"], f"{where}: cost")
    if not routes and cost is None:
        raise InputError(f"{path}: no routes, expected lines like 'Route #1: 4 2 7'")
    return routes, cost


def read_vehicles(path: Path, depots: int) -> list[int] | None:
    """
    The depot node of each route, where a ``.sol`` file states them.

    Parameters
    ----------
    path
        The solution.
    depots
        Number of depot nodes of its instance.

    Raises
    ------
    InputError
        The file cannot be read, or names a depot node that there is not.
    """
    for number, raw in enumerate(read_text(path).splitlines(), start=1):
        if match := _VEHICLES.fullmatch(raw.strip()):
            where = f"{path}, line {number}: vehicle"
            return [integer(node, where, 0, depots - 1) for node in match["nodes"].split()]
    return None


def write_solution(
    path: Path,
    routes: Sequence[Sequence[int]],
    cost: float,
    keep_empty: bool = False,
    vehicles: Sequence[int] | None = None,
) -> None:
    """
    Writes a ``.sol`` file, whole or not at all.

    Parameters
    ----------
    path
        The file.
    routes
        As in `read_solution`; empty ones are left out.
    cost
        Stated without a fraction if it has none, else to the last bit.
    keep_empty
        Empty routes are written too: each line is that of a vehicle.
    vehicles
        Depot node of each route, as in `read_vehicles`.

    Raises
    ------
    InputError
        The folder is missing or not writable.
    """
    kept = [list(route) for route in routes if keep_empty or len(route)]
    kept = kept or [[]]  # where every visit may be left out: an empty route, so that it is read
    lines = [" ".join([f"Route #{k}:", *map(str, route)]) for k, route in enumerate(kept, start=1)]
    lines.append(f"Cost: {plain(cost)}")
    if vehicles is not None:
        lines.append(" ".join(["Vehicles:", *map(str, vehicles)]))
    with atomic(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
