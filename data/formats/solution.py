"""
CVRPLIB ``.sol`` files: ``Route #1: 4 2 7`` for each route, then ``Cost 784``.

Customers are numbered from 1 in the order of the instance's file without its depot; the one route
of a TSP tour holds the numbers of all nodes, from 1. ``vrplib`` reads these files too, but does not
say where an error is and takes any text for a cost.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import vrplib

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.formats.text import read_text
from nco.data.numbers import integer, plain, real, shown

_ROUTE = re.compile(r"route\s*#?\s*\d+\s*:?(?P<visits>.*)", re.IGNORECASE)
_COST = re.compile(r"cost\s*:?\s*(?P<cost>\S*)", re.IGNORECASE)


def read_solution(path: Path) -> tuple[list[list[int]], float | None]:
    """
    The routes of a ``.sol`` file, with the cost if it states one.

    Raises
    ------
    InputError
        The file cannot be read, has no route, or a route or cost that is none.
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
    if not routes:
        raise InputError(f"{path}: no routes, expected lines like 'Route #1: 4 2 7'")
    return routes, cost


def write_solution(path: Path, routes: Sequence[Sequence[int]], cost: float) -> None:
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

    Raises
    ------
    InputError
        The folder is missing or not writable.
    """
    kept = [list(route) for route in routes if len(route)]
    with atomic(path) as part:
        vrplib.write_solution(part, kept, {"Cost": plain(cost)})
