"""What people have, as tensors: NumPy arrays, lists, columns of pandas, tensors, plain numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.instance import SCHEMA, Field, validate
from nco.data.metric import Metric
from nco.data.values import check_values


def make_instance(**fields: Any) -> TensorDict:
    """
    Builds an instance, or a batch of them, from what people have, and checks it.

    Parameters
    ----------
    **fields
        Attributes of `SCHEMA`: NumPy arrays, lists, columns of pandas, tensors. A batch axis in
        front is optional: all have it if ``locs`` (else ``distance``) has it. A single number
        stands for every instance, every vehicle, or every customer. A ``metric`` may be named.

    Returns
    -------
    TensorDict
        Batch size ``[B]``, 1 for a single instance. Floating point tensors and arrays keep their
        precision, everything else that measures something gets float64; counts are int64.

    Raises
    ------
    InputError
        An attribute is unknown or no array of numbers, its shape or kind is wrong, or a value is
        none that it may have: see `validate` and `check_values`.

    Examples
    --------
    >>> inst = make_instance(locs=[[0, 0], [3, 4], [6, 8]], demand=[0, 2, 3], capacity=4)
    >>> inst["capacity"], inst["demand"].shape
    (tensor([4]), torch.Size([1, 3]))
    >>> make_instance(locs=[[0, 0], [3, 4]], demand=[0, -2], capacity=4)
    Traceback (most recent call last):
        ...
    nco.data.errors.InputError: demand: -2 at [1], expected a number from 0 to 2.14748e+09
    """
    if not fields:
        raise InputError("an instance needs at least one attribute, found none")
    for name in fields:
        if name not in SCHEMA:
            raise InputError(f"{name}: unknown attribute, expected one of {', '.join(SCHEMA)}")
    tensors = _as_batch(fields)
    instance = TensorDict(tensors, batch_size=next(iter(tensors.values())).shape[:1])
    validate(instance)
    check_values(instance)
    return instance


def _as_batch(values: Mapping[str, Any]) -> dict[str, Tensor]:
    """Attributes as tensors of the schema's kinds, with a batch dimension."""
    tensors = {name: _tensor(name, value, SCHEMA[name].integer) for name, value in values.items()}
    places = next((name for name in ("locs", "distance") if name in tensors), None)
    if places is None:  # as it is: `nco.data.values.check_values` asks for it
        return tensors
    geometry = tensors[places]
    if geometry.ndim not in (2, 3):
        last = "2" if places == "locs" else "N"
        found = list(geometry.shape)
        raise InputError(f"{places}: shape {found}, expected [N, {last}] or [B, N, {last}]")
    single = geometry.ndim == 2
    count, nodes = (1, *geometry.shape)[-3:-1] if single else geometry.shape[:2]
    depots = tensors.get("depots", torch.zeros(1))
    vehicles = depots.shape[-1] if depots.ndim else 1
    found_tensors = {}
    for name, value in tensors.items():
        field = SCHEMA[name]
        if value.ndim == 0:
            value = _everywhere(value, field.shape, count, nodes, vehicles)
        elif single:
            value = _in_front(name, value, field, vehicles)
        if value.ndim and len(value) != count:
            raise InputError(f"{name}: {len(value)} instances, expected {count} as of {places}")
        found_tensors[name] = value
    return found_tensors


def _in_front(name: str, value: Tensor, field: Field, vehicles: int) -> Tensor:
    """The value of a single instance with a batch axis in front."""
    if field.per_vehicle and value.ndim == 1:
        return value if len(value) == vehicles == 1 else value.unsqueeze(0)
    if value.ndim != len(field.shape):
        expected = f"[{', '.join(field.shape)}]" if field.shape else "a number"
        raise InputError(f"{name}: shape {list(value.shape)}, expected {expected} of one instance")
    return value.unsqueeze(0)


def _everywhere(
    value: Tensor, shape: tuple[str, ...], count: int, nodes: int, vehicles: int
) -> Tensor:
    """One number for all instances, vehicles, or customers (0 at the depots)."""
    if shape == ("N",):
        value = value.repeat(count, nodes)
        value[:, :vehicles] = 0
        return value
    return value.repeat(count, vehicles) if shape == ("V",) else value.repeat(count)


def _tensor(name: str, value: Any, integer: bool) -> Tensor:
    """Numbers of the right kind, in double precision unless they are floating point already."""
    if name == "metric" and isinstance(value, str):
        if value not in Metric.__members__:
            raise InputError(f"metric: {value!r}, expected one of {', '.join(Metric.__members__)}")
        value = int(Metric[value])
    if not isinstance(value, Tensor):
        try:
            array = np.asarray(value)
        except ValueError:  # lists of different lengths
            raise InputError(f"{name}: lists of different lengths, expected an array") from None
        if array.dtype.kind not in "biuf":
            shown = " ".join(str(value).split())[:40]
            raise InputError(f"{name}: {shown!r}, expected an array of numbers")
        if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
            array = array.astype(np.float64)
        value = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=True))
    if not integer:
        return value if value.is_floating_point() else value.double()
    if value.is_floating_point():
        wrong = ~(value == value.round()) | value.isinf()
        if wrong.any():
            at = wrong.nonzero()[0].tolist()
            place = f" at {at}" if at else ""
            raise InputError(f"{name}: {value[tuple(at)].item():g}{place}, expected integers")
    return value if value.dtype == torch.bool else value.long()
