"""
The instance: a batch of routing problems in raw units.

An instance is a ``TensorDict`` of batch size ``[B]``. Nodes are ordered depots first. Absent
attributes are absent keys. Demands, capacities and other counts are integers (int64), so that
masks and checks compare exactly; coordinates, times and distances are floating point (float32 when
drawn for training, float64 when read from a file). What a policy sees is normalised elsewhere
(``nco.envs``), never here.
"""

from dataclasses import dataclass

from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError


@dataclass(frozen=True)
class Field:
    """
    One attribute of the schema.

    Parameters
    ----------
    shape
        Dimensions after the batch: ``N`` nodes, ``V`` vehicles, ``2`` a literal size.
    integer
        Whether the attribute counts something (int64) or measures something (floating point).
    meaning
        What it says, with its unit.
    """

    shape: tuple[str, ...]
    integer: bool
    meaning: str


SCHEMA: dict[str, Field] = {
    "locs": Field(("N", "2"), False, "coordinates, in the file's unit"),
    "view": Field(("N", "2"), False, "coordinates that an augmentation shows, unit square"),
    "metric": Field((), True, "a value of nco.data.metric.Metric; absent means Euclidean"),
    "distance": Field(("N", "N"), False, "explicit distances, row = from, column = to"),
    "demand": Field(("N",), True, "amount to deliver; 0 at a depot"),
    "capacity": Field((), True, "load that a vehicle can carry"),
    "distance_limit": Field((), False, "length that a route may have, depot to depot"),
    "prize": Field(("N",), False, "worth of a visit, as known beforehand; 0 at a depot"),
    "stochastic_prize": Field(("N",), False, "worth of a visit, as only the visit shows it"),
    "min_prize": Field((), False, "prize to collect before the tour may end"),
    "penalty": Field(("N",), False, "cost of leaving a node out; 0 at a depot"),
}


def make_instance(**fields: Tensor) -> TensorDict:
    """
    Builds an instance from tensors that share a leading batch dimension, and validates it.

    Raises
    ------
    InputError
        See `validate`.
    """
    first = next(iter(fields.values()), None)
    if first is None:
        raise InputError("an instance needs at least one attribute, found none")
    instance = TensorDict(fields, batch_size=[first.shape[0]])
    validate(instance)
    return instance


def validate(instance: TensorDict) -> None:
    """
    Checks names, shapes and kinds against the schema.

    Raises
    ------
    InputError
        An attribute is unknown, or its shape or kind (integer or floating point) is wrong.
    """
    sizes: dict[str, int] = {}
    for name, value in instance.items():
        if name not in SCHEMA:
            raise InputError(f"{name}: unknown attribute, expected one of {', '.join(SCHEMA)}")
        field = SCHEMA[name]
        if value.ndim != 1 + len(field.shape):
            expected = ", ".join(("B", *field.shape))
            raise InputError(f"{name}: shape {list(value.shape)}, expected [{expected}]")
        for symbol, size in zip(field.shape, value.shape[1:], strict=True):
            expected_size = int(symbol) if symbol.isdigit() else sizes.setdefault(symbol, size)
            if size != expected_size:
                raise InputError(f"{name}: size {size} along {symbol}, expected {expected_size}")
        if field.integer != (not value.is_floating_point()):
            kind = "integers" if field.integer else "floating point numbers"
            raise InputError(f"{name}: {value.dtype}, expected {kind}")


def num_nodes(instance: TensorDict) -> int:
    """Number of nodes N, depots included, from the coordinates or the distance matrix."""
    return instance["locs" if "locs" in instance.keys() else "distance"].shape[1]
