"""
Text data sets of LEHD and of the Pointer Network: a solved instance on every line.

TSP (Vinyals et al. 2015; Luo et al. 2023)::

    x y x y ... output 1 7 3 ... 1

CVRP (Luo et al. 2023, also of its successors)::

    depot,x,y,customer,x,y,...,capacity,80,demand,3,1,...,cost,20.25,node_flag,i,...,0,1,...

Nodes of a tour are counted from 1. The list of demands may begin with that of the depot, 0. What
comes after ``cost`` is a solution, of which only the cost is read; a tour's cost is computed.
"""

from itertools import pairwise
from pathlib import Path

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.formats.text import read_text
from nco.data.instance import from_tensors
from nco.data.numbers import real

KEYS = ("depot", "customer", "capacity", "demand", "cost", "node_flag")


def read_lehd(path: Path) -> tuple[str, TensorDict, Tensor]:
    """
    The problem, the instances ``[B]`` with double coordinates, and their costs ``[B]``.

    Raises
    ------
    InputError
        A line is none of an instance, or of another size than the first.
    """
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: no lines, expected an instance on each")
    routing = lines[0].lstrip().startswith(KEYS[0])
    read = _routing if routing else _tour
    rows = [read(line, f"{path}, line {k}") for k, line in enumerate(lines, 1)]
    for k, (fields, _) in enumerate(rows, 1):
        if fields["locs"].shape != rows[0][0]["locs"].shape:
            found, wanted = len(fields["locs"]), len(rows[0][0]["locs"])
            raise InputError(f"{path}, line {k}: {found} nodes, expected {wanted} as in line 1")
    columns = {name: torch.stack([fields[name] for fields, _ in rows]) for name in rows[0][0]}
    costs = torch.tensor([cost for _, cost in rows], dtype=torch.float64)
    return "cvrp" if routing else "tsp", from_tensors(**columns), costs


Row = tuple[dict[str, Tensor], float]


def _tour(line: str, where: str) -> Row:
    before, word, after = line.partition("output")
    locs = _points(before.split(), where)
    try:
        tour = [int(node) - 1 for node in after.split()]
    except ValueError:
        raise InputError(f"{where}: no tour after output, expected numbers of nodes") from None
    if not word or sorted(tour[:-1]) != list(range(len(locs))) or tour[0] != tour[-1]:
        raise InputError(f"{where}: expected coordinates, output, and a closed tour of all nodes")
    legs = [(locs[a] - locs[b]).norm() for a, b in pairwise(tour)]
    return {"locs": locs}, float(torch.stack(legs).sum())


def _routing(line: str, where: str) -> Row:
    words = [word.strip() for word in line.split(",")]
    parts: dict[str, list[str]] = {}
    for word in words:
        if word in KEYS:
            if word in parts:
                raise InputError(f"{where}: {word} twice, expected it once")
            part = parts[word] = []
        elif word:  # the line begins with a key
            part.append(word)
    for key in KEYS[:5]:
        if not parts.get(key):
            raise InputError(f"{where}: no {key}, expected {', '.join(KEYS[:5])}")
    locs = _points(parts["depot"] + parts["customer"], where)
    demand = _whole(parts["demand"], f"{where}: demand")
    if len(demand) == len(locs) - 1:
        demand = [0, *demand]
    if len(demand) != len(locs) or demand[0]:
        found, wanted = len(demand), len(locs) - 1
        raise InputError(f"{where}: {found} demands, expected {wanted}, one for each customer")
    capacity = _whole(parts["capacity"], f"{where}: capacity")
    if len(capacity) != 1:
        raise InputError(f"{where}: {len(capacity)} capacities, expected one")
    fields = {"locs": locs, "demand": torch.tensor(demand), "capacity": torch.tensor(capacity[0])}
    return fields, real(parts["cost"][0], f"{where}: cost")


def _points(words: list[str], where: str) -> Tensor:
    values = [real(word, f"{where}: coordinate {k}") for k, word in enumerate(words, 1)]
    if not values or len(values) % 2:
        raise InputError(f"{where}: {len(values)} coordinates, expected pairs")
    return torch.tensor(values, dtype=torch.float64).view(-1, 2)


def _whole(words: list[str], where: str) -> list[int]:
    values = [real(word, where) for word in words]
    odd = next((value for value in values if value < 0 or not value.is_integer()), None)
    if odd is not None:
        raise InputError(f"{where}: {odd}, expected whole numbers")
    return [int(value) for value in values]
