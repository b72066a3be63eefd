"""Tiny solved instances as label files, solved by trying everything."""

from collections.abc import Iterator
from itertools import pairwise, permutations, product
from math import dist
from pathlib import Path

import numpy as np


def length(xy: np.ndarray, stops: tuple[int, ...]) -> float:
    """Length of a path through nodes."""
    return sum(dist(xy[a], xy[b]) for a, b in pairwise(stops))


def giant_tours(customers: int) -> Iterator[tuple[int, ...]]:
    """All ways to serve customers 1..n from depot 0, with 0 between the routes and at both ends."""
    for order in permutations(range(1, customers + 1)):
        for returns in product((False, True), repeat=customers - 1):
            tour = [0, order[0]]
            for node, back in zip(order[1:], returns, strict=True):
                tour += [0, node] if back else [node]
            yield (*tour, 0)


def loads(demand: np.ndarray, tour: tuple[int, ...]) -> list[int]:
    """Load of each route of a giant tour."""
    found = [0]
    for node in tour[1:]:
        found[-1] += int(demand[node])
        if node == 0:
            found.append(0)
    return found


def write_tours(path: Path, sizes: tuple[int, ...], seed: int = 0) -> Path:
    """Optimal tours of random instances, one for each of ``sizes``."""
    rng = np.random.default_rng(seed)
    xy, tours = [], []
    for n in sizes:
        nodes = rng.integers(0, 65536, (n, 2))
        ways = ((0, *rest) for rest in permutations(range(1, n)))
        tours.append(min(ways, key=lambda t: length(nodes, (*t, t[0]))))
        xy.append(nodes)
    np.savez(path, xy=np.concatenate(xy), nodes=np.array(sizes), tour=np.concatenate(tours))
    return path


def write_routes(path: Path, count: int, customers: int = 4, seed: int = 0) -> Path:
    """Optimal routes of random CVRP instances."""
    rng = np.random.default_rng(seed)
    xy, demands, tours, capacity = [], [], [], 10
    for _ in range(count):
        nodes, demand = rng.integers(0, 1001, (customers + 1, 2)), rng.integers(1, 7, customers + 1)
        demand[0] = 0
        ways = (t for t in giant_tours(customers) if max(loads(demand, t)) <= capacity)
        tours.append(min(ways, key=lambda t: length(nodes, t)))
        xy.append(nodes)
        demands.append(demand)
    np.savez(
        path,
        xy=np.concatenate(xy),
        nodes=np.full(count, customers + 1),
        demand=np.concatenate(demands),
        capacity=np.full(count, capacity),
        tour=np.concatenate(tours),
        tour_len=np.array([len(t) for t in tours]),
    )
    return path
