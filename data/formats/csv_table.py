"""
CSV tables of nodes: ``name,x,y,demand`` or ``name,lat,lon,demand``, and what else people have.

The first row names the columns, in any order and by many names (`nco.data.formats.csv_columns`);
all but the coordinates may be absent. Columns of other names are kept, told in a warning, and state
no rule. The first node is the depot where anything but coordinates is stated; else it is a TSP.
Comments, or options of the command, may state (`nco.data.formats.csv_text.SETTINGS`)::

    # capacity: 100
    # vehicles: 4
    # shift: 08:00 17:00
    # speed: 0.5            distance in a unit of time
    # metric: EUC_2D        a member of nco.data.metric.Metric

and a table of vehicles (`nco.data.formats.csv_fleet`) several kinds of them. Windows and service
are numbers, or times of day in minutes since midnight. Distances of x and y are unrounded unless
the metric says otherwise; latitude and longitude are in degrees and distances great-circle
kilometres.
"""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from nco.data.errors import InputError, InputWarning
from nco.data.formats.csv_columns import NODES, column, meanings
from nco.data.formats.csv_fleet import (
    Kind,
    fleet_cells,
    fleet_fields,
    moment,
    read_kinds,
    stated_kind,
)
from nco.data.formats.csv_text import Cells, csv_cells
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.problem_name import routing_problem
from nco.data.formats.rounding import METRICS, Rounding
from nco.data.instance import from_tensors
from nco.data.metric import Metric
from nco.data.numbers import MAX_REAL, integer, real, shown

INF = float("inf")
PLANE, SPHERE = ("x", "y"), ("lat", "lon")
BOUNDS = {"lat": 90.0, "lon": 180.0}
PLANE_METRICS = [name for name in Metric.__members__ if name != Metric.GREAT_CIRCLE.name]
MAX_LISTED = 100_000  # vehicles that have a route each in .sol files
ROUTING = ("demand", "backhaul", "ready", "due", "service", "penalty")  # columns of a depot
_FLEET = ("capacity", "vehicles", "speed", "shift", "max_distance", "max_duration")


def read_table(
    text: str,
    path: Path,
    rounding: Rounding,
    given: Mapping[str, str] | None = None,
    fleet: Cells | None = None,
) -> FileInstance:
    """
    Reads a table of nodes.

    Parameters
    ----------
    text, path, rounding
        The file, and what Euclidean distances mean.
    given
        Settings from elsewhere, which go before those of the file.
    fleet
        Its table of vehicles, where it is not a file beside it.

    Raises
    ------
    InputError
        A column is missing or comes twice, a row is too short, or a value is none.
    """
    cells = csv_cells(text, path, given)
    axes, found = _columns(cells)
    if len(cells.rows) < 3:
        raise InputError(f"{path}: {len(cells.rows) - 1} nodes, expected at least 2")
    fleet = fleet or fleet_cells(path)
    fields = {"locs": torch.stack([_reals(cells, found[axis], axis) for axis in axes], -1)}
    metric = _metric(cells, axes, rounding)
    names = column(cells, found["name"]) if "name" in found else None
    labels = None if names is None else tuple(name for _, name in names)
    kinds = 1
    vehicle_names = None
    if fleet is not None or any(name in found for name in ROUTING):
        stated = _kinds(cells, fleet, "demand" in found or "backhaul" in found, found)
        fields = _routing(cells, found, fields, stated)
        kinds = len(stated)
        vehicle_names = None if fleet is None else tuple(kind.name for kind in stated)
        _tell_speed(cells, found, stated)
    elif idle := [name for name in (*_FLEET, "open") if name in cells.settings]:
        where = cells.settings[idle[0]][1]
        raise InputError(f"{where}: {idle[0]}, expected a demand column to go with it")
    if metric != Metric.EUCLIDEAN:  # absent means Euclidean
        fields["metric"] = torch.tensor(int(metric))
    instance = from_tensors(**{name: value.unsqueeze(0) for name, value in fields.items()})
    counts = fields["vehicle_count"].tolist() if "vehicle_count" in fields else []
    listed = kinds > 1 and 0 < sum(counts) <= MAX_LISTED
    order = [kind for kind, count in enumerate(counts) for _ in range(count)] if listed else None
    return FileInstance(
        path.stem,
        routing_problem(instance) if "demand" in fields else "tsp",
        instance,
        path,
        None if labels is None else (*labels[:1] * kinds, *labels[1:]),
        vehicles=None if order is None else tuple(order),
        first_customer=1,
        vehicle_names=vehicle_names,
        columns=_additional(cells, found, kinds),
    )


