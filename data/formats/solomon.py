"""
Text files of one customer a row: Solomon's and Gehring and Homberger's, and Li and Lim's.

Solomon (1987)::

    C101

    VEHICLE
    NUMBER     CAPACITY
      25         200

    CUSTOMER
    CUST NO.  XCOORD.   YCOORD.    DEMAND   READY TIME  DUE DATE   SERVICE   TIME
        0      40         50          0          0       1236          0
        1      45         68         10        912        967         90

Li and Lim (2001): ``vehicles capacity speed``, then as above with the numbers of the customer where
the shipment was picked up and of the one to which it goes, 0 where there is none. Their demand is
positive at a pickup and its negative at the delivery. A speed of 0 is one that is not used.

Headings may be lower case. The first row is the depot. Solomon's distances and travel times are
truncated to one decimal, the convention of the DIMACS challenge; those of Li and Lim are unrounded.
"""

from pathlib import Path

import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.problem_name import routing_problem
from nco.data.formats.rounding import Rounding, euclidean_metric
from nco.data.instance import from_tensors
from nco.data.metric import Metric
from nco.data.numbers import MAX_INTEGER, integer, real, shown

Row = tuple[str, list[str]]  # where it stands, its words
_PLAIN, _PAIRED = 7, 9  # columns


def looks_like_solomon(text: str) -> bool:
    """Whether there are the headings of Solomon's files."""
    first = [line.upper().split() for line in text.splitlines()[:30]]
    return ["VEHICLE"] in first and any(words[:2] == ["NUMBER", "CAPACITY"] for words in first)


def looks_like_li_lim(text: str) -> bool:
    """Whether a row of three numbers is followed by one of nine."""
    rows = [line.split() for line in text.splitlines()[:10] if line.strip()]
    return [len(row) for row in rows[:2]] == [3, _PAIRED] and not any(
        c.isalpha() for c in text[:80]
    )


def read_solomon(text: str, path: Path, rounding: Rounding) -> FileInstance:
    """
    Reads a VRPTW.

    Raises
    ------
    InputError
        A heading or row is missing or none.
    """
    rows = _rows(text, path)[1:]  # the first one is a name
    for heading in (("VEHICLE",), ("NUMBER", "CAPACITY")):
        _expect(rows, heading, path)
    where, words = _expect(rows, (), path)
    if len(words) != 2:
        raise InputError(f"{where}: {shown(' '.join(words))}, expected 'number capacity'")
    count = integer(words[0], f"{where}: number of vehicles", 1)
    capacity = integer(words[1], f"{where}: capacity", 1)
    for heading in (("CUSTOMER",), ("CUST", "NO.")):
        _expect(rows, heading, path)
    fields = _customers(rows, path, _PLAIN)
    metric = euclidean_metric(path.stem, "", rounding, Metric.DECIMAL)
    return _file(fields, path, metric, capacity, count)


def read_li_lim(text: str, path: Path, rounding: Rounding) -> FileInstance:
    """
    Reads a PDPTW.

    Raises
    ------
    InputError
        A row is missing or none, or pickups and deliveries do not match.
    """
    rows = _rows(text, path)
    where, words = rows.pop(0)
    if len(words) != 3:
        raise InputError(f"{where}: {shown(' '.join(words))}, expected 'vehicles capacity speed'")
    count = integer(words[0], f"{where}: number of vehicles", 1)
    capacity = integer(words[1], f"{where}: capacity", 1)
    speed = real(words[2], f"{where}: speed", 0) or 1.0  # no file uses it, ten of them state 0
    if speed < 1e-9:
        raise InputError(f"{where}: speed {words[2]}, expected 0 (unused) or at least 1e-9")
    fields = _customers(rows, path, _PAIRED)
    if speed != 1:
        fields["speed"] = torch.tensor([speed], dtype=torch.double)
    metric = euclidean_metric(path.stem, "", rounding, Metric.EUCLIDEAN)
    return _file(fields, path, metric, capacity, count)


def _rows(text: str, path: Path) -> list[Row]:
    lines = enumerate(text.splitlines(), start=1)
    return [(f"{path}, line {number}", line.split()) for number, line in lines if line.strip()]


def _expect(rows: list[Row], opening: tuple[str, ...], path: Path) -> Row:
    """Takes the next row, which has to begin so."""
    expected = shown(" ".join(opening)) if opening else "a row"
    if not rows:
        raise InputError(f"{path}: the file ends, expected {expected}")
    where, words = rows.pop(0)
    if tuple(word.upper() for word in words[: len(opening)]) != opening:
        raise InputError(f"{where}: {shown(' '.join(words))}, expected {expected}")
    return where, words


def _customers(rows: list[Row], path: Path, columns: int) -> dict[str, Tensor]:
    """The attributes of the nodes, numbered from 0 in this order."""
    n = len(rows)
    if n < 2:
        raise InputError(f"{path}: {n} rows of nodes, expected a depot and customers")
    locs, windows = torch.zeros(2, n, 2, dtype=torch.double)
    service = torch.zeros(n, dtype=torch.double)
    demand, pickup, delivery = torch.zeros(3, n, dtype=torch.long)
    lowest = 0 if columns == _PLAIN else -MAX_INTEGER
    for node, (where, words) in enumerate(rows):
        if len(words) != columns:
            raise InputError(f"{where}: {len(words)} numbers, expected {columns}")
        integer(words[0], f"{where}: number of the node", node, node)
        locs[node] = torch.tensor([real(word, where) for word in words[1:3]], dtype=torch.double)
        demand[node] = integer(words[3], f"{where}: demand", lowest, MAX_INTEGER)
        first, last = (real(word, f"{where}: time window", 0) for word in words[4:6])
        if last < first:
            raise InputError(f"{where}: time window {first:g} to {last:g}, expected one that opens")
        windows[node] = torch.tensor([first, last], dtype=torch.double)
        service[node] = real(words[6], f"{where}: service time", 0)
        if columns == _PAIRED:
            pickup[node] = integer(words[7], f"{where}: pickup", 0, n - 1)
            delivery[node] = integer(words[8], f"{where}: delivery", 0, n - 1)
    if service[0] or demand[0] or pickup[0] or delivery[0]:
        raise InputError(f"{rows[0][0]}: demand or service, expected 0 at the depot")
    fields = {"locs": locs, "time_windows": windows, "service_time": service}
    if columns == _PLAIN:
        return fields | {"demand": demand}
    for node in range(1, n):
        partner = int(pickup[node] + delivery[node])
        if (
            bool(pickup[node]) == bool(delivery[node])
            or partner == node
            or (delivery if pickup[node] else pickup)[partner] != node
            or demand[partner] != -demand[node]
            or (demand[node] < 0) != bool(pickup[node])
        ):
            raise InputError(
                f"{rows[node][0]}: node {node} and {partner} are no pickup and delivery"
            )
    return fields | {"delivery": delivery, "shipment": demand.clamp_min(0)}


def _file(
    fields: dict[str, Tensor], path: Path, metric: Metric, capacity: int, count: int
) -> FileInstance:
    fields["capacity"] = torch.tensor(capacity)
    if metric != Metric.EUCLIDEAN:
        fields["metric"] = torch.tensor(int(metric))
    if count < len(fields["locs"]) - 1:
        fields["vehicle_count"] = torch.tensor([count])
    instance = from_tensors(**{key: value.unsqueeze(0) for key, value in fields.items()})
    return FileInstance(path.stem, routing_problem(instance), instance, path)
