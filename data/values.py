"""What the values of an instance may be: checked where instances come from files."""

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.instance import SCHEMA, num_depots, num_nodes
from nco.data.metric import Metric
from nco.data.numbers import MAX_INTEGER, MAX_REAL

ARCS = {"distance", "duration"}  # infinite where there is no way


def check_values(instance: TensorDict) -> None:
    """
    Looks at every value of a validated instance ``[B]``.

    Raises
    ------
    InputError
        There is no geometry, or a value is not finite (nor the infinity that means no bound),
        negative where it is an amount, absurdly large, no known metric, a time window that closes
        before it opens, or a pair of pickup and delivery that is none. Whether vehicles can do
        what is asked (carry every demand) is up to the problem's rules.
    """
    if not {"locs", "distance"} & set(instance.keys()):
        raise InputError("neither locs nor distance, expected one of them")
    if num_nodes(instance) < 1:
        raise InputError("no nodes, expected at least one")
    for name in attributes(instance):
        value = instance[name]
        high = MAX_INTEGER if SCHEMA[name].integer else MAX_REAL
        low = -high if SCHEMA[name].signed else 0
        wrong = ~((value >= low) & (value <= high))  # NaN compares false
        if unbounded(name):
            wrong &= value != torch.inf
        _refuse(name, value, wrong, f"a number from {low:g} to {high:g}")
    if "metric" in instance.keys():
        known = torch.tensor([int(metric) for metric in Metric])
        wrong = ~torch.isin(instance["metric"], known)
        _refuse("metric", instance["metric"], wrong, f"one of {[int(m) for m in Metric]}")
    depots = num_depots(instance)
    for name in ("demand", "backhaul", "shipment", "delivery"):
        if name in instance.keys():
            value = instance[name]
            _refuse(name, value[:, :depots], value[:, :depots] > 0, "0 at the depot")
    if "capacity" in instance.keys():
        _refuse("capacity", instance["capacity"], instance["capacity"] < 1, "at least 1")
    if "speed" in instance.keys():
        _refuse("speed", instance["speed"], instance["speed"] <= 0, "a positive number")
    if "time_windows" in instance.keys():
        first, last = instance["time_windows"].unbind(-1)
        _refuse("time_windows", last, last < first, "an end no earlier than the beginning")
    if "delivery" in instance.keys():
        _check_pairs(instance["delivery"], depots)


def unbounded(name: str) -> bool:
    """Whether an attribute may be infinite: where that says that there is no bound, or no way."""
    if name in ARCS:
        return True
    neutral = SCHEMA[name].neutral
    return torch.inf in (neutral if isinstance(neutral, tuple) else (neutral,))


def _check_pairs(delivery: Tensor, depots: int) -> None:
    """Every delivery is that of one pickup, and no pickup itself."""
    nodes = delivery.shape[1]
    paired = delivery > 0
    expected = f"0 or a customer, {depots} to {nodes - 1}"
    _refuse("delivery", delivery, paired & ((delivery < depots) | (delivery >= nodes)), expected)
    pickups = delivery.new_zeros(delivery.shape).scatter_add(1, delivery, paired.long())
    of_target = pickups.gather(1, delivery)
    _refuse("delivery", delivery, paired & (of_target > 1), "a node that no other pickup goes to")
    own = paired & paired.gather(1, delivery)
    _refuse("delivery", delivery, own, "a node that is no pickup itself")


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
