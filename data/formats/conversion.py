"""From one format to another: what is written has to be read as the same instance."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError, InputWarning
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.registry import read, write
from nco.data.instance import num_nodes
from nco.data.metric import pairwise
from nco.data.neutral import says_nothing
from nco.data.values import attributes

GEOMETRY = ("locs", "metric", "distance", "view")


def convert(file: FileInstance, target: Path) -> list[str]:
    """
    Writes an instance in the format of a file's ending, and reads it again.

    Returns
    -------
    list
        What is lost and states no rule: names, further columns, coordinates beside a matrix.

    Raises
    ------
    InputError
        The format has no place for an attribute, or it would be read as another; the file is then
        as it was.
    """
    before = target.read_bytes() if target.is_file() else None
    write(target, file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        again = read(target)
    differing = _differing(file.instance, again.instance)
    if differing:
        if before is None:
            target.unlink()
        else:
            target.write_bytes(before)
        names = ", ".join(differing)
        raise InputError(f"{target}: would be read with another {names}, expected .json")
    shown = {
        "coordinates": _locations(file.instance) and not _locations(again.instance),
        "names of nodes": _lost(file.labels, again.labels),
        "names of vehicles": _lost(file.vehicle_names, again.vehicle_names),
        f"columns {', '.join(file.columns)}": dict(file.columns) != dict(again.columns),
    }
    return [what for what, lost in shown.items() if lost]


def _lost(had: Sequence[str] | None, has: Sequence[str] | None) -> bool:
    return had is not None and (has is None or tuple(had) != tuple(has))


def _locations(instance: TensorDict) -> bool:
    return "locs" in instance.keys()


def _differing(one: TensorDict, other: TensorDict) -> list[str]:
    """What two instances do not share: attributes that say something, in any unit of length."""
    if num_nodes(one) != num_nodes(other):
        return ["number of nodes"]
    far = [pairwise(each)[0] for each in (one, other)]
    longest = [float(matrix[matrix.isfinite()].max()) for matrix in far]
    unit = longest[1] / longest[0] if longest[0] > 0 else 1.0
    found = [] if _close(far[0] * unit, far[1]) else ["distances"]
    for name in dict.fromkeys((*attributes(one), *attributes(other))):
        if name in GEOMETRY:
            continue
        values = [each[name] for each in (one, other) if name in each.keys()]
        if len(values) == 1:
            same = says_nothing(name, values[0])
        elif name == "depots":  # arbitrary numbers, equal at the same depot
            same = torch.equal(*(v[0].unsqueeze(0) == v[0].unsqueeze(1) for v in values))
        else:
            scale = unit if name in _IN_UNITS else 1.0
            first, second = torch.broadcast_tensors(*_aligned(values))
            same = _close(first.double() * scale, second.double())
        if not same:
            found.append(name)
    return found


_IN_UNITS = (
    *("duration", "time_windows", "service_time", "release_time", "distance_limit"),
    *("duration_limit", "fixed_cost", "penalty"),
)


def _aligned(values: list[Tensor]) -> list[Tensor]:
    """A value for all vehicles beside one for each."""
    wide = max(value.ndim for value in values)
    return [value if value.ndim == wide else value.unsqueeze(-1) for value in values]


def _close(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and bool(
        torch.isclose(first, second, rtol=1e-12, atol=1e-9).all()
    )
