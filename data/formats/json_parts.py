"""Parts of JSON files of other programs, taken strictly."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.numbers import MAX_INTEGER, MAX_REAL, shown


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


def member(value: Any, where: str, known: Collection[str] | None = None) -> dict[str, Any]:
    """
    An object all of whose keys are known.

    Raises
    ------
    InputError
        It is none, or has a key that states a rule which is not understood.
    """
    if not isinstance(value, dict):
        raise InputError(f"{where}: {shown(str(value))}, expected a JSON object")
    for key in value:
        if known is not None and key not in known:
            raise InputError(f"{where}: {shown(key)} is not supported, expected {', '.join(known)}")
    return value


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
    A square matrix of amounts, its diagonal 0.

    Raises
    ------
    InputError
        It is none, or an entry says that there is no way.
    """
    rows = items(value, where)
    for i, row in enumerate(rows):
        if len(items(row, f"{where}[{i}]")) != len(rows):
            raise InputError(f"{where}[{i}]: {len(row)} entries, expected {len(rows)}")
        for j, entry in enumerate(row):
            amount(entry, f"{where}[{i}][{j}]")
    return torch.tensor(rows, dtype=torch.double).view(len(rows), -1).fill_diagonal_(0)


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