def _columns(cells: Cells) -> tuple[tuple[str, str], dict[str, int]]:
    """The names of the coordinates, and the column of each meaning."""
    shown_names = "name, x, y, demand"
    found = meanings(cells, NODES, shown_names)
    axes = SPHERE if {"lat", "lon"} & found.keys() and not {"x", "y"} <= found.keys() else PLANE
    shown_names = ", ".join(("name", *axes, "demand"))
    for axis in axes:
        if axis not in found:
            header = cells.rows[0][1]
            others = [title for k, title in enumerate(header) if k not in found.values()]
            if others:
                raise InputError(
                    f"{cells.path}: column {shown(others[0].lower())}, expected each of "
                    f"{shown_names} once"
                )
            raise InputError(f"{cells.path}: column {axis} is missing, expected {shown_names}")
    return axes, found


def _kinds(cells: Cells, fleet: Cells | None, loaded: bool, found: Mapping[str, int]) -> list[Kind]:
    """The kinds of vehicles, of a table or of settings."""
    if fleet is not None:
        if twice := [name for name in _FLEET if name in cells.settings]:
            where = cells.settings[twice[0]][1]
            raise InputError(f"{where}: {twice[0]} beside {fleet.path}, expected one of them")
        return read_kinds(fleet)
    kind = stated_kind(cells)
    if not loaded and kind.capacity is not None:
        where = cells.settings["capacity"][1]
        raise InputError(f"{where}: capacity, expected a demand column to go with it")
    if loaded and kind.capacity is None:
        missing = f"{cells.path}: no capacity, expected a line like '# capacity: 100'"
        if not {"ready", "due"} & found.keys():
            raise InputError(f"{missing}, or --capacity 100")
        warnings.warn(f"{missing}: vehicles carry any load", InputWarning, stacklevel=2)
    return [kind]


def _routing(
    cells: Cells, found: Mapping[str, int], fields: dict[str, Tensor], kinds: list[Kind]
) -> dict[str, Tensor]:
    """Attributes of nodes and vehicles: a depot node for each kind, then the customers."""
    n = len(cells.rows) - 1
    nodes = torch.tensor([*[0] * len(kinds), *range(1, n)])
    whole: dict[str, Callable[[str, str], float]] = {"demand": integer, "backhaul": integer}
    for name in ("demand", "backhaul", "service", "penalty"):
        if name not in found and name != "demand":
            continue
        read = whole.get(name, moment)
        texts = column(cells, found.get(name), "" if name == "demand" and name in found else "0")
        texts[0] = texts[0][0], texts[0][1] or "0"  # a depot's may be left out
        values = [read(token, f"{where}: {name}") for where, token in texts]
        if values[0]:
            raise InputError(
                f"{texts[0][0]}: {name} {values[0]:g} of the first node, expected 0 at the depot"
            )
        dtype = torch.long if name in whole else torch.double
        key = {"service": "service_time"}.get(name, name)
        fields[key] = torch.tensor(values, dtype=dtype)
    windows = _windows(cells, found)
    fields = {name: value[nodes] for name, value in fields.items()}
    shifts = torch.tensor([kind.shift for kind in kinds], dtype=torch.double)
    timed = bool(((windows[:, 0] > 0) | windows[:, 1].isfinite()).any()) or any(
        kind.shift != (0.0, INF) for kind in kinds
    )
    if timed:
        windows = windows[nodes]
        homes = slice(0, len(kinds))
        windows[homes, 0] = torch.maximum(windows[homes, 0], shifts[:, 0])
        windows[homes, 1] = torch.minimum(windows[homes, 1], shifts[:, 1])
        fields["time_windows"] = windows
        fields.setdefault("service_time", torch.zeros(len(nodes), dtype=torch.double))
    if "backhaul" in fields and not bool(fields["backhaul"].any()):
        del fields["backhaul"]
    if "open" in cells.settings:
        value, where = cells.settings["open"]
        if value.lower() not in ("yes", "no"):
            raise InputError(f"{where}: open {shown(value)}, expected yes or no")
        if value.lower() == "yes":
            fields["open_route"] = torch.tensor(1)
    return fields | fleet_fields(kinds, n - 1)


