"""
``.npz`` data sets of RL4CO, RouteFinder and RRNCO, told by their keys.

RouteFinder's and RL4CO's MTVRP (Berto et al. 2025): ``locs [B, N, 2]``, ``demand_linehaul [B, n]``,
``demand_backhaul [B, n]``, ``vehicle_capacity [B, 1]``, ``capacity_original``, ``distance_limit``,
``time_windows [B, N, 2]``, ``service_time [B, N]``, ``open_route``, ``speed``, ``backhaul_class``
(1: deliveries first, 2: mixed), ``num_depots``. RRNCO (2026) adds ``distance_matrix`` and
``duration_matrix [B, N, N]``. RL4CO's CVRP has ``depot [B, 2]``, ``locs [B, n, 2]``,
``demand [B, n]`` and ``capacity``.

Loads there are shares of a vehicle, whole numbers divided by ``capacity_original`` (or
``capacity``): they are read as these whole numbers, and refused if they are none. What says
nothing (an endless window, no backhaul, speed 1) is left out.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from nco.data.errors import InputError

Arrays = Mapping[str, Tensor]
# Keys that only these files have.
SIGNS = {"demand_linehaul", "vehicle_capacity", "capacity_original", "distance_matrix", "depot"}
KNOWN = SIGNS | {
    *("locs", "demand_backhaul", "distance_limit", "time_windows", "service_time", "open_route"),
    *("speed", "backhaul_class", "num_depots", "duration_matrix", "demand", "capacity"),
}
NEAR = 1e-4  # of a whole number, in units of the load: shares are of single precision


def is_foreign(arrays: Arrays) -> bool:
    """Whether the arrays are of such a data set."""
    return bool(SIGNS & arrays.keys())


def from_foreign(arrays: Arrays) -> dict[str, Tensor]:
    """
    The attributes of the schema.

    Raises
    ------
    InputError
        A key is unknown, or an array has a shape or values that it cannot have.
    """
    for key, value in arrays.items():
        if key not in KNOWN:
            raise InputError(f"array {key!r}, expected one of {', '.join(sorted(KNOWN))}")
        if not value.ndim or not len(value):
            raise InputError(f"{key}: shape {list(value.shape)}, expected instances")
    fields: dict[str, Tensor] = {}
    for key, name in (("distance_matrix", "distance"), ("duration_matrix", "duration")):
        if key in arrays:
            fields[name] = arrays[key].double()
    if "locs" in arrays:
        locs = _shaped(arrays, "locs", 3).double()
        if "depot" in arrays:
            depot = arrays["depot"].double().view(len(locs), -1, 2)
            locs = torch.cat([depot, locs], 1)
        fields["locs"] = locs
    if not fields.keys() & {"locs", "distance"}:
        raise InputError("neither locs nor distance_matrix, expected one of them")
    geometry = fields["distance"] if "distance" in fields else fields["locs"]
    batch, nodes = geometry.shape[:2]
    depots = _count(arrays)
    if depots > 1:
        fields["depots"] = torch.arange(depots).expand(batch, -1).clone()
    return fields | _loads(arrays, batch, nodes) | _times(arrays, batch, nodes)


def _loads(arrays: Arrays, batch: int, nodes: int) -> dict[str, Tensor]:
    """Whole demands and capacity."""
    demand = "demand_linehaul" if "demand_linehaul" in arrays else "demand"
    if demand not in arrays:
        return {}
    whole = next((key for key in ("capacity_original", "capacity") if key in arrays), None)
    if whole is None:
        raise InputError("neither capacity_original nor capacity, expected one of them")
    capacity = _one_each(arrays, whole, batch).double()
    share = torch.ones_like(capacity)
    if "vehicle_capacity" in arrays:
        share = _one_each(arrays, "vehicle_capacity", batch).double()
    elif bool((arrays[demand] > 1).any()):  # no shares
        share = capacity
    fields = {"capacity": _whole(capacity, whole)}
    for key, name in ((demand, "demand"), ("demand_backhaul", "backhaul")):
        if key in arrays:
            amounts = _of_nodes(arrays, key, batch, nodes) * (capacity / share).unsqueeze(-1)
            fields[name] = _whole(amounts, key)
    if "backhaul" in fields and not fields["backhaul"].any():
        del fields["backhaul"]
    if "backhaul" in fields and "backhaul_class" in arrays:
        kind = _one_each(arrays, "backhaul_class", batch)
        if not bool(((kind == 1) | (kind == 2)).all()):
            raise InputError(f"backhaul_class {float(kind.max()):g}, expected 1 or 2")
        if bool((kind == 1).any()):
            fields["linehaul_first"] = (kind == 1).long()
    elif "backhaul" in fields:  # RL4CO knows no other
        fields["linehaul_first"] = torch.ones(batch, dtype=torch.long)
    return fields


def _times(arrays: Arrays, batch: int, nodes: int) -> dict[str, Tensor]:
    """Limits, windows and speed, where they say something."""
    fields: dict[str, Tensor] = {}
    if "distance_limit" in arrays:
        limit = _one_each(arrays, "distance_limit", batch).double()
        if bool(limit.isfinite().any()):
            fields["distance_limit"] = limit
    if "open_route" in arrays:
        is_open = _one_each(arrays, "open_route", batch)
        if is_open.any():
            fields["open_route"] = is_open.long()
    if "time_windows" in arrays:
        windows = arrays["time_windows"].double()
        if windows.shape != (batch, nodes, 2):
            found = list(windows.shape)
            raise InputError(f"time_windows: shape {found}, expected {[batch, nodes, 2]}")
        if bool(windows.isfinite().all(-1).any()):
            service = torch.zeros(batch, nodes, dtype=torch.double)
            if "service_time" in arrays:
                service = _of_nodes(arrays, "service_time", batch, nodes)
            service[:, : _count(arrays)] = 0
            fields |= {"time_windows": windows, "service_time": service}
    if "speed" in arrays:
        speed = _one_each(arrays, "speed", batch).double()
        if bool((speed != 1).any()):
            fields["speed"] = speed.unsqueeze(-1).repeat(1, _count(arrays))
    return fields


def _count(arrays: Arrays) -> int:
    if "num_depots" not in arrays:
        return 1
    counts = arrays["num_depots"].unique().tolist()
    if len(counts) != 1 or counts[0] < 1:
        raise InputError(f"num_depots {counts[:3]}, expected one number for all instances")
    return int(counts[0])


def _one_each(arrays: Arrays, key: str, batch: int) -> Tensor:
    value = arrays[key]
    if value.numel() != batch:
        raise InputError(f"{key}: shape {list(value.shape)}, expected [{batch}, 1]")
    return value.reshape(batch)


def _of_nodes(arrays: Arrays, key: str, batch: int, nodes: int) -> Tensor:
    """``[B, N]``; the depots may be left out, where it is 0."""
    value, depots = arrays[key].double(), _count(arrays)
    if value.shape not in ((batch, nodes), (batch, nodes - depots)):
        found = list(value.shape)
        raise InputError(f"{key}: shape {found}, expected {[batch, nodes - depots]}")
    return torch.nn.functional.pad(value, (nodes - value.shape[1], 0))


def _whole(value: Tensor, key: str) -> Tensor:
    whole = value.round()
    wrong = ~((value - whole).abs() < NEAR)
    if wrong.any():
        raise InputError(
            f"{key}: {float(value[wrong][0]):g} of the capacity, expected a whole number"
        )
    return whole.long()


def _shaped(arrays: Arrays, key: str, dimensions: int) -> Tensor:
    value = arrays[key]
    if value.ndim != dimensions or value.shape[-1] != 2:
        raise InputError(f"{key}: shape {list(value.shape)}, expected [B, N, 2]")
    return value
