"""
VROOM's JSON (https://github.com/VROOM-Project/vroom/blob/master/docs/API.md): vehicles, jobs,
shipments and matrices.

VROOM minimises ``costs`` where the matrix has some, else the ``durations`` in seconds: these are
the instance's distances. Vehicles that are alike are one depot node. If one ends elsewhere than
it starts, or starts or ends anywhere, the arcs that leave its depot node are those of its start and
the arcs that return are those of its end. Without priorities every task has to be served; with
some, each job that is left out costs more than all routes can, by VROOM's order: the largest sum of
priorities first, then most jobs, then the least cost.

What has no place in the instance (breaks, setups, several dimensions, several windows that vehicles
can meet) is refused by its key, unless its value states nothing. ``distances`` say nothing here:
VROOM looks at them for costs of kilometres only, which are refused; nor do ``options``.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.json_parts import items, keys_of, matrix, member, parse
from nco.data.formats.problem_name import routing_problem
from nco.data.formats.rounding import Rounding
from nco.data.formats.vroom.entries import (
    INF,
    Task,
    Vehicle,
    read_job,
    read_shipment,
    read_vehicle,
)
from nco.data.instance import SCHEMA, from_tensors


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
    known = ("vehicles", "jobs", "shipments", "matrices")
    content = member(parse(text, path), str(path), known, {"options": (), "config": ()})
    fields, profile = _matrices(content, path)
    nodes = len(fields["distance"])
    vehicles = [
        read_vehicle(entry, f"{path}: vehicles[{k}]", nodes, profile)
        for k, entry in enumerate(items(content.get("vehicles"), f"{path}: vehicles"))
    ]
    if not vehicles:
        raise InputError(f"{path}: vehicles: none, expected some")
    shifts = [vehicle.window for vehicle in vehicles]
    tasks = [
        read_job(entry, f"{path}: jobs[{k}]", nodes, shifts)
        for k, entry in enumerate(items(content.get("jobs", []), f"{path}: jobs"))
    ]
    jobs = len(tasks)
    for k, entry in enumerate(items(content.get("shipments", []), f"{path}: shipments")):
        tasks += read_shipment(entry, f"{path}: shipments[{k}]", nodes, shifts)
    if not tasks:
        raise InputError(f"{path}: jobs and shipments: none, expected some")
    kinds = list(dict.fromkeys(vehicles))
    numbers = tuple(kinds.index(vehicle) for vehicle in vehicles)
    rows: list[Vehicle | Task] = [*kinds, *tasks]
    fields = {name: _arranged(value, kinds, tasks) for name, value in fields.items()}
    if all(row.place for row in rows):
        fields["locs"] = torch.tensor([row.place for row in rows], dtype=torch.double)
    timed = "duration" in fields
    fields |= _of_nodes(kinds, tasks, jobs) | _of_vehicles(kinds, tasks, timed)
    if timed and "distance_limit" in fields:
        raise InputError(f"{path}: max_travel_time beside costs is not supported")
    if timed and any(kind.unit_cost != 1 for kind in kinds):
        raise InputError(f"{path}: per_hour beside a matrix of costs, expected one of them")
    if len(kinds) > 1:
        fields["depots"] = torch.tensor(_homes(kinds, nodes))
    counts = [numbers.count(k) for k in range(len(kinds))]
    if min(counts) < len(tasks):
        fields["vehicle_count"] = torch.tensor(counts)
    if any(task.priority for task in tasks):
        if jobs < len(tasks):
            raise InputError(f"{path}: priority of jobs beside shipments, expected none")
        fields["penalty"] = _penalties(fields, kinds, tasks)
    instance = from_tensors(**{key: value.unsqueeze(0) for key, value in fields.items()})
    labels = (*("vehicle" for _ in kinds), *(task.label for task in tasks))
    return FileInstance(
        path.stem,
        routing_problem(instance),
        instance,
        path,
        labels,
        vehicles=numbers if len(kinds) > 1 else None,
        request=content,
    )


def _arranged(value: Tensor, kinds: list[Vehicle], tasks: list[Task]) -> Tensor:
    """A matrix between depot nodes, which leave from their start and return to their end."""
    stops = [task.index for task in tasks]
    rows = torch.tensor([*((kind.start or 0) for kind in kinds), *stops])
    columns = torch.tensor([*((kind.end or 0) for kind in kinds), *stops])
    if all(kind.end is None for kind in kinds):  # open routes, which the instance has a flag for
        columns = rows
    value = value[rows][:, columns]
    for node, kind in enumerate(kinds):
        if kind.start is None:
            value[node] = 0
        if kind.end is None and not torch.equal(rows, columns):
            value[:, node] = 0
    return value.fill_diagonal_(0)


def _homes(kinds: list[Vehicle], nodes: int) -> list[int]:
    """A number for each depot node, equal where kinds start and end at the same places."""
    ends = [(kind.start, kind.end) for kind in kinds]
    open_ends = all(end is None for _, end in ends)
    return [
        start
        if start is not None and (start == end or open_ends)
        else nodes + ends.index((start, end))
        for start, end in ends
    ]


def _penalties(fields: dict[str, Tensor], kinds: list[Vehicle], tasks: list[Task]) -> Tensor:
    """What leaving out a job costs: more than all routes, and of less priority less in any sum."""
    distance = fields["distance"]
    longest = torch.where(distance.isfinite(), distance, 0).amax(0).sum()
    dearest = max(kind.unit_cost for kind in kinds) * max(1.0, 1 / min(k.speed for k in kinds))
    # Every node is left and reached once at most, every route returns.
    most = 2 * longest * dearest + len(tasks) * (max(k.fixed_cost for k in kinds) + longest)
    step = most.ceil() + 1
    ranks = [task.priority * (len(tasks) + 1) + 1 for task in tasks]
    return torch.tensor([*[0] * len(kinds), *ranks], dtype=torch.double) * step


def _matrices(content: dict[str, Any], path: Path) -> tuple[dict[str, Tensor], str]:
    """Distances, with durations where there are costs beside them; and of what profile."""
    if "matrices" not in content:
        raise InputError(
            f"{path}: matrices is missing: places alone tell no travel times, expected "
            "matrices.car.durations, the table of a router (OSRM, Valhalla)"
        )
    profiles = member(content["matrices"], f"{path}: matrices")
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


def _of_nodes(kinds: list[Vehicle], tasks: list[Task], jobs: int) -> dict[str, Tensor]:
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


def _of_vehicles(kinds: list[Vehicle], tasks: list[Task], costs: bool) -> dict[str, Tensor]:
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
    if all(kind.end is None for kind in kinds):
        fields["open_route"] = torch.tensor(1)
    for name in dict.fromkeys(name for kind in kinds for name, _ in kind.more):
        field = SCHEMA[name]
        free: Any = field.neutral
        values = [dict(kind.more).get(name, free) for kind in kinds]
        value = torch.tensor(values, dtype=torch.long if field.integer else torch.double)
        same = not field.shape and bool((value == value[0]).all())
        fields[name] = value[0] if same else value
    return fields
