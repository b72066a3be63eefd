"""
Synthetic cities: fastest ways through a grid of streets, some one-way, with rivers and bridges.

They have what real road networks have and coordinates do not tell: ways that differ by direction,
detours to the next bridge, main roads that are faster than they are short.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nco.data.cities import City
from nco.data.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
KM_PER_DEGREE = 111.195  # of latitude


@dataclass(frozen=True)
class StreetPlan:
    """
    How a city is built.

    Parameters
    ----------
    blocks
        Streets in each direction.
    block
        Distance of neighbouring streets in kilometres.
    main
        Every so many streets, a main road, which is two-way.
    one_way
        Probability of another street to be one-way from end to end.
    closed
        Probability of a piece of street between two crossings, main roads excepted, to be missing.
    rivers
        Rivers from side to side, the second one across the first.
    bridges
        Main roads that cross a river.
    speeds
        Speed on main roads and on other streets in km/h.
    """

    blocks: int = 32
    block: float = 0.25
    main: int = 5
    one_way: float = 0.4
    closed: float = 0.08
    rivers: int = 1
    bridges: int = 2
    speeds: tuple[float, float] = (50.0, 25.0)

    def __post_init__(self) -> None:
        if self.blocks < 2 or self.main < 1 or self.bridges < 1 or not 0 <= self.rivers <= 2:
            raise InputError(
                f"blocks: {self.blocks}, main: {self.main}, bridges: {self.bridges}, rivers: "
                f"{self.rivers}; expected at least 2, 1, 1 and 0 to 2"
            )
        if not (self.block > 0 and min(self.speeds) > 0):
            raise InputError(f"block: {self.block}, speeds: {self.speeds}, expected positive ones")
        for name, share in (("one_way", self.one_way), ("closed", self.closed)):
            if not 0 <= share <= 1:
                raise InputError(f"{name}: {share}, expected a number from 0 to 1")


def draw_city(name: str, points: int, rng: torch.Generator, plan: StreetPlan | None = None) -> City:
    """
    A random city: places at crossings, and the fastest ways between them.

    Parameters
    ----------
    name
        Of the city.
    points
        Number of places P.
    rng
        Source of all randomness, on the CPU.
    plan
        How it is built.

    Raises
    ------
    InputError
        There are fewer crossings from which one gets to all others and back.
    """
    # Here: slow to import, for cities alone.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components, dijkstra

    plan = plan or StreetPlan()
    # One seed leads to numpy, whose generator the graph is drawn with.
    numbers = np.random.default_rng(int(torch.randint(2**62, (), generator=rng)))
    where = _crossings(plan, numbers)
    origin, target, main = _streets(plan, numbers)
    length = np.linalg.norm(where[target] - where[origin], axis=-1)
    minutes = 60 * length / np.where(main, *plan.speeds)
    graph = coo_array((minutes, (origin, target)), shape=(len(where), len(where))).tocsr()
    _, part = connected_components(graph, connection="strong")
    centre = np.flatnonzero(part == np.bincount(part).argmax())
    if len(centre) < points:
        raise InputError(f"points: {points}, expected at most the {len(centre)} crossings")
    places = np.sort(numbers.choice(centre, points, replace=False))
    duration, before = dijkstra(graph, indices=places, return_predecessors=True)
    distance = _driven(where, before, places)
    return City(name, _degrees(where[places]), _tensor(distance), _tensor(duration[:, places]))


def _crossings(plan: StreetPlan, numbers: np.random.Generator) -> Floats:
    """Where the streets cross, in kilometres: a grid, somewhat out of shape."""
    x, y = np.meshgrid(np.arange(plan.blocks), np.arange(plan.blocks), indexing="ij")
    grid = np.stack([x, y], -1).reshape(-1, 2).astype(np.float64)
    return plan.block * (grid + numbers.uniform(-0.3, 0.3, grid.shape))


def _streets(
    plan: StreetPlan, numbers: np.random.Generator
) -> tuple[Integers, Integers, NDArray[np.bool_]]:
    """Every piece of street that may be driven: from, to, and whether it is a main road."""
    size = plan.blocks
    node = np.arange(size * size).reshape(size, size)
    rivers = _rivers(plan, numbers)
    origins, targets, mains = [], [], []
    for axis in (0, 1):
        along = node if axis == 0 else node.T  # pieces lead from along[i] to along[i + 1]
        begin, end = along[:-1], along[1:]  # [size - 1, streets]
        main = np.broadcast_to(np.arange(size) % plan.main == 0, begin.shape)
        one_way = (numbers.random(size) < plan.one_way) & ~main[0]
        forward = numbers.random(size) < 0.5
        there = (numbers.random(begin.shape) >= plan.closed) | main
        there = there & _dry(axis, size, rivers)
        for first, last, barred in ((begin, end, ~forward), (end, begin, forward)):
            kept = there & ~(one_way & barred)
            origins.append(first[kept])
            targets.append(last[kept])
            mains.append(main[kept])
    return np.concatenate(origins), np.concatenate(targets), np.concatenate(mains)


def _rivers(plan: StreetPlan, numbers: np.random.Generator) -> list[tuple[Integers, Integers]]:
    """
    For every river, on which side of it each crossing lies, and which main roads bridge it.

    A river winds between the streets of one direction from side to side: crossing ``(i, j)`` is
    beyond the first one if ``j >= course[i]``, beyond the second one if ``i >= course[j]``.
    """
    size = plan.blocks
    rivers = []
    for _ in range(plan.rivers):
        steps = numbers.integers(-1, 2, size)
        course = (size // 2 + steps.cumsum()).clip(1, size - 1)
        roads = np.arange(0, size, plan.main)
        bridges = numbers.choice(roads, min(plan.bridges, len(roads)), replace=False)
        rivers.append((course, bridges))
    return rivers


def _dry(axis: int, size: int, rivers: list[tuple[Integers, Integers]]) -> NDArray[np.bool_]:
    """
    Which pieces of the streets along an axis cross no water but by a bridge: ``[size - 1, size]``.
    """
    dry = np.ones((size - 1, size), dtype=bool)
    step, street = np.meshgrid(np.arange(size - 1), np.arange(size), indexing="ij")
    for number, (course, bridges) in enumerate(rivers):
        if axis == number:  # the street runs along the river: it is left where the river bends
            wet = (street >= course[step]) != (street >= course[step + 1])
            # Banks are never joined by a street that runs along.
            dry &= ~wet
        else:
            wet = (step >= course[street]) != (step + 1 >= course[street])
            dry &= ~wet | np.isin(street, bridges)
    return dry


def _driven(where: Floats, before: Integers, places: Integers) -> Floats:
    """Lengths of the ways, ``[P, P]``: back from each place to each start, crossing by crossing."""
    count = len(places)
    start = np.arange(count)[:, None]
    at = np.broadcast_to(places, (count, count)).copy()
    length = np.zeros((count, count))
    while True:
        back = before[start, at]
        moving = back >= 0
        if not moving.any():
            return length
        origin = np.where(moving, back, at)
        length += np.linalg.norm(where[at] - where[origin], axis=-1)
        at = origin


def _degrees(where: Floats) -> Tensor:
    """Latitudes and longitudes of points in kilometres, around 48 degrees north, 11 east."""
    latitude = 48 + where[:, 1] / KM_PER_DEGREE
    longitude = 11 + where[:, 0] / (KM_PER_DEGREE * math.cos(math.radians(48)))
    return _tensor(np.stack([latitude, longitude], -1))


def _tensor(value: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(value)).float()
