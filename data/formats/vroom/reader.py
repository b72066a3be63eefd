"""
VROOM's JSON (https://github.com/VROOM-Project/vroom/blob/master/docs/API.md): vehicles, jobs,
shipments and matrices.

VROOM minimises ``costs`` where the matrix has some, else the ``durations`` in seconds: these are
the instance's distances. Every task has to be served; vehicles that are alike are one depot node.
What has no place in the instance (breaks, priorities, several dimensions or windows, another end
than the start) is refused by its key. ``distances`` say nothing here: VROOM looks at them for
costs of kilometres only, which are refused.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.json_parts import (
    amount,
    count,
    items,
    keys_of,
    matrix,
    member,
    parse,
    place,
)
from nco.data.formats.problem_name import routing_problem
from nco.data.formats.rounding import Rounding
from nco.data.instance import make_instance
from nco.data.numbers import MAX_INTEGER, shown

INF = float("inf")
UNENDING = MAX_INTEGER  # end of a window that does not close, where a moment opens it
PER_HOUR = 3600  # VROOM's: a second costs 1
_VEHICLE = (
    *("id", "description", "profile", "start", "start_index", "end", "end_index", "capacity"),
    *("skills", "time_window", "speed_factor", "costs", "max_travel_time"),
)
_TASK = (
    *("id", "description", "location", "location_index", "service", "time_windows"),
    *("delivery", "pickup", "skills"),
)


@dataclass(frozen=True)
class _Vehicle:
    index: int
    place: tuple[float, ...]
    is_open: bool
    capacity: int
    fixed_cost: float
    unit_cost: float
    speed: float
    limit: float
    window: tuple[float, float]
    skills: frozenset[int]


@dataclass(frozen=True)
class _Task:
    label: str
    index: int
    place: tuple[float, ...]
    service: float
    window: tuple[float, float]
    skills: frozenset[int]
    demand: int = 0
    backhaul: int = 0
    shipment: int = 0


def looks_like_vroom(text: str) -> bool:
    """Whether there are vehicles, and jobs or shipments."""
    keys = keys_of(text)
    return "vehicles" in keys and bool({"jobs", "shipments"} & keys)


def read_vroom(text: str, path: Path, rounding: Rounding) -> FileInstance:
    """
    Reads a problem with its matrix.

    Raises
    ------
    InputError
        A key is missing, or states something that is not understood.
    """
    if rounding != "auto":
        raise InputError(f"{path}: rounding {rounding!r}, expected none for a matrix")
    content = member(parse(text, path), str(path), ("vehicles", "jobs", "shipments", "matrices"))
    fields, profile = _matrices(content, path)
    nodes = len(fields["distance"])
    vehicles = [
        _vehicle(entry, f"{path}: vehicles[{k}]", nodes, profile)
        for k, entry in enumerate(items(content.get("vehicles"), f"{path}: vehicles"))
    ]
    if not vehicles or len({vehicle.is_open for vehicle in vehicles}) > 1:
        raise InputError(f"{path}: vehicles: none, or some without end, expected all alike in that")
    tasks = [
        _task(entry, f"{path}: jobs[{k}]", nodes)
        for k, entry in enumerate(items(content.get("jobs", []), f"{path}: jobs"))
    ]
    jobs = len(tasks)
    for k, entry in enumerate(items(content.get("shipments", []), f"{path}: shipments")):
        tasks += _shipment(entry, f"{path}: shipments[{k}]", nodes)
    if not tasks:
        raise InputError(f"{path}: jobs and shipments: none, expected some")
    kinds = list(dict.fromkeys(vehicles))
    numbers = tuple(kinds.index(vehicle) for vehicle in vehicles)
    rows: list[_Vehicle | _Task] = [*kinds, *tasks]
    order = torch.tensor([row.index for row in rows])
    fields = {name: value[order][:, order] for name, value in fields.items()}
    if all(row.place for row in rows):
        fields["locs"] = torch.tensor([row.place for row in rows], dtype=torch.double)
    timed = "duration" in fields
    fields |= _of_nodes(kinds, tasks, jobs) | _of_vehicles(kinds, tasks, timed)
    if timed and "distance_limit" in fields:
        raise InputError(f"{path}: max_travel_time beside costs is not supported")
    if timed and any(kind.unit_cost != 1 for kind in kinds):
        raise InputError(f"{path}: per_hour beside a matrix of costs, expected one of them")
    if len(kinds) > 1:
        fields["depots"] = torch.tensor([kind.index for kind in kinds])
    counts = [numbers.count(k) for k in range(len(kinds))]
    if min(counts) < len(tasks):
        fields["vehicle_count"] = torch.tensor(counts)
    instance = make_instance(**{key: value.unsqueeze(0) for key, value in fields.items()})
    labels = (*("vehicle" for _ in kinds), *(task.label for task in tasks))
    known = numbers if len(kinds) > 1 else None
    name = routing_problem(instance)
    return FileInstance(path.stem, name, instance, path, labels, vehicles=known)


def _matrices(content: dict[str, Any], path: Path) -> tuple[dict[str, Tensor], str]:
    """Distances, with durations where there are costs beside them; and of what profile."""
    profiles = member(content.get("matrices"), f"{path}: matrices")
    if len(profiles) != 1:
        raise InputError(f"{path}: matrices: {len(profiles)} profiles, expected one")
    ((profile, stated),) = profiles.items()
    where = f"{path}: matrices.{profile}"[:120]
    stated = member(stated, where, ("durations", "distances", "costs"))
    durations = matrix(stated.get("durations"), f"{where}.durations")
    if len(durations) < 2:
        raise InputError(f"{where}.durations: {len(durations)} places, expected at least 2")
    if "costs" not in stated:
        return {"distance": durations}, profile
    costs = matrix(stated["costs"], f"{where}.costs")
    if costs.shape != durations.shape:
        raise InputError(f"{where}: {len(costs)} rows of costs, expected {len(durations)}")
    return {"distance": costs, "duration": durations}, profile


def _vehicle(entry: Any, where: str, nodes: int, profile: str) -> _Vehicle:
    entry = member(entry, where, _VEHICLE)
    if entry.get("profile", "car") != profile:
        raise InputError(f"{where}.profile: there is no other matrix than {shown(profile)}")
    costs = member(entry.get("costs", {}), f"{where}.costs", ("fixed", "per_hour"))
    start = count(entry.get("start_index"), f"{where}.start_index", nodes - 1)
    is_open = "end_index" not in entry and "end" not in entry
    if not is_open and entry.get("end_index") != start:
        raise InputError(f"{where}.end_index: expected the start, {start}, or none")
    return _Vehicle(
        start,
        tuple(place(entry["start"], f"{where}.start")) if "start" in entry else (),
        is_open,
        # A capacity of no dimension bounds nothing.
        _load(entry["capacity"], f"{where}.capacity") if entry.get("capacity") else MAX_INTEGER,
        amount(costs.get("fixed", 0), f"{where}.costs.fixed"),
        amount(costs.get("per_hour", PER_HOUR), f"{where}.costs.per_hour") / PER_HOUR,
        amount(entry.get("speed_factor", 1), f"{where}.speed_factor", 1e-3),
        amount(entry["max_travel_time"], f"{where}.max_travel_time")
        if "max_travel_time" in entry
        else INF,
        _window([entry["time_window"]] if "time_window" in entry else [], f"{where}.time_window"),
        _skills(entry, where),
    )


def _task(entry: Any, where: str, nodes: int, known: tuple[str, ...] = _TASK, **load: int) -> _Task:
    entry = member(entry, where, known)
    loads = load or {
        name: _load(entry[key], f"{where}.{key}")
        for name, key in (("demand", "delivery"), ("backhaul", "pickup"))
        if key in entry
    }
    return _Task(
        str(entry.get("description", entry.get("id", ""))),
        count(entry.get("location_index"), f"{where}.location_index", nodes - 1),
        tuple(place(entry["location"], f"{where}.location")) if "location" in entry else (),
        amount(entry.get("service", 0), f"{where}.service"),
        _window(entry.get("time_windows", []), f"{where}.time_windows"),
        _skills(entry, where),
        **loads,
    )


def _shipment(entry: Any, where: str, nodes: int) -> list[_Task]:
    """The pickup and its delivery, one behind the other."""
    entry = member(entry, where, ("amount", "skills", "pickup", "delivery"))
    load = _load(entry.get("amount", [0]), f"{where}.amount")
    skills = _skills(entry, where)
    known = tuple(key for key in _TASK if key not in ("delivery", "pickup", "skills"))
    return [
        replace(
            _task(entry.get(key), f"{where}.{key}", nodes, known, shipment=amount), skills=skills
        )
        for key, amount in (("pickup", load), ("delivery", 0))
    ]


def _load(value: Any, where: str) -> int:
    if len(items(value, where)) != 1:
        raise InputError(f"{where}: {len(value)} dimensions, expected one")
    return count(value[0], where)


def _window(value: Any, where: str) -> tuple[float, float]:
    if not items(value, where):
        return 0.0, INF
    if len(value) > 1 or len(items(value[0], where)) != 2:
        raise InputError(f"{where}: expected one window [first, last]")
    first, last = (amount(moment, where) for moment in value[0])
    return first, INF if last == UNENDING else last


def _skills(entry: dict[str, Any], where: str) -> frozenset[int]:
    listed = items(entry.get("skills", []), f"{where}.skills")
    return frozenset(count(skill, f"{where}.skills") for skill in listed)


def _of_nodes(kinds: list[_Vehicle], tasks: list[_Task], jobs: int) -> dict[str, Tensor]:
    """Loads and times, where there are any; behind so many jobs come pairs of tasks."""
    none = [0] * len(kinds)
    loads = {
        name: torch.tensor([*none, *(getattr(task, name) for task in tasks)])
        for name in ("demand", "backhaul", "shipment")
    }
    fields: dict[str, Tensor] = {}
    if jobs < len(tasks):  # pickup and delivery stand one behind the other
        fields["shipment"] = loads["shipment"]
        first = len(kinds) + jobs
        goes = [first + k + 1 if k % 2 == 0 else 0 for k in range(len(tasks) - jobs)]
        fields["delivery"] = torch.tensor([*none, *[0] * jobs, *goes])
    if jobs:
        fields["demand"] = loads["demand"]
        if loads["backhaul"].any():
            fields["backhaul"] = loads["backhaul"]
    opens = [*(kind.window for kind in kinds), *(task.window for task in tasks)]
    windows = torch.tensor(opens, dtype=torch.double)
    service = torch.tensor([*none, *(task.service for task in tasks)], dtype=torch.double)
    if bool((windows != torch.tensor([0.0, INF])).any()):
        fields |= {"time_windows": windows, "service_time": service}
    elif service.any():
        fields["service_time"] = service
    return fields


def _of_vehicles(kinds: list[_Vehicle], tasks: list[_Task], costs: bool) -> dict[str, Tensor]:
    """What differs from a plain vehicle."""
    capacity = torch.tensor([kind.capacity for kind in kinds])
    fields = {"capacity": capacity[0] if bool((capacity == capacity[0]).all()) else capacity}
    columns = {
        "fixed_cost": ([kind.fixed_cost for kind in kinds], 0),
        # The durations are the costs, unless there are others, which know no speed.
        "unit_cost": ([k.unit_cost / (1 if costs else k.speed) for k in kinds], 1),
        "speed": ([kind.speed for kind in kinds], 1),
        "distance_limit": ([kind.limit * kind.speed for kind in kinds], INF),
    }
    for name, (values, neutral) in columns.items():
        if any(value != neutral for value in values):
            fields[name] = torch.tensor(values, dtype=torch.double)
    if len(set(columns["distance_limit"][0])) == 1 and "distance_limit" in fields:
        fields["distance_limit"] = fields["distance_limit"][0]
    if any(not task.skills <= kind.skills for task in tasks for kind in kinds):
        flags = [[int(task.skills <= kind.skills) for task in tasks] for kind in kinds]
        own = torch.ones(len(kinds), len(kinds), dtype=torch.long)
        fields["allowed"] = torch.cat([own, torch.tensor(flags)], 1)
    if kinds[0].is_open:
        fields["open_route"] = torch.tensor(1)
    return fields
