"""
Answers of OSRM's table service: asymmetric travel times, and distances where they were asked for.

``/table/v1/driving/LON,LAT;...?annotations=duration,distance`` gives ``durations`` in seconds and
``distances`` in metres. The instance is an ATSP over all places; what is minimised are the
distances where there are any, else the durations.
"""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nco.data.errors import InputError, InputWarning
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.json_parts import items, keys_of, matrix, member, parse, place
from nco.data.formats.rounding import Rounding
from nco.data.instance import from_tensors
from nco.data.numbers import shown

_KEYS = ("code", "durations", "distances", "sources", "destinations", "fallback_speed_cells")


def looks_like_osrm(text: str) -> bool:
    """Whether there is a matrix between sources and destinations."""
    keys = keys_of(text)
    return "code" in keys and bool({"durations", "distances", "message"} & keys)


def read_osrm(text: str, path: Path, rounding: Rounding) -> FileInstance:
    """
    Reads an answer.

    Raises
    ------
    InputError
        The matrix is not square or of other places than its destinations, or there is no way
        between two of them.
    """
    if rounding != "auto":
        raise InputError(f"{path}: rounding {rounding!r}, expected none for a distance matrix")
    content = parse(text, path)
    if content["code"] != "Ok":
        said = f": {content['message']}" if "message" in content else ""
        code = shown(str(content["code"]))
        raise InputError(f"{path}: OSRM's code {code}, expected 'Ok'{said}"[:400])
    content = member(content, str(path), _KEYS, {"data_version": ()})
    if content.get("fallback_speed_cells"):
        raise InputError(f"{path}: fallback_speed_cells: estimated entries, expected none")
    found = {
        name: _matrix(content, key, path)
        for name, key in (("distance", "distances"), ("duration", "durations"))
        if key in content
    }
    empty = [name for name, value in found.items() if _says_nothing(value)]
    if len(empty) == len(found):
        raise InputError(f"{path}: no way between any places, expected a table of some")
    for name in empty:  # as where a router has one of the tables only
        warnings.warn(f"{path}: {name}s are all null and passed over", InputWarning, stacklevel=2)
        del found[name]
    if "distance" not in found:
        found = {"distance": found["duration"]}
    size = len(found["distance"])
    if size < 2 or any(len(value) != size for value in found.values()):
        raise InputError(f"{path}: {size} places, expected at least 2, the same in both matrices")
    locations = [_locations(content, key, path) for key in ("sources", "destinations")]
    if locations[0] != locations[1]:
        raise InputError(f"{path}: sources and destinations differ, expected the same places")
    if locations[0]:
        if len(locations[0]) != size:
            raise InputError(f"{path}: {len(locations[0])} sources, expected {size}")
        found["locs"] = torch.tensor(locations[0], dtype=torch.double)
    instance = from_tensors(**{key: value.unsqueeze(0) for key, value in found.items()})
    return FileInstance(path.stem, "atsp", instance, path)


def _matrix(content: dict[str, Any], key: str, path: Path) -> Tensor:
    """A square table; one of some sources or destinations only is told as that."""
    rows = items(content[key], f"{path}: {key}")
    columns = len(rows[0]) if rows and isinstance(rows[0], list) else 0
    ends = [content.get(end) for end in ("sources", "destinations")]
    if columns != len(rows) and [len(e) for e in ends if isinstance(e, list)] == [
        len(rows),
        columns,
    ]:
        raise InputError(
            f"{path}: {len(rows)} sources and {columns} destinations, expected a square table: ask "
            "OSRM without sources= and destinations="
        )
    return matrix(rows, f"{path}: {key}")


def _says_nothing(value: Tensor) -> bool:
    """Whether there is no way between any two places."""
    away = ~torch.eye(len(value), dtype=torch.bool)
    return len(value) > 1 and bool(value[away].isinf().all())


def _locations(content: dict, key: str, path: Path) -> list[list[float]]:
    where = f"{path}: {key}"
    return [
        place(member(entry, f"{where}[{k}]").get("location"), f"{where}[{k}].location")
        for k, entry in enumerate(items(content.get(key, []), where))
    ]
