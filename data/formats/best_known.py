"""The cost of the best-known solution that lies beside an instance."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from tensordict import TensorDict

from nco.data.errors import InputError, InputWarning
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.solution import read_solution
from nco.data.formats.text import read_text
from nco.data.formats.tour import read_tour
from nco.data.instance import num_nodes
from nco.data.metric import leg

Finder = Callable[[Path, TensorDict], float | None]


def find_best_known(path: Path, file: FileInstance) -> tuple[float, str] | None:
    """
    Cost and source of the best-known solution of the instance at ``path``, if there is one.

    For ``NAME.vrp`` these are looked at in turn: ``NAME.sol``, ``NAME.opt.tour``, both of them in
    a folder ``solutions``, a line ``NAME : COST`` in a file ``solutions`` or ``solutions.txt``, and
    ``NAME.VEHICLES_DISTANCE.sol`` (Li and Lim's). One that cannot be read is passed over with an
    `InputWarning`. The cost is in the unit of the instance's distances.
    """
    for candidate, find in _candidates(path, file.cost_steps):
        if not candidate.is_file():
            continue
        try:
            cost = find(candidate, file.instance)
        except InputError as error:
            warnings.warn(f"best-known solution passed over: {error}", InputWarning, stacklevel=2)
            continue
        if cost is not None:
            return cost, str(candidate)
    return None


def _candidates(path: Path, steps: int) -> list[tuple[Path, Finder]]:
    stem, folder = path.stem, path.parent

    def stated(candidate: Path, instance: TensorDict) -> float | None:
        cost = read_solution(candidate)[1]
        return None if cost is None else cost / steps

    def listed(candidate: Path, instance: TensorDict) -> float | None:
        return _listed_cost(candidate, stem)

    def named(candidate: Path, instance: TensorDict) -> float:
        return distances[candidate]

    found: list[tuple[Path, Finder]] = []
    for place in (folder, folder / "solutions"):
        found += [(place / f"{stem}.sol", stated), (place / f"{stem}.opt.tour", _tour_cost)]
    pattern = re.compile(re.escape(stem) + r"\.[0-9]{1,6}_([0-9]{1,12}(?:\.[0-9]{1,12})?)\.sol")
    matches = [(place, pattern.fullmatch(place.name)) for place in folder.glob("*_*.sol")]
    distances = {place: float(match[1]) for place, match in matches if match}
    shortest = sorted(distances, key=lambda place: distances[place])
    listings = [folder / "solutions", folder / "solutions.txt"]
    return [*found, *((place, listed) for place in listings), *((p, named) for p in shortest)]


def _tour_cost(path: Path, instance: TensorDict) -> float:
    tour = torch.tensor([read_tour(path)]) - 1
    if tour.shape[1] != num_nodes(instance):
        raise InputError(f"{path}: {tour.shape[1]} nodes, expected {num_nodes(instance)}")
    return float(leg(instance, tour, tour.roll(-1, dims=-1)).sum())


def _listed_cost(path: Path, name: str) -> float | None:
    pattern = rf"^\s*{re.escape(name)}\s*:\s*([0-9]{{1,15}}(?:\.[0-9]+)?)\b"
    match = re.search(pattern, read_text(path), re.MULTILINE)
    return float(match[1]) if match else None
