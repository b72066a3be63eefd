"""
Pickled data sets in the layouts of the Attention Model's and of multi-task code.

A file holds a list with one item an instance, of plain lists and numbers::

    TSP           [[x, y], ...]
    CVRP, SDVRP   (depot, customers, demand, capacity)
    OP            (depot, customers, prize, max_length)
    PCTSP, SPCTSP (depot, customers, penalty, prize, stochastic_prize)
    variants      (depot, customers, demand, capacity[, limit][, service, opens, closes])

The first ones are those of Kool et al. (2019), whose routing items may end in ``(depot_types,
customer_types, grid_size)``: then the coordinates are in units of ``1 / grid_size``. In a PCTSP the
prize to collect is 1 and is not in the file.

The variants ``[O]VRP[B][L][TW]`` are those of Zhou et al. (2024): open routes, backhauls (negative
demands), a limit of length, time windows. That routes are open, only the name of the problem says.
The time at which the depot closes is 3 and is not in the file. Their VRPB is none by the usual
rule, deliveries before pickups: the published routes obey that of one commodity, what was picked up
may be delivered to another customer. Under the names ``1pdvrp`` and ``1pdvrpltw`` these files are
instances of that problem, under ``vrpb`` and the like of the usual one.
"""

import pickle
from collections.abc import Sequence
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.instance import SCHEMA, from_tensors
from nco.data.limits import require_size
from nco.data.unpickle import unpickle
from nco.data.values import attributes, check_values

# What follows depot and customers in an item, as attributes of the schema.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "tsp": (),
    "cvrp": ("demand", "capacity"),
    "sdvrp": ("demand", "capacity"),
    "op": ("prize", "distance_limit"),
    "pctsp": ("penalty", "prize", "stochastic_prize"),
    "spctsp": ("penalty", "prize", "stochastic_prize"),
}
LIMIT, WINDOWS = ("distance_limit",), ("service_time", "opens", "closes")
VARIANTS = {
    f"{ends}vrp{backhaul}{'l' * bool(limit)}{'tw' * bool(windows)}": (
        *("demand", "capacity"),
        *limit,
        *windows,
    )
    for ends, backhaul, limit, windows in product(("", "o"), ("", "b"), ((), LIMIT), ((), WINDOWS))
    if ends or backhaul or limit or windows
}
ONE_COMMODITY = {"1pdvrp": VARIANTS["vrpb"], "1pdvrpltw": VARIANTS["vrpbltw"]}
LAYOUTS |= VARIANTS | ONE_COMMODITY
HORIZON = 3.0
GRID = 3  # further entries of an item on a grid
MIN_PRIZE = 1.0
MAX_WIDTH = 8  # of a list of points


def read_pkl(path: Path, problem: str | None = None) -> TensorDict:
    """
    Reads a pickled data set as a batch of instances, coordinates in double precision.

    Parameters
    ----------
    path
        The file; it is never executed, see `nco.data.unpickle`.
    problem
        Name of the problem; by default the shape of the items tells the layout.

    Raises
    ------
    InputError
        The file is no such data set; the message names the first instance that is wrong.
    """
    return from_items(unpickle(path), problem, str(path))


def write_pkl(instances: TensorDict, path: Path) -> None:
    """
    Writes a batch of instances as a pickled data set.

    Raises
    ------
    InputError
        No layout holds the attributes of the instances, or the file cannot be written.
    """
    items = to_items(instances)
    with atomic(Path(path)) as part:
        part.write_bytes(pickle.dumps(items, pickle.HIGHEST_PROTOCOL))


