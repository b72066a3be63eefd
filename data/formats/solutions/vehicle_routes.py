"""Published routes in the terms of the instance: depot nodes and nodes."""

from collections.abc import Sequence
from pathlib import Path

from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.solutions.sol import read_solution, read_vehicles
from nco.data.instance import num_depots, num_nodes


def read_vehicle_routes(path: Path, file: FileInstance) -> list[tuple[int, tuple[int, ...]]]:
    """
    Depot node and customers of every route of a ``.sol`` file that is not empty.

    Where the file of the instance tells vehicles apart, the k-th line is that of its k-th vehicle,
    empty ones included. Else the solution has to say to which of several depot nodes its routes
    belong. Between two trips of a vehicle stands a 0: they are routes of their own, in this order.

    Parameters
    ----------
    path
        The solution.
    file
        The instance, a problem with a depot.

    Raises
    ------
    InputError
        The file cannot be read, has more routes than there are vehicles, does not tell their depot
        nodes, or names a customer that there is not.
    """
    lines, _ = read_solution(path)
    if not lines:
        raise InputError(f"{path}: no routes, expected lines like 'Route #1: 4 2 7'")
    depots, nodes = num_depots(file.instance), num_nodes(file.instance)
    vehicles = _vehicles(path, file, depots, len(lines))
    shift = depots - file.first_customer
    driven = []
    for k, visits in enumerate(lines):
        trips: list[list[int]] = [[]]
        for number in visits:
            if number == 0:
                trips.append([])
                continue
            if not depots <= number + shift < nodes:
                last = nodes - 1 - shift
                raise InputError(
                    f"{path}: route {k + 1}: customer {number}, "
                    f"expected {file.first_customer} to {last}"
                )
            trips[-1].append(number + shift)
        driven += [(vehicles[k], tuple(trip)) for trip in trips if trip]
    return driven


def _vehicles(path: Path, file: FileInstance, depots: int, lines: int) -> Sequence[int]:
    """The depot node of each line."""
    if file.vehicles is not None:
        if lines > len(file.vehicles):
            raise InputError(
                f"{path}: {lines} routes, expected at most one for each of the "
                f"{len(file.vehicles)} vehicles"
            )
        return file.vehicles
    stated = read_vehicles(path, depots)
    if stated is None and depots == 1:
        return [0] * lines
    if stated is None or len(stated) != lines:
        found = "none" if stated is None else str(len(stated))
        raise InputError(
            f"{path}: depot nodes of {found} of its {lines} routes, expected a line 'Vehicles:' "
            f"with that of each, 0 to {depots - 1}"
        )
    return stated
