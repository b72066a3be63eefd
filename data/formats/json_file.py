"""
Our own JSON: every attribute of the schema, nothing lost.

::

    {
      "format": "nco-instance",
      "problem": "vrptw",
      "labels": ["depot", "north", "south"],
      "best_known": 12.5,
      "instance": {
        "locs": [[0, 0], [0, 3.5], [0, -2.75]],
        "metric": "EUC_2D",
        "demand": [0, 4, 6],
        "capacity": 10,
        "time_windows": [[0, "inf"], [2, 8], [0, "inf"]]
      }
    }

``instance`` has the attributes of `nco.data.instance.SCHEMA` without the batch dimension; the
metric goes by its name, and what has no bound is ``"inf"``. The rest but ``format`` and ``problem``
may be absent: ``labels``, ``best_known``, ``vehicles``, ``first_customer`` and ``cost_steps`` are
those of `nco.data.formats.FileInstance`.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.rounding import Rounding
from nco.data.instance import SCHEMA, from_tensors, num_depots
from nco.data.metric import Metric
from nco.data.numbers import MAX_INTEGER, MAX_REAL, shown
from nco.data.values import attributes, unbounded

FORMAT = "nco-instance"
COUNTS = ("first_customer", "cost_steps")
KEYS = ("format", "problem", "labels", "best_known", "vehicles", *COUNTS, "instance")
INFINITE = "inf"  # JSON has no number for it


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
        keys = ", ".join(content)[:60] if isinstance(content, dict) else ""
        found = f"an object of {keys}; " if keys else ""
        raise InputError(
            f'{path}: {found}expected a JSON object with "format": "{FORMAT}", a VROOM request '
            "(vehicles, jobs or shipments, matrices) or an OSRM table (code, durations, distances)"
        )
    for key in content:
        if key not in KEYS:
            raise InputError(f"{path}: key {shown(key)}, expected one of {', '.join(KEYS)}")
    problem, labels, best_known = (content.get(k) for k in ("problem", "labels", "best_known"))
    if not isinstance(problem, str):
        raise InputError(f"{path}: problem is missing, expected its name")
    fields = content.get("instance")
    if not isinstance(fields, dict) or not fields:
        raise InputError(f"{path}: instance is missing, expected an object of attributes")
    instance = from_tensors(
        **{name: _tensor(name, value, path).unsqueeze(0) for name, value in fields.items()}
    )
    if best_known is not None and not _is_real(best_known):
        raise InputError(f"{path}: best_known {shown(str(best_known))}, expected a number")
    if labels is not None:
        if not isinstance(labels, list) or not all(isinstance(item, str) for item in labels):
            raise InputError(f"{path}: labels, expected a list of names")
        labels = tuple(labels)
    counts = {name: _count(content[name], f"{path}: {name}") for name in COUNTS if name in content}
    return FileInstance(
        path.stem,
        problem,
        instance,
        path,
        labels,
        best_known=None if best_known is None else float(best_known),
        best_known_source=None if best_known is None else str(path),
        vehicles=_vehicles(content.get("vehicles"), num_depots(instance), path),
        first_customer=counts.get("first_customer", 1),
        cost_steps=counts.get("cost_steps", 1),
    )


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
    if file.vehicles is not None:
        content["vehicles"] = list(file.vehicles)
    content |= {name: getattr(file, name) for name in COUNTS if getattr(file, name) != 1}
    content["instance"] = {
        name: _plain(name, file.instance[name][0]) for name in attributes(file.instance)
    }
    with atomic(path) as part:
        part.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


def _plain(name: str, value: Tensor) -> Any:
    if name == "metric":
        return Metric(int(value)).name
    if value.is_floating_point():
        numbers = value.tolist()
        return _finite(numbers) if bool(value.isinf().any()) else numbers
    return value.long().tolist()  # flags too


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return INFINITE if value == math.inf else value


def _tensor(name: str, value: Any, path: Path) -> Tensor:
    if name not in SCHEMA:
        raise InputError(f"{path}: attribute {shown(name)}, expected one of {', '.join(SCHEMA)}")
    if name == "metric":
        if not isinstance(value, str) or value not in Metric.__members__:
            expected = ", ".join(Metric.__members__)
            raise InputError(f"{path}: metric {shown(str(value))}, expected one of {expected}")
        return torch.tensor(int(Metric[value]))
    field = SCHEMA[name]
    each = field.per_vehicle and isinstance(value, list)
    numbers = _nested(value, name, 1 if each else len(field.shape), f"{path}: {name}")
    return torch.tensor(numbers, dtype=torch.int64 if field.integer else torch.float64)


def _nested(value: Any, name: str, depth: int, where: str) -> Any:
    """Lists of equal length to the given depth, with numbers of the right kind at the bottom."""
    if depth:
        if not isinstance(value, list) or not value:
            raise InputError(f"{where}: {shown(str(value))}, expected a list")
        found = [_nested(item, name, depth - 1, where) for item in value]
        for item in found:
            if depth > 1 and len(item) != len(found[0]):
                lengths = f"{len(found[0])} and {len(item)}"
                raise InputError(f"{where}: lists of {lengths} items, expected equal ones")
        return found
    if SCHEMA[name].integer:
        return _count(value, where, -MAX_INTEGER)
    if value == INFINITE and unbounded(name):
        return math.inf
    if not _is_real(value):
        raise InputError(f"{where}: {shown(str(value))}, expected a number up to {MAX_REAL:g}")
    return value


def _vehicles(value: Any, depots: int, path: Path) -> tuple[int, ...] | None:
    """Depot nodes of the vehicles, where the file tells them apart."""
    if value is None:
        return None
    numbers = _nested(value, "depots", 1, f"{path}: vehicles")
    if not all(0 <= number < depots for number in numbers):
        raise InputError(f"{path}: vehicles, expected depot nodes from 0 to {depots - 1}")
    return tuple(numbers)


def _count(value: Any, where: str, low: int = 1) -> int:
    if type(value) is not int or not low <= value <= MAX_INTEGER:
        bounds = f"an integer up to {MAX_INTEGER}" if low < 0 else "an integer from 1"
        raise InputError(f"{where}: {shown(str(value))}, expected {bounds}")
    return value


def _is_real(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= MAX_REAL


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")
