"""
Text files of Cordeau, Gendreau and Laporte (1997): several depots, with time windows or without.

::

    type vehicles customers depots
    longest load                            one row for each depot, 0 where there is no bound
    number x y service demand frequency combinations list... [first last]

The customers come first, the depots behind them. Types 0 (VRP), 2 (MDVRP), 4 (VRPTW) and 6
(MDVRPTW) are read; those with periods (1, 5) and with sites (3, 7) are refused. So many vehicles
stand at each depot; ``longest`` bounds the time of a route, service included. Distances are
unrounded.
"""

from pathlib import Path

import torch

from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.problem_name import routing_problem
from nco.data.formats.rounding import Rounding, euclidean_metric
from nco.data.instance import from_tensors
from nco.data.metric import Metric
from nco.data.numbers import integer, is_real, real, shown

INF = float("inf")
PLAIN, TIMED = ("0", "2"), ("4", "6")
REFUSED = {
    **dict.fromkeys(("1", "5"), "periods of several days"),
    **dict.fromkeys(("3", "7"), "kinds of vehicles for each site"),
}
FIXED = 7  # columns in front of the list of combinations


def looks_like_cordeau(text: str) -> bool:
    """Whether four integers are followed by rows of two numbers, one for each depot, and nodes."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    head = rows[0] if rows else []
    if len(head) != 4 or head[0] not in "01234567" or not all(w.isdigit() for w in head):
        return False
    depots = int(head[3])
    return len(rows) > 1 + depots > 1 and all(
        len(row) == 2 and all(map(is_real, row)) for row in rows[1 : 1 + depots]
    )


def read_cordeau(text: str, path: Path, rounding: Rounding) -> FileInstance:
    """
    Reads a problem with one or several depots.

    Raises
    ------
    InputError
        A row is missing or none, or the type states what no rule is for.
    """
    lines = enumerate(text.splitlines(), start=1)
    rows = [(f"{path}, line {k}", line.split()) for k, line in lines if line.strip()]
    where, (kind, *counts) = rows[0]
    if kind in REFUSED:
        raise InputError(f"{where}: type {kind} is not supported: {REFUSED[kind]}")
    if kind not in (*PLAIN, *TIMED):
        raise InputError(f"{where}: type {shown(kind)}, expected one of 0, 2, 4, 6")
    vehicles, n, depots = (
        integer(word, where, low) for word, low in zip(counts, (0, 1, 1), strict=True)
    )
    if len(rows) != 1 + 2 * depots + n:
        found = f"{len(rows) - 1 - depots} rows of nodes"
        raise InputError(f"{path}: {found}, expected {n} customers and {depots} depots")
    bounds = [[real(word, where, 0) for word in words] for where, words in rows[1 : 1 + depots]]
    nodes = rows[1 + depots :]
    customers = [_node(where, words, k + 1, kind) for k, (where, words) in enumerate(nodes[:n])]
    homes = [_node(where, words, None, kind) for where, words in nodes[n:]]
    table = torch.tensor([*homes, *customers], dtype=torch.double)
    fields = {
        "locs": table[:, 0:2],
        "demand": table[:, 3].round().long(),
        "capacity": torch.tensor([int(load) if load else 2**31 - 1 for _, load in bounds]),
    }
    metric = euclidean_metric(path.stem, "", rounding, Metric.EUCLIDEAN)
    if metric != Metric.EUCLIDEAN:
        fields["metric"] = torch.tensor(int(metric))
    if kind in TIMED:
        fields["time_windows"] = table[:, 4:6]
    if kind in TIMED or bool(table[:, 2].any()):
        fields["service_time"] = table[:, 2]
    if bool(fields["demand"][:depots].any() or table[:depots, 2].any()):
        raise InputError(f"{path}: demand or service of a depot, expected 0")
    limits = [longest or INF for longest, _ in bounds]
    if min(limits) < INF:
        fields["duration_limit"] = torch.tensor(limits, dtype=torch.double)
    for name in ("capacity", "duration_limit"):
        if name in fields and len(set(fields[name].tolist())) == 1:
            fields[name] = fields[name][0]
    if depots > 1:
        fields["depots"] = torch.arange(depots)
    if 0 < vehicles < n:
        fields["vehicle_count"] = torch.full((depots,), vehicles)
    instance = from_tensors(**{key: value.unsqueeze(0) for key, value in fields.items()})
    numbers = (*(words[0] for _, words in nodes[n:]), *(words[0] for _, words in nodes[:n]))
    name = routing_problem(instance)
    return FileInstance(path.stem, name, instance, path, numbers=numbers)


def _node(where: str, words: list[str], number: int | None, kind: str) -> list[float]:
    """Coordinates, service, demand, and the window where there is one (else no bound)."""
    if len(words) < FIXED and not (number is None and len(words) >= 3):
        raise InputError(f"{where}: {len(words)} numbers, expected at least {FIXED}")
    words = [*words, *["0"] * (FIXED - len(words))]
    if number is not None:
        integer(words[0], f"{where}: number of the customer", number, number)
    service, frequency = (real(words[k], where, 0) for k in (3, 5))
    demand = integer(words[4], f"{where}: demand")
    behind = words[FIXED + integer(words[6], f"{where}: number of combinations", 0, 10_000) :]
    if number is not None and frequency != 1:
        raise InputError(f"{where}: frequency {frequency:g}, expected 1 visit")
    if len(behind) != (2 if kind in TIMED else 0) and not (kind in PLAIN and len(behind) == 2):
        raise InputError(f"{where}: {len(words)} numbers, expected a list of combinations to end")
    first, last = (real(word, f"{where}: time window", 0) for word in behind or ("0", "1e12"))
    if last < first:
        raise InputError(f"{where}: time window {first:g} to {last:g}, expected one that opens")
    x, y = (real(word, where) for word in words[1:3])
    return [x, y, service, float(demand), first, last]
