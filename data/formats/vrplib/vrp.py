"""
CVRPLIB and VRPLIB ``.vrp`` files of every variant: the sections state the rules.

The dialect is PyVRP's (https://pyvrp.org/dev/supported_vrplib_fields.html) and, for
``PICKUP_AND_DELIVERY_SECTION``, ``DISTANCE`` and ``EXACT_2D``, that of LKH-3 (Helsgaun 2017).
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.problem_name import routing_problem
from nco.data.formats.rounding import Rounding
from nco.data.formats.vrplib.fleet import FLEET, FLEET_SECTIONS, Fleet, Vehicle, read_fleet
from nco.data.formats.vrplib.geometry import dimension, distances, node_names, numbered
from nco.data.formats.vrplib.sections import Document
from nco.data.formats.vrplib.types import Kind, vehicle_steps
from nco.data.instance import from_tensors
from nco.data.numbers import integer, real, shown

UNBOUNDED = 10_000_000  # LKH's end of a window that never closes


def _amount(token: str, where: str) -> float:
    return real(token, where, 0)


# Sections with one number for each node: attribute, name of the number, how it is read.
_NODES: dict[str, tuple[str, str, Callable[[str, str], float]]] = {
    "DEMAND": ("demand", "demand", integer),
    "BACKHAUL": ("backhaul", "backhaul", integer),
    "SERVICE_TIME": ("service_time", "service", _amount),
    "RELEASE_TIME": ("release_time", "release", _amount),
    "PRIZE": ("penalty", "prize", _amount),  # lost where the customer is left out
}
SPECIFICATIONS = FLEET | {"DISTANCE", "SERVICE_TIME"}
SECTIONS = FLEET_SECTIONS | {*_NODES, "TIME_WINDOW", "PICKUP_AND_DELIVERY", "DEPOT"}


def read_vrp(document: Document, kind: Kind, rounding: Rounding) -> FileInstance:
    """
    Reads a file of a `Kind`, all of whose sections are known.

    Raises
    ------
    InputError
        The file is malformed or contradicts itself.
    """
    n = dimension(document)
    for name in kind.sections:
        document.section(name, f"what TYPE {document.specifications['TYPE'].value} promises")
    depots = _depots(document, n, kind)
    if kind.one_vehicle:
        _one_vehicle(document)
        fleet = Fleet([Vehicle(depot=k) for k in range(len(depots))], [1] * len(depots), None)
    else:
        fleet = _limited(document, read_fleet(document, n, depots))
    fields = distances(document, n, rounding, kind.metric) | _of_nodes(document, n, depots, kind)
    _check_depots(document, fields, depots)
    customers = [node for node in range(n) if node not in depots]
    # Depot nodes first, the rest in the order of the file.
    order = torch.tensor([*(depots[vehicle.depot] for vehicle in fleet.kinds), *customers])
    fields = {key: value[order] if value.ndim else value for key, value in fields.items()}
    if "distance" in fields:
        fields["distance"] = fields["distance"][:, order]
    title = document.specifications.get("NAME")
    steps = vehicle_steps(document.path.stem if title is None else title.value)
    fields |= fleet.fields(customers, steps)
    if kind.one_vehicle:
        del fields["capacity"]
    names = node_names(document, n)
    if kind.linehaul_first and "backhaul" in fields:
        fields["linehaul_first"] = torch.tensor(1)
    if kind.open_route:
        fields["open_route"] = torch.tensor(1)
    instance = from_tensors(**{key: value.unsqueeze(0) for key, value in fields.items()})
    trips = any(vehicle.trips is not None for vehicle in fleet.kinds)
    return FileInstance(
        document.path.stem,
        _problem(kind, instance, trips),
        instance,
        document.path,
        labels=None if names is None else tuple(names[k] for k in order.tolist()),
        numbers=tuple(str(k + document.first) for k in order.tolist()),
        vehicles=fleet.vehicles if len(fleet.kinds) > 1 else None,
        first_customer=len(depots),
        cost_steps=kind.cost_steps,
    )


def _problem(kind: Kind, instance: TensorDict, trips: bool) -> str:
    """The name of the problem: what the type promises, else what the sections state."""
    if kind.one_vehicle:
        return "tsptw"
    return kind.problem or routing_problem(instance, trips)


def _one_vehicle(document: Document) -> None:
    """A single vehicle states neither a fleet nor loads."""
    for name in (*FLEET, "DEMAND", "BACKHAUL"):
        found = document.sections.get(name) or document.specifications.get(name)
        if found is not None and not (name == "VEHICLES" and getattr(found, "value", "") == "1"):
            kind = document.specifications["TYPE"].value
            raise InputError(f"{document.where(found.line)}: {name} is not supported for {kind}")


def _of_nodes(document: Document, n: int, depots: list[int], kind: Kind) -> dict[str, Tensor]:
    """Demands, times and prizes, in the order of the file."""
    fields: dict[str, Tensor] = {}
    for name, (attribute, label, read) in _NODES.items():
        if name not in document.sections:
            continue
        whole = read is integer
        values = torch.zeros(n, dtype=torch.long if whole else torch.double)
        for line, node, tokens in numbered(document, document.sections[name], n, f"number {label}"):
            values[node] = read(
                tokens[0], f"{document.where(line)}: {label} of node {node + document.first}"
            )
        fields[attribute] = values
    if "TIME_WINDOW" in document.sections:
        section = document.sections["TIME_WINDOW"]
        windows = torch.zeros(n, 2, dtype=torch.double)
        for line, node, tokens in numbered(document, section, n, "number first last"):
            windows[node] = _window(tokens, f"{document.where(line)}: node {node + document.first}")
        fields["time_windows"] = windows
    if "SERVICE_TIME" in document.specifications:
        stated = document.specifications["SERVICE_TIME"]
        where = f"{document.where(stated.line)}: SERVICE_TIME"
        if "service_time" in fields:
            raise InputError(f"{where} and SERVICE_TIME_SECTION, expected one of them")
        service = torch.full((n,), real(stated.value, where, 0), dtype=torch.double)
        service[depots] = 0
        fields["service_time"] = service
    if "PICKUP_AND_DELIVERY" in document.sections:
        _combined(document, n, fields)
    elif "demand" not in fields and not kind.one_vehicle:
        document.section("DEMAND", "the demand of every node")
    if "time_windows" in fields and "service_time" not in fields:
        fields["service_time"] = torch.zeros(n, dtype=torch.double)
    if "service_time" in fields and fields["service_time"][depots].any():
        raise InputError(f"{document.path}: service time at a depot, expected 0")
    return fields


def _combined(document: Document, n: int, fields: dict[str, Tensor]) -> None:
    """LKH's section of everything; the last two numbers are what is delivered and picked up."""
    section = document.sections["PICKUP_AND_DELIVERY"]
    where = document.where(section.line)
    for name in ("demand", "backhaul", "service_time", "time_windows"):
        if name in fields:
            raise InputError(f"{where}: PICKUP_AND_DELIVERY_SECTION states {name} a second time")
    demand, backhaul = torch.zeros(2, n, dtype=torch.long)
    service, windows = (torch.zeros(n, *shape, dtype=torch.double) for shape in ((), (2,)))
    layout = "number demand first last service delivery pickup"
    for line, node, tokens in numbered(document, section, n, layout):
        where = f"{document.where(line)}: node {node + document.first}"
        integer(tokens[0], f"{where}: demand beside delivery and pickup", 0, 0)
        windows[node] = _window(tokens[1:3], where)
        service[node] = real(tokens[3], where, 0)
        demand[node], backhaul[node] = (integer(token, where) for token in tokens[4:])
    fields |= {"demand": demand, "backhaul": backhaul}
    if bool((windows != torch.tensor([0.0, UNBOUNDED])).any()):
        fields["time_windows"] = windows
    if service.any():
        # LKH's files have it at the depot too, where it is no part of any route.
        service[_depots(document, n, Kind())] = 0
        fields["service_time"] = service