def from_items(items: Any, problem: str | None = None, source: str = "data set") -> TensorDict:
    """
    The instances of a list of items: see `read_pkl`.

    Parameters
    ----------
    items
        One entry an instance.
    problem
        Name of the problem, or None.
    source
        Where the items come from, for messages.
    """
    if problem is not None and problem not in LAYOUTS:
        raise InputError(f"problem {problem!r} has no .pkl layout, expected one of {_names()}")
    if not isinstance(items, list | tuple) or not items:
        raise InputError(f"{source}: {type(items).__name__}, expected a list of instances")
    names = _columns(items[0], source) if problem is None else LAYOUTS[problem]
    if not names:
        return _checked(source, locs=_column(items, "locs", source))
    count = 2 + len(names)
    for row, item in enumerate(items):
        if not isinstance(item, list | tuple) or len(item) not in (count, count + GRID):
            expected = f"depot, customers, {', '.join(names)}"
            raise InputError(f"{source}: instance {row}: {_brief(item)}, expected ({expected})")
    columns = list(zip(*(item[:count] for item in items), strict=True))
    # Zhou et al. (2024) write the depot as a list of one point.
    points = [d[0] if isinstance(d, list | tuple) and len(d) == 1 else d for d in columns[0]]
    depot = _column(points, "depot", source, shape=(2,)).unsqueeze(1)
    locs = torch.cat([depot, _column(columns[1], "locs", source)], dim=1)
    sides = [item[-1] if len(item) > count else 1 for item in items]
    grid = _column(sides, "grid_size", source, shape=()).view(-1, 1, 1)
    if not bool((grid > 0).all()):
        raise InputError(f"{source}: grid_size: {float(grid.min()):g}, expected more than 0")
    fields = {"locs": locs / grid}
    for name, values in zip(names, columns[2:], strict=True):
        shape = () if name in SCHEMA and not SCHEMA[name].shape else (locs.shape[1] - 1,)
        column = _column(values, name, source, shape)
        fields[name] = torch.nn.functional.pad(column, (1, 0)) if shape else column
    if "penalty" in names:
        fields["min_prize"] = torch.full((len(items),), MIN_PRIZE, dtype=torch.double)
    if "opens" in names:
        closes = fields.pop("closes")
        closes[:, 0] = HORIZON
        fields["time_windows"] = torch.stack([fields.pop("opens"), closes], -1)
    first = problem in VARIANTS and "b" in problem
    backhauls = first or problem in ONE_COMMODITY
    if "demand" in names and (
        backhauls or (problem is None and bool((fields["demand"] < 0).any()))
    ):
        fields["backhaul"] = -fields["demand"].clamp_max(0)
        fields["demand"] = fields["demand"].clamp_min(0)
    flags = {"open_route": problem in VARIANTS and problem.startswith("o"), "linehaul_first": first}
    for name, said in flags.items():
        if said:
            fields[name] = torch.ones(len(items), dtype=torch.long)
    return _checked(source, **fields)


def to_items(instances: TensorDict) -> list[Any]:
    """The items of a batch of instances, plain lists and numbers: the inverse of `from_items`."""
    held = attributes(instances)
    rest = set(held) - {"locs", "min_prize"}
    names = next((names for names in LAYOUTS.values() if set(names) == rest), None)
    if names is None or "locs" not in held:
        found = ", ".join(held)
        raise InputError(f"instances with {found} have no .pkl layout, expected one of {_names()}")
    if not bool((instances.get("min_prize", torch.tensor(MIN_PRIZE)) == MIN_PRIZE).all()):
        raise InputError(f"min_prize: a .pkl data set does not say it, expected {MIN_PRIZE}")
    locs = instances["locs"]
    if not names:
        return locs.tolist()
    columns = [locs[:, 0].tolist(), locs[:, 1:].tolist()]
    for name in names:
        values = instances[name]
        if SCHEMA[name].shape:
            columns.append(values[:, 1:].tolist())
        else:
            columns.append(values.double().tolist())  # a capacity too, as in the original
    return list(zip(*columns, strict=True))


def _names() -> str:
    return ", ".join(LAYOUTS)


def _brief(value: Any) -> str:
    """Kind and size of a value, for a message."""
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"{type(value).__name__}{size}"