def _windows(cells: Cells, found: Mapping[str, int]) -> Tensor:
    rows = []
    for (where, first), (_, last) in zip(
        column(cells, found.get("ready"), "0"), column(cells, found.get("due")), strict=True
    ):
        begin = moment(first, f"{where}: beginning of the window")
        end = moment(last, f"{where}: end of the window") if last else INF
        if end < begin:
            raise InputError(f"{where}: time window {first} to {last}, expected one that opens")
        rows.append((begin, end))
    return torch.tensor(rows, dtype=torch.double)


def _tell_speed(cells: Cells, found: Mapping[str, int], kinds: list[Kind]) -> None:
    """Times of day are minutes, distances are not: how fast is it driven?"""
    day = any(
        ":" in row[k]
        for name, k in found.items()
        if name in ("ready", "due")
        for _, row in cells.rows[1:]
    )
    if day and all(kind.numbers["speed"] == 1 for kind in kinds) and "speed" not in cells.settings:
        warnings.warn(
            f"{cells.path}: times of day are minutes, and a unit of distance takes one; "
            "'# speed: 0.5' would say two",
            InputWarning,
            stacklevel=2,
        )


def _additional(cells: Cells, found: Mapping[str, int], kinds: int) -> dict[str, tuple[str, ...]]:
    """The columns that state no rule, as they are, with a value for each node of the instance."""
    header = cells.rows[0][1]
    others = {title: k for k, title in enumerate(header) if k not in found.values()}
    if others:
        names = ", ".join(others)
        warnings.warn(
            f"{cells.path}: columns {names[:200]} are kept and state no rule",
            InputWarning,
            stacklevel=2,
        )
    columns = {title: [row[k] for _, row in cells.rows[1:]] for title, k in others.items()}
    return {title: (*cell[:1] * kinds, *cell[1:]) for title, cell in columns.items()}


def _reals(cells: Cells, k: int, axis: str) -> Tensor:
    bound = BOUNDS.get(axis, MAX_REAL)
    values = []
    for where, token in column(cells, k):
        try:
            values.append(real(token, f"{where}: {axis}", -bound, bound))
        except InputError as error:
            if axis != "lat" or "from" not in str(error):
                raise
            raise InputError(f"{error}: are latitude and longitude swapped?") from None
    return torch.tensor(values, dtype=torch.float64)


def _metric(cells: Cells, axes: tuple[str, str], rounding: Rounding) -> Metric:
    if axes == SPHERE:
        if "metric" in cells.settings or rounding != "auto":
            raise InputError(f"{cells.path}: a metric or rounding, expected none for lat and lon")
        return Metric.GREAT_CIRCLE
    if rounding != "auto":
        return METRICS[rounding]
    name, where = cells.settings.get("metric", (Metric.EUCLIDEAN.name, ""))
    if name not in PLANE_METRICS:
        expected = ", ".join(PLANE_METRICS)
        raise InputError(f"{where}: metric {shown(name)}, expected one of {expected}")
    return Metric[name]