def _window(tokens: list[str], where: str) -> Tensor:
    first, last = (real(token, f"{where}: time window", 0) for token in tokens)
    if last < first:
        raise InputError(
            f"{where}: time window from {first:g} to {last:g}, expected one that opens"
        )
    return torch.tensor([first, last])


def _limited(document: Document, fleet: Fleet) -> Fleet:
    """With ``DISTANCE``: of the length of a route, or of its time where there are service times."""
    if "DISTANCE" not in document.specifications:
        return fleet
    stated = document.specifications["DISTANCE"]
    where = f"{document.where(stated.line)}: DISTANCE"
    limit = real(stated.value, where, 0)
    if limit == 0:  # LKH: none
        return fleet
    timed = {"SERVICE_TIME", "PICKUP_AND_DELIVERY"} & (
        document.sections.keys() | document.specifications.keys()
    )
    name = "duration_limit" if timed else "distance_limit"
    if any(getattr(vehicle, name) < float("inf") for vehicle in fleet.kinds):
        raise InputError(f"{where} and a limit of vehicles, expected one of them")
    kinds = [
        replace(vehicle, duration_limit=limit) if timed else replace(vehicle, distance_limit=limit)
        for vehicle in fleet.kinds
    ]
    return replace(fleet, kinds=kinds)


def _check_depots(document: Document, fields: dict[str, Tensor], depots: list[int]) -> None:
    for name, attribute in (
        ("DEMAND", "demand"),
        ("BACKHAUL", "backhaul"),
        ("PICKUP_AND_DELIVERY", "demand"),
        ("PICKUP_AND_DELIVERY", "backhaul"),
    ):
        rows = document.sections[name].rows if name in document.sections else []
        for line, tokens in rows:
            node = int(float(tokens[0])) - document.first  # "11.0" is a number of a node
            amount = int(fields[attribute][node])
            if node in depots and amount:
                where = f"{document.where(line)}: {attribute} of node {tokens[0]}"
                raise InputError(f"{where}: {amount}, expected 0 at the depot")


def _depots(document: Document, n: int, kind: Kind) -> list[int]:
    if not kind.depot_stated and "DEPOT" not in document.sections:
        return [0]
    section = document.section("DEPOT", "the number of the depot")
    first = document.first
    tokens = [(line, token) for line, row in section.rows for token in row]
    end = [k for k, (_, token) in enumerate(tokens) if token == "-1"]
    if end and end[0] != len(tokens) - 1:
        line, token = tokens[end[0] + 1]
        raise InputError(f"{document.where(line)}: {shown(token)}, expected nothing after -1")
    depots = [
        integer(token, f"{document.where(line)}: depot", first, n - 1 + first) - first
        for line, token in tokens[: end[0] if end else None]
    ]
    where = document.where(section.line)
    if not depots:
        raise InputError(f"{where}: 0 depots, expected one")
    if len(set(depots)) < len(depots):
        raise InputError(f"{where}: a depot comes twice, expected each once")
    return depots
