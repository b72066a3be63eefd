"""Attributes that say nothing, so that one batch may mix instances of several problems."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.instance import SCHEMA, num_depots, num_nodes, validate


def neutral(name: str, instance: TensorDict) -> Tensor:
    """
    The neutral value of an attribute in the shape that fits the instances ``[B]``.

    Raises
    ------
    InputError
        The attribute has none, such as coordinates or a distance matrix.
    """
    field = SCHEMA[name]
    if field.neutral is None:
        raise InputError(f"{name}: absent from some instances only, and no value means nothing")
    sizes = {"N": num_nodes(instance), "V": num_depots(instance), "2": 2}
    shape = (instance.batch_size[0], *(sizes[symbol] for symbol in field.shape))
    like = instance["locs"] if "locs" in instance.keys() else instance["distance"]
    dtype = torch.long if field.integer else like.dtype
    value = torch.tensor(field.neutral, dtype=dtype, device=like.device)
    return value.expand(shape).clone()


def is_neutral(instance: TensorDict, name: str) -> Tensor:
    """Which instances ``[B]`` have the neutral value of an attribute everywhere, or lack it."""
    if name not in instance.keys():
        device = next(iter(instance.values())).device
        return torch.ones(len(instance), dtype=torch.bool, device=device)
    value: Tensor = instance[name]
    expected = SCHEMA[name].neutral
    if expected is None:
        return torch.zeros(len(instance), dtype=torch.bool, device=value.device)
    same = value == torch.as_tensor(expected, device=value.device)
    return same.reshape(len(instance), -1).all(-1)


def says_nothing(name: str, value: Tensor) -> bool:
    """Whether an attribute has its neutral value everywhere: as if it were absent."""
    neutral = SCHEMA[name].neutral
    if neutral is None:
        return False
    return bool((value == torch.as_tensor(neutral, device=value.device)).all())


def complete(instance: TensorDict, names: Sequence[str]) -> TensorDict:
    """The instances with neutral values for those of the attributes that they lack."""
    missing = {name: neutral(name, instance) for name in names if name not in instance.keys()}
    return instance.copy().update(missing)


def join(batches: Sequence[TensorDict]) -> TensorDict:
    """
    Instances of several problems as one batch; they have the same numbers of nodes and depots.

    Raises
    ------
    InputError
        The sizes differ, or an attribute that some lack has no neutral value.
    """
    names = [name for name in SCHEMA if any(name in batch.keys() for batch in batches)]
    sizes = {(num_nodes(batch), num_depots(batch)) for batch in batches}
    if len(sizes) != 1:
        found = ", ".join(f"{nodes} nodes with {depots} depots" for nodes, depots in sorted(sizes))
        raise InputError(f"instances of {found}, expected one size")
    ((_, depots),) = sizes
    full = [complete(batch, names) for batch in batches]
    fields = {}
    for name in names:
        values = [batch[name] for batch in full]
        if SCHEMA[name].per_vehicle and any(value.ndim == 2 for value in values):
            values = [v if v.ndim == 2 else v.unsqueeze(-1).expand(-1, depots) for v in values]
        if SCHEMA[name].integer:
            values = [value.long() for value in values]
        fields[name] = torch.cat(values)
    joined = TensorDict(fields, batch_size=[sum(len(batch) for batch in full)])
    validate(joined)
    return joined
