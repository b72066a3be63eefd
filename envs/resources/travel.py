"""
Lengths and travel times as masks compute them: in double precision, in whole steps where there are.

Distances have the metric and the precision of the instance. Files whose distances are tenths or
thousandths (`nco.data.metric.resolution`) are computed in these steps, since the sums of whole
numbers are exact: a vehicle that arrives in the last moment of a window is in time.
"""

from typing import Literal

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots, num_nodes
from nco.data.metric import leg, legs_from, pairwise, resolution
from nco.envs.state import State

Kind = Literal["length", "time"]
TABLE_ENTRIES = 2**24  # 128 MB: beyond, rows are computed whenever they are needed


def time_kind(instance: TensorDict) -> Kind:
    """What travel times are made of: durations of their own, or the lengths."""
    return "time" if "duration" in instance.keys() else "length"


def in_steps(instance: TensorDict, kind: Kind, value: Tensor) -> Tensor:
    """
    Amounts ``[B, ...]`` in the steps of lengths or times, double precision.

    What lies within rounding of a whole number of steps is that number.
    """
    value = value.double()
    steps = None if kind == "time" else resolution(instance)
    if steps is None:
        return value
    value = value * steps.view(-1, *(1,) * (value.ndim - 1))
    whole = value.round()
    return torch.where((value - whole).abs() < 1e-6, whole, value)


def travel_tables(instance: TensorDict, kind: Kind) -> dict[str, Tensor]:
    """
    All legs from every node, ``kind``, and to every node, ``kind to``, each ``[B, N, N]``.

    Empty if that is too large; `row` and `column` then compute what they need.
    """
    batch, nodes = instance.batch_size[0], num_nodes(instance)
    if batch * nodes * nodes > TABLE_ENTRIES:
        return {}
    table = in_steps(instance, kind, pairwise(_as_distance(instance, kind)))
    given = kind == "time" or "distance" in instance.keys()
    return {kind: table, f"{kind} to": table.mT.contiguous() if given else table}


def row(state: State, kind: Kind, node: Tensor) -> Tensor:
    """Legs from single nodes ``[B, R]`` to all nodes, ``[B, R, N]``."""
    if kind in state.tables:
        return pick_rows(state.tables[kind], node)
    instance = _as_distance(state.instance, kind)
    return in_steps(state.instance, kind, legs_from(instance, node))


def column(state: State, kind: Kind, node: Tensor) -> Tensor:
    """Legs from all nodes to single nodes ``[B, R]``: ``[B, R, N]``."""
    if f"{kind} to" in state.tables:
        return pick_rows(state.tables[f"{kind} to"], node)
    instance = _as_distance(state.instance, kind)
    if "distance" in instance.keys():
        matrix = instance["distance"]
        legs = matrix.gather(2, node.unsqueeze(1).expand(-1, matrix.shape[1], -1)).mT
    else:
        legs = legs_from(instance, node)
    return in_steps(state.instance, kind, legs)


def single(state: State, kind: Kind, origin: Tensor, target: Tensor) -> Tensor:
    """Single legs, for any number of them ``[B, ...]``."""
    if kind in state.tables:
        table = state.tables[kind]
        entry = (origin * table.shape[-1] + target).flatten(1)
        return table.flatten(1).gather(1, entry).view(origin.shape)
    instance = _as_distance(state.instance, kind)
    return in_steps(state.instance, kind, leg(instance, origin, target))


def pick_rows(table: Tensor, node: Tensor) -> Tensor:
    """Rows ``node [B, R]`` of ``table [B, M, N]``: ``[B, R, N]``."""
    batch, count, width = table.shape
    if count == 1:
        return table.expand(-1, node.shape[1], -1)
    offset = torch.arange(batch, device=node.device).unsqueeze(-1) * count
    return table.flatten(0, 1).index_select(0, (node + offset).flatten()).view(*node.shape, width)


def of_vehicle(state: State, name: str) -> Tensor:
    """What the running route's vehicle has of an attribute ``[B]`` or ``[B, V]``: ``[B, R]``."""
    return per_vehicle(state.instance[name], state.first)


def per_vehicle(value: Tensor, vehicle: Tensor) -> Tensor:
    """Entries of ``value [B]`` or ``[B, V]`` for depot nodes ``[B, R]``: ``[B, R]``."""
    if value.ndim == 1:
        return value.unsqueeze(-1).expand_as(vehicle)
    return value.gather(1, vehicle.clamp_min(0))  # -1 before the first route


def at_depot(state: State, action: Tensor) -> Tensor:
    """Which actions end a route, bool in their shape."""
    return action < num_depots(state.instance)


def stays_out(state: State) -> Tensor | None:
    """Instances whose routes are open, bool ``[B, 1, 1]``; None where none is."""
    if "open_route" not in state.instance.keys():
        return None
    return state.instance["open_route"].bool()[:, None, None]


def _as_distance(instance: TensorDict, kind: Kind) -> TensorDict:
    """An instance whose distances are the amounts of this kind."""
    if kind == "length":
        return instance
    return TensorDict({"distance": instance["duration"]}, batch_size=instance.batch_size)
