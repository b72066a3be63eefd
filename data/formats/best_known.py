"""The cost of the best-known solution that lies beside an instance."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from tensordict import TensorDict

from nco.data.errors import InputError, InputWarning
from nco.data.formats.solution import read_solution
from nco.data.formats.text import read_text
from nco.data.formats.tour import read_tour
from nco.data.instance import num_nodes
from nco.data.metric import leg

Finder = Callable[[Path, TensorDict], float | None]


def find_best_known(path: Path, instance: TensorDict) -> tuple[float, str] | None:
    """
    Cost and source of the best-known solution of the instance at ``path``, if there is one.

    For ``NAME.vrp`` these are looked at in turn: ``NAME.sol``, ``NAME.opt.tour``, both of them in
    a folder ``solutions``, and a line ``NAME : COST`` in a file ``solutions`` or
    ``solutions.txt``. One that cannot be read is passed over with an `InputWarning`.
    """
    for candidate, find in _candidates(path):
        if not candidate.is_file():
            continue
        try:
            cost = find(candidate, instance)
        except InputError as error:
            warnings.warn(f"best-known solution passed over: {error}", InputWarning, stacklevel=2)
            continue
        if cost is not None:
            return cost, str(candidate)
    return None


def _candidates(path: Path) -> list[tuple[Path, Finder]]:
    stem, folder = path.stem, path.parent

    def listed(candidate: Path, instance: TensorDict) -> float | None:
        return _listed_cost(candidate, stem)

    found: list[tuple[Path, Finder]] = []
    for place in (folder, folder / "solutions"):
        found += [(place / f"{stem}.sol", _stated_cost), (place / f"{stem}.opt.tour", _tour_cost)]
    return [*found, (folder / "solutions", listed), (folder / "solutions.txt", listed)]


def _stated_cost(path: Path, instance: TensorDict) -> float | None:
    return read_solution(path)[1]


def _tour_cost(path: Path, instance: TensorDict) -> float:
    tour = torch.tensor([read_tour(path)]) - 1
    if tour.shape[1] != num_nodes(instance):
        raise InputError(f"{path}: {tour.shape[1]} nodes, expected {num_nodes(instance)}")
    return float(leg(instance, tour, tour.roll(-1, dims=-1)).sum())


def _listed_cost(path: Path, name: str) -> float | None:
    pattern = rf"^\s*{re.escape(name)}\s*:\s*([0-9]{{1,15}}(?:\.[0-9]+)?)\b"
    match = re.search(pattern, read_text(path), re.MULTILINE)
    return float(match[1]) if match else None
