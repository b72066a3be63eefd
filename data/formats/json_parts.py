"""Parts of JSON files of other programs, taken strictly."""

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.formats.missing_arcs import without_missing_arcs
from nco.data.numbers import MAX_INTEGER, MAX_REAL, shown

MAX_FLOAT = 1.7e308  # numbers that large stand for no way


def parse(text: str, path: Path) -> dict[str, Any]:
    """
    The object in a file.

    Raises
    ------
    InputError
        There is none.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON, {shown(str(error))}") from None
    return member(content, str(path))


def keys_of(text: str) -> set[str]:
    """The keys of the object in a text, none if it is no such thing."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return set()
    return set(content) if isinstance(content, dict) else set()


def member(
    value: Any,
    where: str,
    known: Collection[str] | None = None,
    idle: Mapping[str, Collection[Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """
    An object all of whose keys are known; without those whose value states nothing.

    Parameters
    ----------
    value
        What should be one.
    where
        Opens messages.
    known
        The keys that are understood; None for any.
    idle
        Values that state nothing, of keys that no rule is for; no values: none states anything.
        So does null, of any key that is known.

    Raises
    ------
    InputError
        It is none, or has a key that states a rule which is not understood.
    """
    if not isinstance(value, dict):
        raise InputError(f"{where}: {shown(str(value))}, expected a JSON object")
    if known is None:
        return value
    found = {}
    for key, entry in value.items():
        if key in idle and (not idle[key] or entry is None or entry in idle[key]):
            continue
        if key not in known:
            raise InputError(f"{where}: {shown(key)} is not supported, expected {', '.join(known)}")
        if entry is not None:
            found[key] = entry
    return found


def items(value: Any, where: str) -> list[Any]:
    """
    A list.

    Raises
    ------
    InputError
        It is none.
    """
    if not isinstance(value, list):
        raise InputError(f"{where}: {shown(str(value))}, expected a list")
    return value


def count(value: Any, where: str, high: int = MAX_INTEGER) -> int:
    """
    A whole number from 0.

    Raises
    ------
    InputError
        It is none.
    """
    if type(value) is not int or not 0 <= value <= high:
        raise InputError(f"{where}: {shown(str(value))}, expected an integer from 0 to {high}")
    return value


def amount(value: Any, where: str, low: float = 0, high: float = MAX_REAL) -> float:
    """
    A number in ``low..high``.

    Raises
    ------
    InputError
        It is none.
    """
    if type(value) not in (int, float) or not low <= value <= high:
        raise InputError(
            f"{where}: {shown(str(value))}, expected a number from {low:g} to {high:g}"
        )
    return float(value)


def matrix(value: Any, where: str) -> Tensor:
    """
    A square matrix of amounts, its diagonal 0, infinite where null says that there is no way.

    Raises
    ------
    InputError
        It is none.
    """
    rows = items(value, where)
    for i, row in enumerate(rows):
        if len(items(row, f"{where}[{i}]")) != len(rows):
            raise InputError(f"{where}[{i}]: {len(row)} entries, expected {len(rows)}")
        for j, entry in enumerate(row):
            if entry is not None:
                amount(entry, f"{where}[{i}][{j}]", high=MAX_FLOAT)
    numbers = [[math.inf if entry is None else entry for entry in row] for row in rows]
    square = np.array(numbers, dtype=np.float64).reshape(len(rows), len(rows))
    return torch.from_numpy(without_missing_arcs(square, where))


def place(value: Any, where: str) -> list[float]:
    """
    ``[longitude, latitude]``.

    Raises
    ------
    InputError
        It is none.
    """
    if len(items(value, where)) != 2:
        raise InputError(f"{where}: {len(value)} numbers, expected [longitude, latitude]")
    return [amount(number, where, -MAX_REAL) for number in value]
