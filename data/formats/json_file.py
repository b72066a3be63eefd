"""
Our own JSON: every attribute of the schema, nothing lost.

::

    {
      "format": "nco-instance",
      "problem": "cvrp",
      "labels": ["depot", "north", "south"],
      "best_known": 12.5,
      "instance": {
        "locs": [[0, 0], [0, 3.5], [0, -2.75]],
        "metric": "EUC_2D",
        "demand": [0, 4, 6],
        "capacity": 10
      }
    }

``labels`` and ``best_known`` may be absent. ``instance`` has the attributes of
`nco.data.instance.SCHEMA` without the batch dimension; the metric goes by its name.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.rounding import Rounding
from nco.data.instance import SCHEMA, Field, make_instance
from nco.data.metric import Metric
from nco.data.numbers import MAX_INTEGER, MAX_REAL, shown
from nco.data.values import attributes

FORMAT = "nco-instance"
KEYS = ("format", "problem", "labels", "best_known", "instance")


def read_json(text: str, path: Path, rounding: Rounding) -> FileInstance:
    """
    Reads an instance.

    Raises
    ------
    InputError
        The text is no JSON, a key is missing or unknown, or an attribute has the wrong shape.
    """
    if rounding != "auto":
        raise InputError(f"{path}: rounding {rounding!r}, expected none: JSON states a metric")
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON, {shown(str(error))}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f'{path}: expected a JSON object with "format": "{FORMAT}"')
    for key in content:
        if key not in KEYS:
            raise InputError(f"{path}: key {shown(key)}, expected one of {', '.join(KEYS)}")
    problem, labels, best_known = (content.get(k) for k in ("problem", "labels", "best_known"))
    if not isinstance(problem, str):
        raise InputError(f"{path}: problem is missing, expected its name")
    fields = content.get("instance")
    if not isinstance(fields, dict) or not fields:
        raise InputError(f"{path}: instance is missing, expected an object of attributes")
    instance = make_instance(
        **{name: _tensor(name, value, path).unsqueeze(0) for name, value in fields.items()}
    )
    if best_known is not None and not _is_real(best_known):
        raise InputError(f"{path}: best_known {shown(str(best_known))}, expected a number")
    if labels is not None:
        if not isinstance(labels, list) or not all(isinstance(item, str) for item in labels):
            raise InputError(f"{path}: labels, expected a list of names")
        labels = tuple(labels)
    source = None if best_known is None else str(path)
    cost = None if best_known is None else float(best_known)
    return FileInstance(path.stem, problem, instance, path, labels, cost, source)


def write_json(path: Path, file: FileInstance) -> None:
    """
    Writes an instance, whole or not at all; it is read back bit by bit.

    Raises
    ------
    InputError
        The folder is not writable.
    """
    content: dict[str, Any] = {"format": FORMAT, "problem": file.problem}
    if file.labels is not None:
        content["labels"] = list(file.labels)
    if file.best_known is not None:
        content["best_known"] = file.best_known
    content["instance"] = {
        name: _plain(name, file.instance[name][0]) for name in attributes(file.instance)
    }
    with atomic(path) as part:
        part.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


def _plain(name: str, value: Tensor) -> Any:
    return Metric(int(value)).name if name == "metric" else value.tolist()


def _tensor(name: str, value: Any, path: Path) -> Tensor:
    if name not in SCHEMA:
        raise InputError(f"{path}: attribute {shown(name)}, expected one of {', '.join(SCHEMA)}")
    if name == "metric":
        if not isinstance(value, str) or value not in Metric.__members__:
            expected = ", ".join(Metric.__members__)
            raise InputError(f"{path}: metric {shown(str(value))}, expected one of {expected}")
        return torch.tensor(int(Metric[value]))
    field = SCHEMA[name]
    _check_nested(value, field, len(field.shape), f"{path}: {name}")
    return torch.tensor(value, dtype=torch.int64 if field.integer else torch.float64)


def _check_nested(value: Any, field: Field, depth: int, where: str) -> None:
    """Lists of equal length to the given depth, with numbers of the right kind at the bottom."""
    if depth:
        if not isinstance(value, list) or not value:
            raise InputError(f"{where}: {shown(str(value))}, expected a list")
        for item in value:
            _check_nested(item, field, depth - 1, where)
            if depth > 1 and len(item) != len(value[0]):
                lengths = f"{len(value[0])} and {len(item)}"
                raise InputError(f"{where}: lists of {lengths} items, expected equal ones")
    elif field.integer and not (type(value) is int and abs(value) <= MAX_INTEGER):
        raise InputError(f"{where}: {shown(str(value))}, expected an integer up to {MAX_INTEGER}")
    elif not field.integer and not _is_real(value):
        raise InputError(f"{where}: {shown(str(value))}, expected a number up to {MAX_REAL:g}")


def _is_real(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= MAX_REAL


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")
