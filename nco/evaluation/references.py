"""Reference costs of a data set, from whatever file states them."""

import csv
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nco.data.dataset import read_costs
from nco.data.errors import InputError
from nco.data.formats.text import read_text
from nco.data.numbers import real


def read_references(path: Path) -> Tensor:
    """
    One cost an instance, ``[B]`` in double precision.

    Parameters
    ----------
    path
        ``.csv`` with a column ``cost`` (or a single column), ``.json`` with a list of numbers or
        of objects with ``cost`` (such as ``nco solve --json`` prints), or what
        `nco.data.dataset.read_costs` reads.

    Raises
    ------
    InputError
        The file states no costs, or one that is no number.
    """
    if path.suffix == ".csv":
        return _tensor(_csv_costs(path), path)
    if path.suffix == ".json":
        return _tensor(_json_costs(path), path)
    return read_costs(path)


def _csv_costs(path: Path) -> list[str]:
    lines = [line for line in csv.reader(read_text(path).splitlines()) if line]
    column, first = 0, 0
    if lines and "cost" in lines[0]:
        column, first = lines[0].index("cost"), 1
    elif lines and len(lines[0]) > 1:
        raise InputError(f"{path}, line 1: no column cost, expected one")
    try:
        return [line[column] for line in lines[first:]]
    except IndexError:
        raise InputError(f"{path}: a line is too short, expected a cost in each") from None


def _json_costs(path: Path) -> list[Any]:
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise InputError(f"{path}: no JSON, expected a list of costs") from None
    if not isinstance(content, list):
        raise InputError(f"{path}: {type(content).__name__}, expected a list of costs")
    return [item.get("cost") if isinstance(item, dict) else item for item in content]


def _tensor(costs: list[Any], path: Path) -> Tensor:
    if not costs:
        raise InputError(f"{path}: no costs, expected one for each instance")
    values = [real(str(cost).strip(), f"{path}: cost {k}") for k, cost in enumerate(costs, 1)]
    return torch.tensor(values, dtype=torch.float64)
