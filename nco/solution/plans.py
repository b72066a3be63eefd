"""Plans of routes for other programs: VROOM's answer, and a table of stops."""

import json
from pathlib import Path
from typing import Any

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.formats import FileInstance
from nco.data.formats.csv_writer import records_text
from nco.data.instance import num_depots
from nco.data.numbers import plain
from nco.envs.checking.itinerary import itinerary
from nco.solution.solution import Solution


def vehicle_of_each_route(solution: Solution, file: FileInstance) -> list[int]:
    """The number of the vehicle that drives each route, in the order of the file, from 0."""
    order = file.vehicles or (0,) * len(solution.vehicle_routes)
    free = {kind: [k for k, own in enumerate(order) if own == kind] for kind in set(order)}
    numbers = []
    for route in solution.vehicle_routes:
        queue = free[route.vehicle]
        numbers.append(queue.pop(0) if len(queue) > 1 else queue[0])  # the last: its next trip
    return numbers


def vroom_answer(solution: Solution, file: FileInstance) -> dict[str, Any]:
    """
    The solution of a VROOM request as VROOM's own answer.

    Vehicles, jobs and shipments go by the identifiers of the request. Costs and times are those of
    the routes: what an unassigned job costs by its priority is in none.

    Raises
    ------
    InputError
        The instance is from no VROOM request.
    """
    if file.request is None or "vehicles" not in file.request:
        raise InputError(f"{file.path}: no VROOM request, expected one for --format vroom")
    request, depots = file.request, num_depots(solution.instance)
    tasks = [("job", job) for job in request.get("jobs", [])]
    for shipment in request.get("shipments", []):
        tasks += [(kind, shipment[kind]) for kind in ("pickup", "delivery")]
    rows: list[list[dict[str, Any]]] = [[] for _ in solution.vehicle_routes]
    for row in itinerary(solution.env, solution.instance, solution.vehicle_routes):
        rows[row["route"]].append(row)
    numbers = vehicle_of_each_route(solution, file)
    routes, served = [], set()
    for number, route, stops in zip(numbers, solution.vehicle_routes, rows, strict=True):
        vehicle = request["vehicles"][number]
        travel, steps = 0.0, []
        for k, stop in enumerate(stops):
            if k:
                travel += stop["arrival"] - stops[k - 1]["departure"]
            node = stop["node"]
            if node < depots:
                kind = "start" if k == 0 else "end"
                if vehicle.get(f"{kind}_index") is None:
                    continue
                step = {"type": kind, "location_index": vehicle[f"{kind}_index"]}
            else:
                kind, task = tasks[node - depots]
                served.add(node - depots)
                step = {"type": kind, "id": task.get("id"), **_place(task)}
            step |= {
                "service": _number(task.get("service", 0)) if node >= depots else 0,
                "waiting_time": _number(stop["wait"]),
                "arrival": _number(stop["arrival"]),
                "duration": _number(travel),
            }
            if "load" in stop:
                step["load"] = [_number(stop["load"])]
            steps.append(step)
        service = sum(step["service"] for step in steps)
        waiting = sum(step["waiting_time"] for step in steps)
        own = solution.env.routes_cost(solution.instance, [route]) - _left_out(solution, [route])
        routes.append(
            {
                "vehicle": vehicle.get("id"),
                **({"description": vehicle["description"]} if "description" in vehicle else {}),
                "cost": _number(own),
                "service": service,
                "duration": _number(travel),
                "waiting_time": waiting,
                "steps": steps,
            }
        )
    left = [task for k, task in enumerate(tasks) if k not in served]
    unassigned = [{"id": task.get("id"), "type": kind, **_place(task)} for kind, task in left]
    totals = {
        key: sum(route[key] for route in routes)
        for key in ("cost", "service", "duration", "waiting_time")
    }
    summary = {**totals, "routes": len(routes), "unassigned": len(unassigned)}
    return {"code": 0, "summary": summary, "unassigned": unassigned, "routes": routes}


def stops_table(solution: Solution, file: FileInstance) -> str:
    """The stops of a solution as CSV text, with the names and further columns of the file."""
    depots = num_depots(solution.instance)
    numbers = vehicle_of_each_route(solution, file)
    records = []
    for row in itinerary(solution.env, solution.instance, solution.vehicle_routes):
        node = row["node"]
        record: dict[str, object] = {"route": row["route"] + 1}
        names = file.vehicle_names
        record["vehicle"] = names[row["vehicle"]] if names else numbers[row["route"]] + 1
        record["stop"] = "depot" if node < depots else node - depots + file.first_customer
        if file.labels is not None:
            record["name"] = file.labels[node]
        for key in ("arrival", "wait", "start", "departure", "load", "distance"):
            if key in row:
                record[key] = plain(round(float(row[key]), 6))
        records.append(record | {name: cells[node] for name, cells in file.columns.items()})
    return records_text(records)


def write_vroom_answer(path: Path, solution: Solution, file: FileInstance) -> None:
    """
    Writes VROOM's answer, whole or not at all.

    Raises
    ------
    InputError
        The instance is from no VROOM request, or the folder is missing or not writable.
    """
    text = json.dumps(vroom_answer(solution, file), allow_nan=False)
    with atomic(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def write_stops_table(path: Path, solution: Solution, file: FileInstance) -> None:
    """
    Writes the table of stops, whole or not at all.

    Raises
    ------
    InputError
        The folder is missing or not writable.
    """
    text = stops_table(solution, file)
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")


def _left_out(solution: Solution, routes: list[Any]) -> float:
    """The penalties that are in the cost of some routes alone."""
    if "penalty" not in solution.instance.keys():
        return 0.0
    visited = {node for route in routes for node in route.visits}
    penalty = solution.instance["penalty"][0].tolist()
    return sum(value for node, value in enumerate(penalty) if node not in visited)


def _place(task: dict[str, Any]) -> dict[str, Any]:
    kept = ("description", "location", "location_index")
    return {key: task[key] for key in kept if task.get(key) is not None}


def _number(value: float) -> float:
    """A whole number as an integer."""
    return int(value) if float(value).is_integer() else round(float(value), 6)
