"""What the values of an instance may be: checked where instances come from files."""

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.instance import SCHEMA, num_nodes
from nco.data.metric import Metric
from nco.data.numbers import MAX_INTEGER, MAX_REAL

SIGNED = {"locs", "view"}  # everything else counts or measures an amount


def check_values(instance: TensorDict) -> None:
    """
    Looks at every value of a validated instance ``[B]``.

    Raises
    ------
    InputError
        There is no geometry, or a value is not finite, negative where it is an amount, absurdly
        large, no known metric, or a demand that no vehicle can carry.
    """
    if not {"locs", "distance"} & set(instance.keys()):
        raise InputError("neither locs nor distance, expected one of them")
    if num_nodes(instance) < 1:
        raise InputError("no nodes, expected at least one")
    for name in attributes(instance):
        value = instance[name]
        high = MAX_INTEGER if SCHEMA[name].integer else MAX_REAL
        low = -high if name in SIGNED else 0
        wrong = ~((value >= low) & (value <= high))  # NaN compares false
        _refuse(name, value, wrong, f"a number from {low:g} to {high:g}")
    if "metric" in instance.keys():
        known = torch.tensor([int(metric) for metric in Metric])
        wrong = ~torch.isin(instance["metric"], known)
        _refuse("metric", instance["metric"], wrong, f"one of {[int(m) for m in Metric]}")
    if "capacity" in instance.keys():
        _refuse("capacity", instance["capacity"], instance["capacity"] < 1, "at least 1")
        if "demand" in instance.keys():
            demand = instance["demand"]
            wrong = demand > instance["capacity"].unsqueeze(-1)
            _refuse("demand", demand, wrong, "at most the capacity")
            _refuse("demand", demand[:, :1], demand[:, :1] > 0, "0 at the depot")


def attributes(instance: TensorDict) -> list[str]:
    """The attributes that an instance has, in the order of the schema."""
    return [name for name in SCHEMA if name in instance.keys()]


def _refuse(name: str, value: Tensor, wrong: Tensor, expected: str) -> None:
    if wrong.any():
        index = wrong.nonzero()[0].tolist()
        found = value[tuple(index)].item()
        place = f" at {index[1:]}" if len(index) > 1 else ""
        row = f" of instance {index[0]}" if len(value) > 1 else ""
        raise InputError(f"{name}: {found:g}{place}{row}, expected {expected}")
