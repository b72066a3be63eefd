"""The cost of the best-known solution that lies beside an instance."""

import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from tensordict import TensorDict

from nco.data.errors import InputError, InputWarning
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.solutions.sol import read_solution
from nco.data.formats.solutions.tour import read_tour
from nco.data.formats.solutions.vehicle_routes import read_vehicle_routes
from nco.data.formats.text import read_text
from nco.data.instance import num_nodes
from nco.data.metric import leg

Finder = Callable[[Path, TensorDict], float | None]
# Attributes with which a solution stays one whatever the distances are.
LOADS = {"locs", "metric", "demand", "backhaul", "linehaul_first", "capacity", "vehicle_count"}


def find_best_known(path: Path, file: FileInstance, usual: bool) -> tuple[float | None, str] | None:
    """
    Cost and source of the best-known solution of the instance at ``path``, if there is one.

    For ``NAME.vrp`` these are looked at in turn: ``NAME.sol``, ``NAME.opt.tour``, both of them in
    a folder ``solutions``, a line ``NAME : COST`` in a file ``solutions`` or ``solutions.txt``, and
    ``NAME.VEHICLES_DISTANCE.sol`` (Li and Lim's). One that cannot be read is passed over with an
    `InputWarning`. The cost is in the unit of the instance's distances, and None where a ``.sol``
    file gives routes without it and no other source has one. What is stated is only read here;
    `nco.evaluation.best_known` checks it.

    Parameters
    ----------
    path
        The file of the instance.
    file
        What was read there.
    usual
        Whether the distances are rounded as those of such files are. Else stated costs are none of
        this instance: the lengths of the routes are taken instead where nothing but loads bounds
        them, so that they solve it too, and what states no routes is passed over with a warning.
    """
    without_cost: tuple[None, str] | None = None
    for candidate, find in _candidates(path, file, usual):
        if not candidate.is_file():
            continue
        try:
            cost = find(candidate, file.instance)
        except InputError as error:
            warnings.warn(f"best-known solution passed over: {error}", InputWarning, stacklevel=2)
            continue
        if cost is not None:
            return cost, str(candidate)
        without_cost = without_cost or (None, str(candidate))
    return without_cost


def _candidates(path: Path, file: FileInstance, usual: bool) -> list[tuple[Path, Finder]]:
    stem, folder = path.stem, path.parent

    def stated(candidate: Path, instance: TensorDict) -> float | None:
        if not usual:
            return _length(candidate, file)
        cost = read_solution(candidate)[1]
        return None if cost is None else cost / file.cost_steps

    def listed(candidate: Path, instance: TensorDict) -> float | None:
        cost = _listed_cost(candidate, stem)
        if cost is not None and not usual:
            raise _of_other_distances(candidate)
        return cost

    def named(candidate: Path, instance: TensorDict) -> float:
        return distances[candidate] if usual else _length(candidate, file)

    found: list[tuple[Path, Finder]] = []
    for place in (folder, folder / "solutions"):
        found += [(place / f"{stem}.sol", stated), (place / f"{stem}.opt.tour", _tour_cost)]
    pattern = re.compile(re.escape(stem) + r"\.[0-9]{1,6}_([0-9]{1,12}(?:\.[0-9]{1,12})?)\.sol")
    matches = [(place, pattern.fullmatch(place.name)) for place in folder.glob("*_*.sol")]
    distances = {place: float(match[1]) for place, match in matches if match}
    shortest = sorted(distances, key=lambda place: distances[place])
    listings = [folder / "solutions", folder / "solutions.txt"]
    return [*found, *((place, listed) for place in listings), *((p, named) for p in shortest)]


def _length(path: Path, file: FileInstance) -> float:
    """Length of the routes of a solution where that is their cost and no rule depends on it."""
    instance = file.instance
    if not set(instance.keys()) <= LOADS:
        raise _of_other_distances(path)
    if "capacity" in instance.keys():
        stops = [[v, *visits, v] for v, visits in read_vehicle_routes(path, file)]
    else:
        tour = tour_of(path, read_solution(path)[0], num_nodes(instance))
        stops = [[*tour, tour[0]]]
    length = 0.0
    for route in stops:
        row = torch.tensor([route])
        length += float(leg(instance, row[:, :-1], row[:, 1:]).sum())
    return length


def tour_of(path: Path, lines: Sequence[Sequence[int]], nodes: int) -> list[int]:
    """
    The tour that the routes of a ``.sol`` file without a depot are, nodes from 0.

    Raises
    ------
    InputError
        It does not visit each node once.
    """
    visits = [node for route in lines for node in route]
    # Of all nodes from 1, or without the first one, the depot of a vehicle.
    tour = [0, *visits] if len(visits) == nodes - 1 else [node - 1 for node in visits]
    if sorted(tour) != list(range(nodes)):
        raise InputError(f"{path}: {len(visits)} nodes, expected each of {nodes} once")
    return tour


def _of_other_distances(path: Path) -> InputError:
    return InputError(f"{path}: its cost is one of other distances, expected --rounding auto")


def _tour_cost(path: Path, instance: TensorDict) -> float:
    tour = torch.tensor([read_tour(path)]) - 1
    if tour.shape[1] != num_nodes(instance):
        raise InputError(f"{path}: {tour.shape[1]} nodes, expected {num_nodes(instance)}")
    return float(leg(instance, tour, tour.roll(-1, dims=-1)).sum())


def _listed_cost(path: Path, name: str) -> float | None:
    pattern = rf"^\s*{re.escape(name)}\s*:\s*([0-9]{{1,15}}(?:\.[0-9]+)?)\b"
    match = re.search(pattern, read_text(path), re.MULTILINE)
    return float(match[1]) if match else None
