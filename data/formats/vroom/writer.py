"""
Writes VROOM's JSON: see `nco.data.formats.vroom`.

Every depot node is a place of the matrix, those of one depot share the first of them. The vehicles
stand in the order of the file that was read, or kind by kind. Skills stand for flags: the skill of
a customer is its number, and the vehicles that may visit it have it.
"""

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
from nco.data.formats.missing_arcs import number_for_none
from nco.data.formats.problem_name import routing_problem
from nco.data.formats.vroom.entries import PER_HOUR, UNENDING
from nco.data.instance import SCHEMA, num_depots, num_nodes
from nco.data.metric import Metric, pairwise
from nco.data.neutral import says_nothing
from nco.data.values import attributes

STEPS = {Metric.DECIMAL: 10, Metric.MILLI: 1000}  # in which decimal distances are whole
_LOADS = {"delivery": "demand", "pickup": "backhaul"}
_WRITTEN = {
    *("locs", "metric", "distance", "duration", "depots", "vehicle_count", "fixed_cost"),
    *("unit_cost", "speed", "allowed", "demand", "backhaul", "capacity", "delivery", "shipment"),
    *("open_route", "distance_limit", "time_windows", "service_time"),
}


def write_vroom(path: Path, file: FileInstance) -> None:
    """
    Writes an instance, whole or not at all; distances and times in whole steps.

    Raises
    ------
    InputError
        The problem or an attribute of the instance says what VROOM has no place for, or amounts
        are no whole numbers: VROOM computes with integers.
    """
    instance = file.instance
    for name in attributes(instance):
        known = name in _WRITTEN or SCHEMA[name].vroom is not None
        if not known and not says_nothing(name, instance[name]):
            raise InputError(f"{path}: VROOM's JSON has no place for {name}, expected .json")
    if "capacity" not in instance.keys():
        raise InputError(f"{path}: no capacity, expected a problem with vehicles")
    plain = routing_problem(instance)
    if file.problem.removeprefix("a") != plain:  # of asymmetric distances, which any problem takes
        raise InputError(
            f"{path}: problem {file.problem} says more than attributes do, expected {plain}"
        )
    metric = Metric(int(instance["metric"])) if "metric" in instance.keys() else Metric.EUCLIDEAN
    given = {"distance", "duration"} & set(instance.keys())
    steps = 1 if given else STEPS.get(metric, 1)
    writer = _Writer(path, file, steps)
    content = {
        "vehicles": writer.vehicles(),
        **writer.tasks(),
        "matrices": {"car": writer.matrices()},
    }
    with atomic(path) as part:
        part.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