def _columns(item: Any, source: str) -> tuple[str, ...]:
    """The layout of an item whose problem is not known."""
    if isinstance(item, list | np.ndarray):
        return LAYOUTS["tsp"]
    if isinstance(item, tuple) and (name := _tuple_layout(item)) is not None:
        return LAYOUTS[name]
    raise InputError(f"{source}: instance 0: {_brief(item)}, expected that of one of {_names()}")


# What follows the capacity: whether it is a list.
_TAILS = {
    (False,): "vrpl",
    (True, True, True): "vrptw",
    (False, True, True, True): "vrpltw",
}


def _tuple_layout(item: tuple[Any, ...]) -> str | None:
    listed = [isinstance(column, list | np.ndarray) for column in item]
    if len(item) == 5 and listed[3]:
        return "pctsp"
    if (name := _TAILS.get(tuple(listed[4:]))) is not None:
        return name
    if len(item) not in (4, 4 + GRID):
        return None
    # Demands are whole numbers by type, or some are none of a prize of up to 1.
    try:
        third = _numbers(item[2], 1)
    except (TypeError, ValueError, OverflowError):
        return None
    whole = np.issubdtype(third.dtype, np.integer)
    loads = third.dtype.kind == "f" and bool(((third > 1) | (third < 0)).any())
    return "cvrp" if whole or loads else "op"


def _column(
    values: Sequence[Any], name: str, source: str, shape: tuple[int, ...] | None = None
) -> Tensor:
    """One attribute of all instances; ``shape`` of a single one, else that of the first."""
    arrays: list[np.ndarray] = []
    for row, value in enumerate(values):
        where = f"{source}: instance {row}: {name}"
        try:
            array = _numbers(value, 2 if shape is None else len(shape)).astype(float)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{where}: {_brief(value)}, expected numbers") from None
        if shape is None:
            if array.shape[1] != 2:
                raise InputError(f"{where}: shape {list(array.shape)}, expected pairs [x, y]")
            shape = array.shape
        if array.shape != shape:
            raise InputError(f"{where}: shape {list(array.shape)}, expected {list(shape)}")
        if not arrays:
            require_size(len(values) * array.nbytes, source, f"{name} of all instances")
        arrays.append(array)
    column = torch.from_numpy(np.stack(arrays))
    if name not in SCHEMA or not SCHEMA[name].integer:
        return column
    broken = (column % 1 != 0).nonzero()
    if len(broken):
        found = float(column[tuple(broken[0])])
        where = f"{source}: instance {int(broken[0][0])}: {name}"
        raise InputError(f"{where}: {found:g}, expected an integer")
    return column.long()


def _numbers(value: Any, sides: int) -> np.ndarray:
    """
    Numbers in plain lists, or an array of them, with so many sides.

    Lists are looked at before they become an array: a list can hold the same list twice, and so on.

    Raises
    ------
    ValueError
        The value has more or fewer sides, or something that is no number.
    """
    entries: Sequence[Any] = ()
    if sides == 0:
        entries = (value,)
    elif sides == 1 and not isinstance(value, np.ndarray):
        entries = _listed(value)
    elif not isinstance(value, np.ndarray):
        rows = _listed(value)
        if not all(isinstance(row, list | tuple | np.ndarray) for row in rows):
            raise ValueError
        if len({len(row) for row in rows}) != 1 or len(rows[0]) > MAX_WIDTH:
            raise ValueError
        entries = list(chain.from_iterable(rows))
    if not all(issubclass(kind, int | float | np.number) for kind in set(map(type, entries))):
        raise ValueError
    found = np.asarray(value)
    if found.ndim != sides or found.dtype.kind not in "biuf":
        raise ValueError
    return found


def _listed(value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError
    return value


def _checked(source: str, **fields: Tensor) -> TensorDict:
    instances = from_tensors(**fields)
    try:
        check_values(instances)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    return instances
