"""
CSV tables of nodes: ``name,x,y,demand`` or ``name,lat,lon,demand``.

The first row names the columns, in any order; ``name`` and ``demand`` may be absent. With a
demand column the instance is a CVRP, its first node the depot, and a comment states the capacity;
without one it is a TSP. Comments may state::

    # capacity: 100
    # metric: EUC_2D        a member of nco.data.metric.Metric

Distances of x and y are unrounded unless the metric says otherwise; latitude and longitude are
in degrees and distances great-circle kilometres.
"""

import csv
import io
from pathlib import Path

import torch
from torch import Tensor

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.formats.csv_text import Cells, csv_cells
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.rounding import METRICS, Rounding
from nco.data.instance import from_tensors
from nco.data.metric import Metric
from nco.data.numbers import MAX_REAL, integer, plain, real, shown
from nco.data.values import attributes

PLANE, SPHERE = ("x", "y"), ("lat", "lon")
BOUNDS = {"lat": 90.0, "lon": 180.0}
PLANE_METRICS = [name for name in Metric.__members__ if name != Metric.GREAT_CIRCLE.name]


def read_table(text: str, path: Path, rounding: Rounding) -> FileInstance:
    """
    Reads a table of nodes.

    Raises
    ------
    InputError
        A column is unknown or missing, a row is too short, or a value is none.
    """
    cells = csv_cells(text, path)
    columns, lines = _columns(cells)
    axes = SPHERE if "lat" in columns else PLANE
    fields = {"locs": torch.stack([_reals(cells, columns[a], lines, a) for a in axes], -1)}
    metric = _metric(cells, axes, rounding)
    if metric != Metric.EUCLIDEAN:  # absent means Euclidean
        fields["metric"] = torch.tensor(int(metric))
    if "demand" in columns:
        fields |= _demand(cells, columns["demand"], lines)
    elif "capacity" in cells.settings:
        where = cells.where(cells.settings["capacity"][1])
        raise InputError(f"{where}: capacity, expected a demand column to go with it")
    instance = from_tensors(**{name: value.unsqueeze(0) for name, value in fields.items()})
    problem = "cvrp" if "demand" in columns else "tsp"
    labels = tuple(columns["name"]) if "name" in columns else None
    return FileInstance(path.stem, problem, instance, path, labels)


def _columns(cells: Cells) -> tuple[dict[str, list[str]], list[int]]:
    """The cells of each column, and the line of each row."""
    (_, header), *rows = cells.rows
    names = [name.lower() for name in header]
    axes = SPHERE if "lat" in names else PLANE
    known = ("name", *axes, "demand")
    for name in names:
        if name not in known or names.count(name) > 1:
            raise InputError(
                f"{cells.path}: column {shown(name)}, expected each of {', '.join(known)} once"
            )
    for axis in axes:
        if axis not in names:
            raise InputError(f"{cells.path}: column {axis} is missing, expected {', '.join(known)}")
    if len(rows) < 2:
        raise InputError(f"{cells.path}: {len(rows)} nodes, expected at least 2")
    for line, row in rows:
        if len(row) != len(names):
            expected = f"{len(names)} ({', '.join(names)})"
            raise InputError(f"{cells.where(line)}: {len(row)} values, expected {expected}")
    columns = {name: [row[k] for _, row in rows] for k, name in enumerate(names)}
    return columns, [line for line, _ in rows]


def _reals(cells: Cells, column: list[str], lines: list[int], axis: str) -> Tensor:
    bound = BOUNDS.get(axis, MAX_REAL)
    values = [
        real(cell, f"{cells.where(line)}: {axis}", -bound, bound)
        for cell, line in zip(column, lines, strict=True)
    ]
    return torch.tensor(values, dtype=torch.float64)


def _demand(cells: Cells, column: list[str], lines: list[int]) -> dict[str, Tensor]:
    if "capacity" not in cells.settings:
        raise InputError(f"{cells.path}: no capacity, expected a line like '# capacity: 100'")
    value, line = cells.settings["capacity"]
    capacity = integer(value, f"{cells.where(line)}: capacity", 1)
    column = [column[0] or "0", *column[1:]]  # a depot's demand may be left out
    demand = [
        integer(cell, f"{cells.where(line)}: demand")
        for cell, line in zip(column, lines, strict=True)
    ]
    if demand[0]:
        where = cells.where(lines[0])
        raise InputError(f"{where}: demand {demand[0]} of the first node, expected 0 at the depot")
    return {"demand": torch.tensor(demand), "capacity": torch.tensor(capacity)}


def _metric(cells: Cells, axes: tuple[str, str], rounding: Rounding) -> Metric:
    if axes == SPHERE:
        if "metric" in cells.settings or rounding != "auto":
            raise InputError(f"{cells.path}: a metric or rounding, expected none for lat and lon")
        return Metric.GREAT_CIRCLE
    if rounding != "auto":
        return METRICS[rounding]
    name, line = cells.settings.get("metric", (Metric.EUCLIDEAN.name, 0))
    if name not in PLANE_METRICS:
        expected = ", ".join(PLANE_METRICS)
        raise InputError(f"{cells.where(line)}: metric {shown(name)}, expected one of {expected}")
    return Metric[name]


def write_table(path: Path, file: FileInstance) -> None:
    """
    Writes a table of nodes, whole or not at all.

    Raises
    ------
    InputError
        The instance has attributes that a table has no place for, or the folder is not writable.
    """
    instance = file.instance
    for name in attributes(instance):
        if name not in ("locs", "demand", "capacity", "metric"):
            raise InputError(f"{path}: a table has no place for {name}, expected .json")
    metric = Metric(int(instance["metric"])) if "metric" in instance.keys() else Metric.EUCLIDEAN
    axes = SPHERE if metric == Metric.GREAT_CIRCLE else PLANE
    columns = {} if file.labels is None else {"name": list(file.labels)}
    for axis, values in zip(axes, instance["locs"][0].unbind(-1), strict=True):
        columns[axis] = [plain(value) for value in values.tolist()]
    out = io.StringIO(newline="")
    if "capacity" in instance.keys():
        columns["demand"] = [str(amount) for amount in instance["demand"][0].tolist()]
        out.write(f"# capacity: {int(instance['capacity'])}\n")
    if metric not in (Metric.EUCLIDEAN, Metric.GREAT_CIRCLE):
        out.write(f"# metric: {metric.name}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in zip(*columns.values(), strict=True):  # quoted, a name is no comment
        (quoted if row[0].startswith("#") else writer).writerow(row)
    with atomic(path) as part:
        part.write_text(out.getvalue(), encoding="utf-8")
