"""Writes CSV tables of nodes and, where there are several kinds, of vehicles; and matrices."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.formats.csv_fleet import NEUTRAL, VEHICLES_TABLE
from nco.data.formats.csv_table import PLANE, SPHERE
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.missing_arcs import ALL_THERE, is_misread
from nco.data.formats.problem_name import routing_problem
from nco.data.instance import num_depots
from nco.data.metric import Metric
from nco.data.neutral import says_nothing
from nco.data.numbers import MAX_INTEGER, plain
from nco.data.values import attributes

_NODES = {"demand": "demand", "backhaul": "backhaul", "service_time": "service"}
_WRITTEN = {
    *("locs", "metric", "demand", "backhaul", "capacity", "time_windows", "service_time"),
    *("penalty", "vehicle_count", "open_route", "depots", *NEUTRAL),
}
_SETTINGS = {
    "speed": "speed",
    "distance_limit": "max_distance",
    "duration_limit": "max_duration",
}


def write_table(path: Path, file: FileInstance) -> None:
    """
    Writes a table of nodes, whole or not at all; a matrix where the instance is nothing else.

    Several kinds of vehicles go to ``NAME.vehicles.csv`` beside it.

    Raises
    ------
    InputError
        The instance has attributes that a table has no place for, or the folder is not writable.
    """
    instance = file.instance
    stated = [name for name in attributes(instance) if not says_nothing(name, instance[name])]
    if stated == ["distance"]:
        _write(path, _matrix(file))
        return
    lost = [name for name in stated if name not in _WRITTEN]
    if "depots" in stated and len(instance["depots"].unique()) > 1:
        lost.append("several depots")
    if lost:
        raise InputError(f"{path}: a table has no place for {', '.join(lost)}, expected .json")
    if "capacity" in instance.keys():
        meant = routing_problem(instance)
        if file.problem.removeprefix("a") != meant:
            raise InputError(
                f"{path}: problem {file.problem} says more than a table does, expected {meant}"
            )
    elif file.problem not in ("tsp", "atsp"):
        raise InputError(f"{path}: a table has no place for problem {file.problem}, expected .json")
    kinds = num_depots(instance)
    if kinds > 1:
        _write(path.with_name(f"{path.stem}.{VEHICLES_TABLE}"), _vehicles(file))
    _write(path, _nodes(file))


def _nodes(file: FileInstance) -> str:
    instance, kinds = file.instance, num_depots(file.instance)
    metric = Metric(int(instance["metric"])) if "metric" in instance.keys() else Metric.EUCLIDEAN
    axes = SPHERE if metric == Metric.GREAT_CIRCLE else PLANE
    columns: dict[str, Sequence[str]] = {} if file.labels is None else {"name": file.labels}
    for axis, values in zip(axes, instance["locs"][0].unbind(-1), strict=True):
        columns[axis] = [plain(value) for value in values.tolist()]
    out = io.StringIO(newline="")
    if "capacity" in instance.keys():
        for name, title in _NODES.items():
            if name == "demand" or name in instance.keys():
                columns[title] = [plain(value) for value in instance[name][0].tolist()]
        if "penalty" in instance.keys():
            columns["penalty"] = [plain(value) for value in instance["penalty"][0].tolist()]
        if "time_windows" in instance.keys():
            first, last = instance["time_windows"][0].unbind(-1)
            shift = range(kinds if kinds > 1 else 0)  # then the vehicles' table has it
            columns["ready"] = [
                "" if k in shift else plain(v) for k, v in enumerate(first.tolist())
            ]
            columns["due"] = [
                "" if k in shift or math.isinf(v) else plain(v) for k, v in enumerate(last.tolist())
            ]
        if kinds == 1:
            for line in _settings(file):
                out.write(f"# {line}\n")
        if "open_route" in instance.keys() and bool(instance["open_route"]):
            out.write("# open: yes\n")
    if metric not in (Metric.EUCLIDEAN, Metric.GREAT_CIRCLE):
        out.write(f"# metric: {metric.name}\n")
    columns |= {title: cells for title, cells in file.columns.items() if title not in columns}
    rows = list(zip(*columns.values(), strict=True))
    return out.getvalue() + table_text(list(columns), rows[kinds - 1 :])


def _settings(file: FileInstance) -> list[str]:
    """What there is to say of the one kind of vehicle."""
    instance = file.instance
    lines = []
    if int(instance["capacity"].view(-1)[0]) < MAX_INTEGER or "time_windows" not in instance.keys():
        lines.append(f"capacity: {int(instance['capacity'].view(-1)[0])}")
    if "vehicle_count" in instance.keys():
        lines.append(f"vehicles: {int(instance['vehicle_count'].view(-1)[0])}")
    for name, setting in _SETTINGS.items():
        if name in instance.keys() and math.isfinite(float(instance[name].view(-1)[0])):
            lines.append(f"{setting}: {plain(float(instance[name].view(-1)[0]))}")
    for name in ("fixed_cost", "unit_cost"):
        if name in instance.keys() and not says_nothing(name, instance[name]):
            raise InputError(f"a table of one kind of vehicle has no place for {name}")
    return lines


def _vehicles(file: FileInstance) -> str:
    instance, kinds = file.instance, num_depots(file.instance)

    def of_each(name: str) -> list[str]:
        values = instance[name].view(-1).expand(kinds).tolist()
        unbounded = (math.inf, MAX_INTEGER)
        return ["" if value in unbounded else plain(value) for value in values]

    titles = {
        "capacity": "capacity",
        "vehicle_count": "count",
        "fixed_cost": "fixed cost",
        "unit_cost": "unit cost",
        "speed": "speed",
        "distance_limit": "max distance",
        "duration_limit": "max duration",
    }
    names = file.vehicle_names or [f"vehicle {k + 1}" for k in range(kinds)]
    columns: dict[str, Sequence[str]] = {"name": names}
    columns |= {title: of_each(name) for name, title in titles.items() if name in instance.keys()}
    if "count" not in columns:
        columns["count"] = [str(MAX_INTEGER)] * kinds
    if "time_windows" in instance.keys():
        first, last = instance["time_windows"][0, :kinds].unbind(-1)
        columns["shift start"] = [plain(value) for value in first.tolist()]
        columns["shift end"] = ["" if math.isinf(v) else plain(v) for v in last.tolist()]
    return table_text(list(columns), list(zip(*columns.values(), strict=True)))


def _matrix(file: FileInstance) -> str:
    matrix = file.instance["distance"][0]
    told = f"# {ALL_THERE}\n" if is_misread(matrix.numpy()) else ""
    rows = [["inf" if math.isinf(v) else plain(v) for v in row] for row in matrix.tolist()]
    if file.labels is None:
        return told + table_text(rows[0], rows[1:])
    named = [[label, *row] for label, row in zip(file.labels, rows, strict=True)]
    return told + table_text(["", *file.labels], named)


def table_text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as CSV text; what begins with ``#`` is quoted, so that it is no comment."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in (header, *rows):
        (quoted if str(row[0]).startswith("#") else writer).writerow(row)
    return out.getvalue()


def records_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Records of the same keys as CSV text."""
    header = list(rows[0]) if rows else []
    return table_text(header, [[str(row[key]) for key in header] for row in rows])


def _write(path: Path, text: str) -> None:
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8")
