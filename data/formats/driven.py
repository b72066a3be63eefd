"""Published routes in the terms of the instance: depot nodes and nodes."""

from pathlib import Path

from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.solution import read_solution
from nco.data.instance import num_depots, num_nodes


def read_driven(path: Path, file: FileInstance) -> list[tuple[int, tuple[int, ...]]]:
    """
    Depot node and customers of every route of a ``.sol`` file that visits anyone.

    Where the file of the instance tells vehicles apart, the k-th line is that of its k-th vehicle,
    empty ones included. Between two trips of a vehicle stands a 0: they are routes of their own, in
    this order.

    Parameters
    ----------
    path
        The solution.
    file
        The instance, a problem with a depot.

    Raises
    ------
    InputError
        The file cannot be read, has more routes than there are vehicles, or names a customer that
        there is not.
    """
    lines, _ = read_solution(path)
    depots, nodes = num_depots(file.instance), num_nodes(file.instance)
    if file.vehicles is not None and len(lines) > len(file.vehicles):
        raise InputError(
            f"{path}: {len(lines)} routes, expected at most one for each of the "
            f"{len(file.vehicles)} vehicles"
        )
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
        vehicle = 0 if file.vehicles is None else file.vehicles[k]
        driven += [(vehicle, tuple(trip)) for trip in trips if trip]
    return driven
