"""
What the engine is told of each rule of a problem. A new rule is one more row.

A row returns columns of the engine's instance: numbers of nodes ``[N]``, of kinds of vehicles
``[V]``, or flags. The engine combines them in O(1) at each insertion (see ``kernels/sisr.cpp``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import SCHEMA
from nco.envs.constraint import Constraint
from nco.envs.constraints import (
    AllowedVehicles,
    Capacity,
    DistanceLimit,
    DurationLimit,
    Fleet,
    LinehaulFirst,
    MaximumLoad,
    MixedLoad,
    OneCommodity,
    OpenRoutes,
    TimeWindows,
)

NEVER = 1e15  # the engine's infinity: sums of it are numbers

Columns = Mapping[str, NDArray[Any] | int]


@dataclass(frozen=True)
class Units:
    """
    The engine's units: 10 for each unit of the instance where distances are tenths, so that sums
    are exact.

    Parameters
    ----------
    length, time
        Units for each unit of the instance.
    """

    length: float
    time: float


Row = Callable[[TensorDict, Any, Units], Columns]


def scaled(amounts: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Amounts in the engine's units; whole numbers where only rounding keeps them from it."""
    found = np.minimum(np.where(np.isfinite(amounts), amounts, NEVER) * factor, NEVER)
    near = np.rint(found)
    return np.where(np.abs(found - near) < 1e-6, near, found)


def values(instance: TensorDict, name: str, size: int) -> NDArray[np.float64]:
    """An attribute of nodes or vehicles ``[size]``, or its neutral value, in double precision."""
    if name not in instance.keys():
        return np.full(size, SCHEMA[name].neutral, dtype=np.float64)
    found = instance[name][0].double().cpu().numpy()
    return np.array(np.broadcast_to(found, (size,)))


def kinds_of(instance: TensorDict) -> int:
    """Depot nodes V."""
    return instance["depots"].shape[-1] if "depots" in instance.keys() else 1


def nodes_of(instance: TensorDict) -> int:
    """Nodes N."""
    return instance["locs" if "locs" in instance.keys() else "distance"].shape[1]


def flag(instance: TensorDict, name: str) -> int:
    """A flag of the instance, 0 where it is absent."""
    return int(bool(instance[name][0])) if name in instance.keys() else 0


def _capacity(instance: TensorDict, rule: Capacity, units: Units) -> Columns:
    return {
        "delivery": values(instance, "demand", nodes_of(instance)),
        "capacity": values(instance, "capacity", kinds_of(instance)),
    }


def _both_ways(instance: TensorDict, rule: Constraint, units: Units) -> Columns:
    """Deliveries and pickups; no shipments from customer to customer."""
    if "delivery" in instance.keys():
        raise InputError("sisr cannot express shipments from customer to customer")
    pickup = values(instance, "backhaul", nodes_of(instance))
    return {**_capacity(instance, rule, units), "pickup": pickup}  # type: ignore[arg-type]


def _one_commodity(instance: TensorDict, rule: Constraint, units: Units) -> Columns:
    return {**_both_ways(instance, rule, units), "one_commodity": 1}


def _mixed_load(instance: TensorDict, rule: MixedLoad, units: Units) -> Columns:
    columns = _both_ways(instance, rule, units)
    return {**columns, "one_commodity": flag(instance, "one_commodity")}


def _linehaul_first(instance: TensorDict, rule: LinehaulFirst, units: Units) -> Columns:
    pickup = values(instance, "backhaul", nodes_of(instance))
    return {"pickup": pickup, "linehaul_first": flag(instance, "linehaul_first")}


def _distance_limit(instance: TensorDict, rule: DistanceLimit, units: Units) -> Columns:
    limit = values(instance, "distance_limit", kinds_of(instance))
    return {"length_limit": scaled(limit, units.length)}


def _times(instance: TensorDict, rule: Any, units: Units) -> dict[str, NDArray[Any]]:
    """Travel, services and windows; release times have no segment."""
    if rule.release:
        raise InputError(f"sisr cannot express {type(rule).__name__} with release times")
    service = values(instance, "service_time", nodes_of(instance))
    found: dict[str, NDArray[Any]] = {"service": scaled(service, units.time)}
    if "speed" in instance.keys():
        found["speed"] = values(instance, "speed", kinds_of(instance))
    if "duration" in instance.keys():
        durations = instance["duration"][0].double().cpu().numpy()
        found["duration"] = scaled(durations, units.time)
    if "time_windows" in instance.keys():
        windows = instance["time_windows"][0].double().cpu().numpy()
        found["open"], found["close"] = scaled(windows, units.time).T
    return found


def _time_windows(instance: TensorDict, rule: TimeWindows, units: Units) -> Columns:
    return _times(instance, rule, units)


def _duration_limit(instance: TensorDict, rule: DurationLimit, units: Units) -> Columns:
    """Waiting counts, so that windows are those of the instance; lateness is another rule's."""
    limit = values(instance, "duration_limit", kinds_of(instance))
    return {**_times(instance, rule, units), "duration_limit": scaled(limit, units.time)}


def _open_routes(instance: TensorDict, rule: OpenRoutes, units: Units) -> Columns:
    """The model of the vehicles says where routes end, with the rule or without."""
    return {}


def _allowed(instance: TensorDict, rule: AllowedVehicles, units: Units) -> Columns:
    return {"allowed": instance["allowed"][0].cpu().numpy().astype(np.uint8)}


def _fleet(instance: TensorDict, rule: Fleet, units: Units) -> Columns:
    count = instance["vehicle_count"][0].cpu().numpy().astype(np.int64)
    return {"count": np.array(np.broadcast_to(count, (kinds_of(instance),)))}


TERMS: dict[type[Constraint], Row] = {
    AllowedVehicles: _allowed,
    Capacity: _capacity,
    DistanceLimit: _distance_limit,
    DurationLimit: _duration_limit,
    Fleet: _fleet,
    LinehaulFirst: _linehaul_first,
    MaximumLoad: _both_ways,
    MixedLoad: _mixed_load,
    OneCommodity: _one_commodity,
    OpenRoutes: _open_routes,
    TimeWindows: _time_windows,
}
