"""
The vehicles of a CSV table: settings, or a table of kinds.

``NAME.vehicles.csv`` or ``vehicles.csv`` beside the nodes, or the second sheet of a workbook, has a
row for each kind: ``name, capacity, count, fixed cost, unit cost, speed, max distance, max
duration, shift start, shift end``, all but the capacity optional. All start and end at the depot.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.formats.csv_columns import VEHICLES, column, meanings
from nco.data.formats.csv_text import Cells, csv_cells
from nco.data.formats.text import read_text
from nco.data.numbers import MAX_INTEGER, integer, real, shown

INF = float("inf")
NEUTRAL = {
    "fixed_cost": 0.0,
    "unit_cost": 1.0,
    "speed": 1.0,
    "distance_limit": INF,
    "duration_limit": INF,
}
VEHICLES_TABLE = "vehicles.csv"


@dataclass(frozen=True)
class Kind:
    """
    Vehicles that are alike.

    Parameters
    ----------
    name
        What the table calls them.
    capacity
        Load that one can carry; None where nothing bounds it.
    count
        How many there are; None for as many as one likes.
    numbers
        Costs, speed and limits, by the names of the schema.
    shift
        First and last moment.
    """

    name: str
    capacity: int | None
    count: int | None
    numbers: dict[str, float]
    shift: tuple[float, float]


def moment(token: str, where: str) -> float:
    """
    A time: a number, or a time of day in minutes since midnight.

    Raises
    ------
    InputError
        It is neither.
    """
    parts = token.split(":")
    if 2 <= len(parts) <= 3 and all(part.isdecimal() and len(part) <= 2 for part in parts):
        hours, minutes, *seconds = map(int, parts)
        if hours <= 24 and minutes < 60 and all(second < 60 for second in seconds):
            return hours * 60 + minutes + sum(seconds) / 60
    if ":" in token:
        raise InputError(f"{where}: {shown(token)}, expected a time of day like 08:30")
    return real(token, where, 0)


def fleet_cells(path: Path) -> Cells | None:
    """The table of vehicles beside a table of nodes, where there is one."""
    for name in (f"{path.stem}.{VEHICLES_TABLE}", VEHICLES_TABLE):
        beside = path.with_name(name)
        if beside != path and beside.is_file():
            return csv_cells(read_text(beside), beside)
    return None


def read_kinds(cells: Cells) -> list[Kind]:
    """
    The kinds of a table of vehicles.

    Raises
    ------
    InputError
        A column is unknown or a value is none.
    """
    found = meanings(cells, VEHICLES, ", ".join(VEHICLES))
    if unknown := [t for k, t in enumerate(cells.rows[0][1]) if k not in found.values()]:
        expected = ", ".join(VEHICLES)
        raise InputError(f"{cells.path}: column {shown(unknown[0])}, expected one of {expected}")
    if len(cells.rows) < 2 or cells.settings:
        raise InputError(f"{cells.path}: expected a row for each kind of vehicle, and no settings")
    texts = {name: column(cells, found.get(name)) for name in VEHICLES}
    kinds = []
    for k in range(len(cells.rows) - 1):
        row = {name: cells_of[k] for name, cells_of in texts.items()}
        where = row["name"][0]

        def number(name: str, neutral: float, read: Callable[[str, str], float] = moment) -> float:
            place, token = row[name]  # noqa: B023  called before the next row
            return read(token, f"{place}: {name}") if token else neutral

        numbers = {name: number(name, neutral) for name, neutral in NEUTRAL.items()}
        if numbers["speed"] <= 0:
            raise InputError(f"{where}: speed {numbers['speed']:g}, expected a positive number")
        capacity, count = (
            integer(token, f"{place}: {name}", 1) if token else None
            for name, (place, token) in (("capacity", row["capacity"]), ("count", row["count"]))
        )
        shift = number("ready", 0.0), number("due", INF)
        name = row["name"][1] or f"vehicle {k + 1}"
        kinds.append(Kind(name, capacity, 1 if count is None else count, numbers, shift))
    return kinds


def stated_kind(cells: Cells) -> Kind:
    """
    The one kind of vehicle that settings state.

    Raises
    ------
    InputError
        A value is none.
    """

    def setting(name: str) -> tuple[str, str] | None:
        if name not in cells.settings:
            return None
        value, where = cells.settings[name]
        return value, f"{where}: {name}"

    capacity, count = (
        integer(found[0], found[1], 1) if (found := setting(name)) else None
        for name in ("capacity", "vehicles")
    )
    names = {"speed": "speed", "max_distance": "distance_limit", "max_duration": "duration_limit"}
    numbers = dict(NEUTRAL)
    for key, name in names.items():
        if found := setting(key):
            numbers[name] = moment(*found)
    if numbers["speed"] <= 0:
        raise InputError(f"{cells.path}: speed {numbers['speed']:g}, expected a positive number")
    shift = (0.0, INF)
    if found := setting("shift"):
        words = found[0].replace("-", " ").split()
        if len(words) != 2:
            raise InputError(f"{found[1]}: {shown(found[0])}, expected two times")
        shift = moment(words[0], found[1]), moment(words[1], found[1])
    return Kind("vehicle", capacity, count, numbers, shift)


def fleet_fields(kinds: list[Kind], customers: int) -> dict[str, Tensor]:
    """Attributes of the vehicles, those that say something; windows are those of the nodes."""
    capacities = [MAX_INTEGER if kind.capacity is None else kind.capacity for kind in kinds]
    fields = {"capacity": _shared(torch.tensor(capacities))}
    for name, neutral in NEUTRAL.items():
        values = torch.tensor([kind.numbers[name] for kind in kinds], dtype=torch.double)
        if bool((values != neutral).any()):
            fields[name] = _shared(values) if name.endswith("limit") else values
    if len(kinds) > 1:
        fields["depots"] = torch.zeros(len(kinds), dtype=torch.long)
    counts = [MAX_INTEGER if kind.count is None else kind.count for kind in kinds]
    if min(counts) < customers:
        fields["vehicle_count"] = torch.tensor(counts)
    return fields


def _shared(values: Tensor) -> Tensor:
    """A value for all where they agree: no dimension."""
    return values[0] if bool((values == values[0]).all()) else values
