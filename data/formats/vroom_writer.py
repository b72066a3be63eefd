"""Writes VROOM's JSON: see `nco.data.formats.vroom`."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.vroom import PER_HOUR
from nco.data.instance import num_depots, num_nodes
from nco.data.metric import Metric, pairwise
from nco.data.values import attributes

STEPS = {Metric.DECIMAL: 10, Metric.MILLI: 1000}  # in which decimal distances are whole
_WRITTEN = {
    *("locs", "metric", "distance", "duration", "depots", "vehicle_count", "fixed_cost"),
    *("unit_cost", "speed", "allowed", "demand", "backhaul", "capacity", "delivery", "shipment"),
    *("open_route", "time_windows", "service_time"),
}


def write_vroom(path: Path, file: FileInstance) -> None:
    """
    Writes an instance, whole or not at all; distances and times in whole steps.

    Raises
    ------
    InputError
        The instance has an attribute that VROOM has no place for, or amounts that are not whole
        numbers: VROOM computes with integers.
    """
    instance = file.instance
    for name in attributes(instance):
        if name not in _WRITTEN:
            raise InputError(f"{path}: VROOM's JSON has no place for {name}, expected .json")
    if "capacity" not in instance.keys():
        raise InputError(f"{path}: no capacity, expected a problem with vehicles")
    metric = Metric(int(instance["metric"])) if "metric" in instance.keys() else Metric.EUCLIDEAN
    given = {"distance", "duration"} & set(instance.keys())
    steps = 1 if given else STEPS.get(metric, 1)
    writer = _Writer(path, instance, steps)
    content = {
        "vehicles": writer.vehicles(),
        **writer.tasks(),
        "matrices": {"car": writer.matrices()},
    }
    with atomic(path) as part:
        part.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


class _Writer:
    """The parts of a file of one instance."""

    def __init__(self, path: Path, instance: TensorDict, steps: int):
        self.path = path
        self.instance = instance
        self.steps = steps
        self.depots = num_depots(instance)
        self.customers = range(self.depots, num_nodes(instance))

    def vehicles(self) -> list[dict[str, Any]]:
        """As many of each kind as there are, or as could be needed."""
        counts = self._per_vehicle("vehicle_count", len(self.customers))
        capacity = self._per_vehicle("capacity", 0)
        fixed = self._per_vehicle("fixed_cost", 0)
        unit, speed = self._per_vehicle("unit_cost", 1), self._per_vehicle("speed", 1)
        is_open = "open_route" in self.instance.keys() and bool(self.instance["open_route"])
        written: list[dict[str, Any]] = []
        for k in range(self.depots):
            vehicle: dict[str, Any] = {"start_index": k, "capacity": [int(capacity[k])]}
            if not is_open:
                vehicle["end_index"] = k
            if fixed[k] or unit[k] != 1 or speed[k] != 1:
                # VROOM's costs are durations, which a speed makes less.
                scale = 1 if "duration" in self.instance.keys() else speed[k]
                vehicle["costs"] = {
                    "fixed": self._whole(fixed[k] * self.steps, "fixed_cost"),
                    "per_hour": self._whole(unit[k] * scale * PER_HOUR, "unit_cost in an hour"),
                }
            if speed[k] != 1:
                vehicle["speed_factor"] = speed[k]
            if (window := self._window(k)) is not None:
                vehicle["time_window"] = window
            if "allowed" in self.instance.keys():
                flags = self.instance["allowed"][0, k].tolist()
                vehicle["skills"] = [node for node in self.customers if flags[node]]
            for _ in range(min(int(counts[k]), len(self.customers))):
                written.append({"id": len(written) + 1, **vehicle})
        return written

    def tasks(self) -> dict[str, list[dict[str, Any]]]:
        """Jobs, or shipments."""
        instance = self.instance
        if "delivery" not in instance.keys():
            jobs = []
            for node in self.customers:
                job = self._stop(node)
                for key, name in (("delivery", "demand"), ("pickup", "backhaul")):
                    if name in instance.keys() and instance[name][0, node]:
                        job[key] = [int(instance[name][0, node])]
                jobs.append(job | self._skills(node))
            return {"jobs": jobs}
        shipments, goes = [], instance["delivery"][0].tolist()
        for node in self.customers:
            if goes[node]:
                load = int(instance["shipment"][0, node]) if "shipment" in instance.keys() else 0
                stops = {"pickup": self._stop(node), "delivery": self._stop(goes[node])}
                shipments.append({"amount": [load], **stops, **self._skills(node)})
        if 2 * len(shipments) != len(self.customers) or "demand" in instance.keys():
            raise InputError(f"{self.path}: customers beside pairs, expected pairs only")
        return {"shipments": shipments}

    def matrices(self) -> dict[str, list[list[int]]]:
        """Durations; where they are none of the distances, these are costs."""
        distance = self._matrix(pairwise(self.instance)[0] * self.steps, "distance")
        if "duration" not in self.instance.keys():
            return {"durations": distance}
        return {
            "durations": self._matrix(self.instance["duration"][0], "duration"),
            "costs": distance,
        }

    def _stop(self, node: int) -> dict[str, Any]:
        stop: dict[str, Any] = {"id": node, "location_index": node}
        if "service_time" in self.instance.keys():
            service = float(self.instance["service_time"][0, node])
            stop["service"] = self._whole(service * self.steps, "service_time")
        if (window := self._window(node)) is not None:
            stop["time_windows"] = [window]
        return stop

    def _skills(self, node: int) -> dict[str, list[int]]:
        return {"skills": [node]} if "allowed" in self.instance.keys() else {}

    def _window(self, node: int) -> list[int] | None:
        if "time_windows" not in self.instance.keys():
            return None
        first, last = self.instance["time_windows"][0, node].tolist()
        if math.isinf(last):
            if first == 0:
                return None
            raise InputError(f"{self.path}: node {node} has a window without end, expected one")
        return [self._whole(moment * self.steps, "time_windows") for moment in (first, last)]

    def _per_vehicle(self, name: str, neutral: float) -> list[float]:
        if name not in self.instance.keys():
            return [neutral] * self.depots
        return self.instance[name].view(-1).expand(self.depots).tolist()

    def _matrix(self, value: Tensor, name: str) -> list[list[int]]:
        if not bool(((value - value.round()).abs() < 1e-6).all()):
            expected = "whole numbers (--rounding nearest)"
            raise InputError(f"{self.path}: {name} with fractions, expected {expected}")
        return value.round().to(torch.long).tolist()

    def _whole(self, value: float, name: str) -> int:
        if abs(value - round(value)) > 1e-6:
            raise InputError(f"{self.path}: {name} {value:g}, expected a whole number")
        return round(value)