class _Writer:
    """The parts of a file of one instance."""

    def __init__(self, path: Path, file: FileInstance, steps: int):
        self.path = path
        self.instance: TensorDict = file.instance
        self.labels = file.labels
        self.order = file.vehicles
        self.steps = steps
        self.depots = num_depots(self.instance)
        self.customers = range(self.depots, num_nodes(self.instance))

    def vehicles(self) -> list[dict[str, Any]]:
        """As many of each kind as there are, or as could be needed."""
        counts = self._per_vehicle("vehicle_count", len(self.customers))
        capacity = self._per_vehicle("capacity", 0)
        fixed = self._per_vehicle("fixed_cost", 0)
        unit, speed = self._per_vehicle("unit_cost", 1), self._per_vehicle("speed", 1)
        limit = self._per_vehicle("distance_limit", math.inf)
        place = self._per_vehicle("depots", 0)
        is_open = "open_route" in self.instance.keys() and bool(self.instance["open_route"])
        timed = "duration" in self.instance.keys()
        kinds: list[dict[str, Any]] = []
        for k in range(self.depots):
            at = place.index(place[k])
            vehicle: dict[str, Any] = {"capacity": [int(capacity[k])]}
            ends = ["start"] if is_open else ["start", "end"]
            for end in ends:
                vehicle[f"{end}_index"] = at
                if "locs" in self.instance.keys():
                    vehicle[end] = self.instance["locs"][0, at].tolist()
            costs = {"fixed": self._whole(fixed[k] * self.steps, "fixed_cost")}
            if timed and unit[k] != 1:
                found = f"unit_cost {unit[k]:g} of distances beside durations"
                raise InputError(f"{self.path}: {found}, expected 1")
            if not timed:  # VROOM's costs are durations, which a speed makes less
                per_hour = unit[k] * speed[k] * PER_HOUR
                costs["per_hour"] = self._whole(per_hour, "unit_cost in an hour")
            if costs["fixed"] or costs.get("per_hour", PER_HOUR) != PER_HOUR:
                vehicle["costs"] = costs
            if limit[k] < math.inf:
                if timed:
                    raise InputError(f"{self.path}: distance_limit beside durations, expected none")
                travel = limit[k] * self.steps / speed[k]
                vehicle["max_travel_time"] = self._whole(travel, "distance_limit")
            if speed[k] != 1:
                vehicle["speed_factor"] = speed[k]
            if (window := self._window(k)) is not None:
                vehicle["time_window"] = window
            if "allowed" in self.instance.keys():
                flags = self.instance["allowed"][0, k].tolist()
                vehicle["skills"] = [node for node in self.customers if flags[node]]
            for name, field in SCHEMA.items():
                if field.vroom is not None and name in self.instance.keys():
                    vehicle[field.vroom] = self._whole(self._per_vehicle(name, 0)[k], name)
            kinds.append(vehicle)
        order = self.order
        if order is None:
            most = len(self.customers)
            order = tuple(k for k in range(self.depots) for _ in range(min(int(counts[k]), most)))
        return [{"id": number, **kinds[k]} for number, k in enumerate(order, start=1)]

    def tasks(self) -> dict[str, list[dict[str, Any]]]:
        """Jobs and shipments."""
        jobs: list[dict[str, Any]] = []
        shipments: list[dict[str, Any]] = []
        loads = {key: self._amounts(name) for key, name in _LOADS.items()}
        goes, amounts = self._amounts("delivery"), self._amounts("shipment")
        targets = {node for node in goes if node}
        for node in self.customers:
            served = {key: [amount[node]] for key, amount in loads.items() if amount[node]}
            if goes[node] or node in targets:
                if served:
                    found = f"demand of node {node} beside a shipment"
                    raise InputError(f"{self.path}: {found}, expected one of them")
                if goes[node]:
                    shipments.append(self._shipment(node, goes[node], amounts[node]))
            else:
                jobs.append({**self._stop(node), **served, **self._skills(node)})
        both = {"jobs": jobs, "shipments": shipments}
        return {key: tasks for key, tasks in both.items() if tasks}

    def _shipment(self, pickup: int, delivery: int, load: int) -> dict[str, Any]:
        stops = {"pickup": self._stop(pickup), "delivery": self._stop(delivery)}
        skills = {"skills": [pickup, delivery]} if self._skills(pickup) else {}
        return {"amount": [load], **stops, **skills}

    def _amounts(self, name: str) -> list[int]:
        if name not in self.instance.keys():
            return [0] * num_nodes(self.instance)
        return [int(value) for value in self.instance[name][0].tolist()]

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
        if self.labels is not None:
            stop["description"] = self.labels[node]
        if "locs" in self.instance.keys():
            stop["location"] = self.instance["locs"][0, node].tolist()
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
        if math.isinf(last) and first == 0:
            return None
        closes = UNENDING if math.isinf(last) else self._whole(last * self.steps, "time_windows")
        return [self._whole(first * self.steps, "time_windows"), closes]

    def _per_vehicle(self, name: str, neutral: float) -> list[float]:
        if name not in self.instance.keys():
            return [neutral] * self.depots
        return self.instance[name].view(-1).expand(self.depots).tolist()

    def _matrix(self, value: Tensor, name: str) -> list[list[int]]:
        lacks = value.isinf()
        if bool(lacks.any()):  # VROOM has no word for it
            value = torch.where(lacks, number_for_none(value.numpy()), value)
        if not bool(((value - value.round()).abs() < 1e-6).all()):
            expected = "whole numbers (--rounding nearest)"
            raise InputError(f"{self.path}: {name} with fractions, expected {expected}")
        return value.round().to(torch.long).tolist()

    def _whole(self, value: float, name: str) -> int:
        if abs(value - round(value)) > 1e-6:
            raise InputError(f"{self.path}: {name} {value:g}, expected a whole number")
        return round(value)
