"""The vehicles that a ``.vrp`` file states one by one, gathered in kinds: depot nodes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.formats.vrplib.sections import Document
from nco.data.numbers import MAX_REAL, integer, real, shown

INF = float("inf")
FLEET = {
    "VEHICLES",
    "CAPACITY",
    "VEHICLES_DEPOT",
    "VEHICLES_FIXED_COST",
    "VEHICLES_UNIT_DISTANCE_COST",
    "VEHICLES_MAX_DISTANCE",
    "VEHICLES_MAX_DURATION",
}
FLEET_SECTIONS = FLEET - {"VEHICLES"} | {"VEHICLES_ALLOWED_CLIENTS", "VEHICLES_RELOAD_DEPOT"}


@dataclass(frozen=True)
class Vehicle:
    """
    What a file says of a vehicle; equal ones are of one kind.

    Parameters
    ----------
    depot
        Its place among the depots of the file, from 0.
    capacity
        Load that it can carry.
    fixed_cost, unit_cost
        Costs of using it and of a unit of distance, in steps of the file.
    distance_limit, duration_limit
        Of a route.
    allowed
        Nodes of the file, from 0, that it may visit; None for all.
    trips
        Its number where it may drive several routes, so that it is a kind of its own; else None.
    """

    depot: int = 0
    capacity: int = 0
    fixed_cost: float = 0.0
    unit_cost: float = 1.0
    distance_limit: float = INF
    duration_limit: float = INF
    allowed: frozenset[int] | None = None
    trips: int | None = None


@dataclass(frozen=True)
class Fleet:
    """
    The kinds of vehicles, each with its depot: what the depot nodes are made from.

    Parameters
    ----------
    kinds
        One for each depot node.
    counts
        How many vehicles of each kind there are; None where there are as many as one likes.
    vehicles
        Kind of each vehicle in the order of the file; None where it does not tell them apart.
    """

    kinds: list[Vehicle]
    counts: list[int] | None
    vehicles: tuple[int, ...] | None

    def fields(self, customers: Sequence[int], steps: int) -> dict[str, Tensor]:
        """
        Attributes of the schema, those that say something.

        Parameters
        ----------
        customers
            Nodes of the file that are no depots, in order.
        steps
            Of the costs of vehicles in a unit of distance.
        """
        kinds = self.kinds
        fields = {"capacity": _shared(torch.tensor([kind.capacity for kind in kinds]))}
        for name in ("distance_limit", "duration_limit"):
            limits = torch.tensor([getattr(kind, name) for kind in kinds], dtype=torch.double)
            if limits.isfinite().any():
                fields[name] = _shared(limits)
        fixed = torch.tensor([kind.fixed_cost for kind in kinds], dtype=torch.double)
        if fixed.any():
            fields["fixed_cost"] = fixed / steps
        unit = torch.tensor([kind.unit_cost for kind in kinds], dtype=torch.double)
        if (unit != 1).any():
            fields["unit_cost"] = unit / steps
        if any(kind.allowed is not None for kind in kinds):
            allowed = torch.ones(len(kinds), len(kinds) + len(customers), dtype=torch.long)
            for row, kind in enumerate(kinds):
                if kind.allowed is not None:
                    flags = [int(node in kind.allowed) for node in customers]
                    allowed[row, len(kinds) :] = torch.tensor(flags)
            fields["allowed"] = allowed
        if len(kinds) > 1:
            fields["depots"] = torch.tensor([kind.depot for kind in kinds])
        if self.counts is not None and min(self.counts) < len(customers):
            fields["vehicle_count"] = torch.tensor(self.counts)
        return fields


def read_fleet(document: Document, n: int, depots: list[int]) -> Fleet:
    """
    The fleet of a file with ``n`` nodes, of which ``depots`` (from 0) are depots.

    Raises
    ------
    InputError
        A row is none, or not as many as vehicles; or the capacity is missing.
    """
    size = _size(document)
    capacity = _column(document, "CAPACITY", size, _capacity)
    if capacity is None:
        raise InputError(
            f"{document.path}: CAPACITY is missing, expected the load that a vehicle can carry"
        )
    columns: dict[str, list[Any]] = {"capacity": capacity}
    for name, key in (
        ("fixed_cost", "VEHICLES_FIXED_COST"),
        ("unit_cost", "VEHICLES_UNIT_DISTANCE_COST"),
        ("distance_limit", "VEHICLES_MAX_DISTANCE"),
        ("duration_limit", "VEHICLES_MAX_DURATION"),
    ):
        if (column := _column(document, key, size, _amount)) is not None:
            columns[name] = column
    first = document.first
    places = {depot + first: k for k, depot in enumerate(depots)}

    def place(token: str, where: str) -> int:
        node = integer(token, where, first, n - 1 + first)
        if node not in places:
            raise InputError(f"{where}: {node}, expected a depot")
        return places[node]

    at = _column(document, "VEHICLES_DEPOT", size, place)
    if at is not None:
        columns["depot"] = at
    allowed = _lists(document, "VEHICLES_ALLOWED_CLIENTS", size)
    if allowed is not None:
        columns["allowed"] = [
            frozenset(
                integer(t, f"{where}: customer", first, n - 1 + first) - first for t in tokens
            )
            for where, tokens in allowed
        ]
    reloads = _lists(document, "VEHICLES_RELOAD_DEPOT", size)
    if reloads is not None:
        columns["trips"] = list(range(size or 1))
        for k, (where, tokens) in enumerate(reloads):
            own = depots[at[k] if at is not None else 0] + first
            if tokens != [str(own)]:
                raise InputError(f"{where}: {shown(' '.join(tokens))}, expected its depot {own}")
    if size is None:  # as many vehicles as one likes, at every depot
        common = {name: column[0] for name, column in columns.items()}
        return Fleet([Vehicle(**common, depot=k) for k in range(len(depots))], None, None)
    if at is None and len(depots) > 1:
        raise InputError(
            f"{document.path}: VEHICLES_DEPOT_SECTION is missing, expected the depot of each of "
            f"{size} vehicles"
        )
    vehicles = [
        Vehicle(**{name: column[k if len(column) > 1 else 0] for name, column in columns.items()})
        for k in range(size)
    ]
    kinds = list(dict.fromkeys(vehicles))
    of = {kind: row for row, kind in enumerate(kinds)}
    numbers = tuple(of[vehicle] for vehicle in vehicles)
    return Fleet(kinds, [numbers.count(k) for k in range(len(kinds))], numbers)


def _size(document: Document) -> int | None:
    """Number of vehicles: as stated, else as many as there are rows of one of them each."""
    if "VEHICLES" in document.specifications:
        stated = document.specifications["VEHICLES"]
        return integer(stated.value, f"{document.where(stated.line)}: VEHICLES", 1, 1_000_000)
    found = [document.sections[name] for name in FLEET_SECTIONS if name in document.sections]
    return len(found[0].rows) if found else None


def _lists(document: Document, name: str, size: int | None) -> list[tuple[str, list[str]]] | None:
    """Where each vehicle's row stands and what follows its number, in order of the vehicles."""
    if name not in document.sections:
        return None
    section, rows = document.sections[name], {}
    for line, tokens in section.rows:
        where = document.where(line)
        vehicle = integer(tokens[0], f"{where}: vehicle", 1, size or len(section.rows))
        if vehicle in rows:
            raise InputError(f"{where}: vehicle {vehicle} comes twice in {name}_SECTION")
        rows[vehicle] = (where, tokens[1:])
    if len(rows) != size:
        where = document.where(section.line)
        raise InputError(f"{where}: {name}_SECTION has {len(rows)} rows, expected VEHICLES {size}")
    return [rows[vehicle] for vehicle in sorted(rows)]


def _column(
    document: Document, name: str, size: int | None, read: Callable[[str, str], Any]
) -> list[Any] | None:
    """A value for each vehicle, or one for all of them; None where there is none."""
    rows = _lists(document, name, size)
    if rows is not None and name in document.specifications:
        line = document.specifications[name].line
        raise InputError(f"{document.where(line)}: {name} and {name}_SECTION, expected one of them")
    if name in document.specifications:
        stated = document.specifications[name]
        return [read(stated.value, f"{document.where(stated.line)}: {name}")]
    if rows is None:
        return None
    for where, tokens in rows:
        if len(tokens) != 1:
            raise InputError(f"{where}: {shown(' '.join(tokens))}, expected 'vehicle value'")
    return [read(tokens[0], f"{where}: {name}") for where, tokens in rows]


def _capacity(token: str, where: str) -> int:
    return integer(token, where, 1)


def _amount(token: str, where: str) -> float:
    return real(token, where, 0, MAX_REAL)


def _shared(values: Tensor) -> Tensor:
    """A value for all where they agree: no dimension."""
    return values[0] if bool((values == values[0]).all()) else values
