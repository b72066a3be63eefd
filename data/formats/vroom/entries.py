"""The vehicles, jobs and shipments of a VROOM request, one by one and strictly."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nco.data.errors import InputError
from nco.data.formats.json_parts import amount, count, items, member, place
from nco.data.instance import SCHEMA
from nco.data.numbers import MAX_INTEGER, shown

INF = float("inf")
UNENDING = MAX_INTEGER  # end of a window that does not close, where a moment opens it
PER_HOUR = 3600  # VROOM's: a second costs 1
MAX_PRIORITY = 100
_VEHICLE = (
    *("id", "description", "profile", "start", "start_index", "end", "end_index", "capacity"),
    *("skills", "time_window", "speed_factor", "costs", "max_travel_time"),
)
_TASK = ("id", "description", "location", "location_index", "service", "time_windows")
_JOB = (*_TASK, "delivery", "pickup", "skills", "priority")
# Keys that no rule is for, with the values that state nothing.
_IDLE_VEHICLE = {"breaks": ([],), "steps": ([],), "type": (), "max_tasks": (MAX_INTEGER,)}
_IDLE_TASK = {"setup": (0,), "setup_per_type": ({},), "service_per_type": ({},), "type": ()}
_IDLE_COSTS = {"per_km": (0,), "per_task_hour": (0,)}


@dataclass(frozen=True)
class Vehicle:
    """
    What a request says of a vehicle; equal ones are of one kind.

    Parameters
    ----------
    start, end
        Rows of the matrix where it begins and ends; None where a route may do so anywhere.
    place
        ``(longitude, latitude)`` of the start, of the end where there is none; empty if not stated.
    more
        Attributes of the schema whose `Field.vroom` is a key of vehicles.
    """

    start: int | None
    end: int | None
    place: tuple[float, ...]
    capacity: int
    fixed_cost: float
    unit_cost: float
    speed: float
    limit: float
    window: tuple[float, float]
    skills: frozenset[int]
    more: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Task:
    """What a request says of a stop: a job, a pickup or a delivery."""

    label: str
    index: int
    place: tuple[float, ...]
    service: float
    window: tuple[float, float]
    skills: frozenset[int]
    demand: int = 0
    backhaul: int = 0
    shipment: int = 0
    priority: int = 0


def read_vehicle(entry: Any, where: str, nodes: int, profile: str) -> Vehicle:
    """
    A vehicle of the one profile, in a matrix of so many places.

    Raises
    ------
    InputError
        A key is unknown, or its value is none.
    """
    keys = {field.vroom: name for name, field in SCHEMA.items() if field.vroom is not None}
    entry = member(entry, where, (*_VEHICLE, *keys), _IDLE_VEHICLE)
    if entry.get("profile", "car") != profile:
        raise InputError(f"{where}.profile: there is no other matrix than {shown(profile)}")
    costs = member(entry.get("costs", {}), f"{where}.costs", ("fixed", "per_hour"), _IDLE_COSTS)
    start, end = (_row(entry, name, where, nodes) for name in ("start", "end"))
    if start is None and end is None:
        raise InputError(f"{where}: neither start_index nor end_index, expected one of them")
    at = next((name for name in ("start", "end") if name in entry), None)
    return Vehicle(
        start,
        end,
        () if at is None else tuple(place(entry[at], f"{where}.{at}")),
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
        tuple(
            (name, _number(entry[key], name, f"{where}.{key}"))
            for key, name in keys.items()
            if key in entry
        ),
    )


def read_job(entry: Any, where: str, nodes: int, shifts: Sequence[tuple[float, float]]) -> Task:
    """
    A job; of its windows, those in which some vehicle's shift lies.

    Raises
    ------
    InputError
        A key is unknown, or its value is none.
    """
    entry = member(entry, where, _JOB, _IDLE_TASK)
    demand, backhaul = (
        _load(entry[key], f"{where}.{key}") if entry.get(key) else 0
        for key in ("delivery", "pickup")
    )
    priority = count(entry.get("priority", 0), f"{where}.priority", MAX_PRIORITY)
    task = _stop(entry, where, nodes, shifts)
    skills = _skills(entry, where)
    return replace(task, skills=skills, priority=priority, demand=demand, backhaul=backhaul)


def read_shipment(
    entry: Any, where: str, nodes: int, shifts: Sequence[tuple[float, float]]
) -> list[Task]:
    """
    The pickup of a shipment and its delivery, one behind the other.

    Raises
    ------
    InputError
        A key is unknown, or its value is none.
    """
    known = ("amount", "skills", "pickup", "delivery")
    entry = member(entry, where, known, {"priority": (0,), "description": ()})
    load = _load(entry["amount"], f"{where}.amount") if entry.get("amount") else 0
    skills = _skills(entry, where)
    stops = []
    for key, carried in (("pickup", load), ("delivery", 0)):
        stop = member(entry.get(key), f"{where}.{key}", _TASK, _IDLE_TASK)
        task = _stop(stop, f"{where}.{key}", nodes, shifts)
        stops.append(replace(task, skills=skills, shipment=carried))
    return stops


def _stop(
    entry: dict[str, Any], where: str, nodes: int, shifts: Sequence[tuple[float, float]]
) -> Task:
    if "location_index" not in entry and "location" in entry:
        raise InputError(f"{where}: location without location_index, expected a row of the matrix")
    windows = entry.get("time_windows", [])
    return Task(
        str(entry.get("description", entry.get("id", ""))),
        count(entry.get("location_index"), f"{where}.location_index", nodes - 1),
        tuple(place(entry["location"], f"{where}.location")) if "location" in entry else (),
        amount(entry.get("service", 0), f"{where}.service"),
        _window(windows, f"{where}.time_windows", shifts),
        frozenset(),
    )


def _number(value: Any, name: str, where: str) -> float:
    """A number for an attribute of vehicles."""
    return count(value, where) if SCHEMA[name].integer else amount(value, where)


def _row(entry: dict[str, Any], name: str, where: str, nodes: int) -> int | None:
    """The row of the matrix at which a vehicle starts or ends."""
    key = f"{name}_index"
    if key not in entry and name not in entry:
        return None
    return count(entry.get(key), f"{where}.{key}", nodes - 1)


def _load(value: Any, where: str) -> int:
    if len(items(value, where)) != 1:
        raise InputError(f"{where}: {len(value)} dimensions, expected one")
    return count(value[0], where)


def _window(
    value: Any, where: str, shifts: Sequence[tuple[float, float]] = ((0.0, INF),)
) -> tuple[float, float]:
    """The one window; of several, the one that is left when those out of every shift are not."""
    if not items(value, where):
        return 0.0, INF
    stated = []
    for entry in value:
        if len(items(entry, where)) != 2:
            raise InputError(f"{where}: expected windows [first, last]")
        first, last = (amount(moment, where) for moment in entry)
        stated.append((first, INF if last == UNENDING else last))
    if len(stated) == 1:
        return stated[0]
    joined: list[tuple[float, float]] = []
    for first, last in sorted(stated):
        if joined and first <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    met = [(a, b) for a, b in joined if any(a <= end and b >= begin for begin, end in shifts)]
    if len(met) > 1:
        raise InputError(
            f"{where}: {len(met)} windows that vehicles can meet, expected one: no rule here lets "
            "a customer choose between windows"
        )
    return (met or joined)[0]


def _skills(entry: dict[str, Any], where: str) -> frozenset[int]:
    listed = items(entry.get("skills", []), f"{where}.skills")
    return frozenset(count(skill, f"{where}.skills") for skill in listed)
