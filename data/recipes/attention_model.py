"""
The test sets of the Attention Model, bit for bit.

Kool, W., van Hoof, H. and Welling, M. (2019). Attention, learn to solve routing problems! *ICLR*.
Their script seeds numpy's global generator before each file and draws for all instances of it one
attribute after another. ``RandomState`` is that generator, without the global.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.formats.datasets.pkl import from_items, write_pkl
from nco.data.generators.orienteering import HALF_TOUR, PRIZE_TYPES, PrizeType
from nco.data.generators.uniform import ATTENTION_MODEL_CAPACITY, MAX_DEMAND

SEED = 1234  # of the test sets; validation sets have 4321
COUNT = 10_000
PENALTY_FACTOR = 3
Columns = list[Any]


def attention_model(
    problem: str, size: int, seed: int = SEED, count: int = COUNT, prize: PrizeType = "dist"
) -> TensorDict:
    """
    A data set of the paper as a batch of instances, in double precision.

    Parameters
    ----------
    problem
        One of `RECIPES`; CVRP and SDVRP share their data, PCTSP and SPCTSP too.
    size
        Number of customers (for the TSP: of nodes): 20, 50 or 100; 10 for the CVRP and any for the
        TSP as well.
    seed, count
        Of the file. The test sets have 1234 and 10,000; a shorter set is another one, not the
        beginning of the longer.
    prize
        How prizes of the OP are drawn; other problems have no choice.

    Raises
    ------
    InputError
        The recipe does not have such a problem, size or prize.
    """
    if problem not in RECIPES:
        raise InputError(f"problem {problem!r}, the recipe has {', '.join(RECIPES)}")
    if prize not in PRIZE_TYPES:
        raise InputError(f"prize: {prize!r}, expected one of {', '.join(PRIZE_TYPES)}")
    if count < 1 or size < 1:
        raise InputError(f"count {count}, size {size}: expected positive numbers")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed: {seed}, expected 0 to 2^32 - 1")
    rng = np.random.RandomState(seed)
    return from_items(RECIPES[problem](rng, count, size, prize), problem)


def write_attention_model(
    problem: str, size: int, seed: int, count: int, prize: PrizeType, path: Path
) -> None:
    """
    Writes a data set of the paper in its original ``.pkl`` layout: see `attention_model`.

    Raises
    ------
    InputError
        The recipe does not have such a data set, or the file cannot be written.
    """
    write_pkl(attention_model(problem, size, seed, count, prize), path)


def _tsp(rng: np.random.RandomState, count: int, size: int, prize: PrizeType) -> Columns:
    return rng.uniform(size=(count, size, 2)).tolist()


def _vrp(rng: np.random.RandomState, count: int, size: int, prize: PrizeType) -> Columns:
    capacity = _published(ATTENTION_MODEL_CAPACITY, size)
    depot, locs = rng.uniform(size=(count, 2)), rng.uniform(size=(count, size, 2))
    # The original's int is 64 bits wide; of another width the same seed gives other numbers.
    demand = rng.randint(1, MAX_DEMAND + 1, size=(count, size), dtype=np.int64)
    return _items(depot, locs, demand, np.full(count, float(capacity)))


def _op(rng: np.random.RandomState, count: int, size: int, prize: PrizeType) -> Columns:
    limit = _published(HALF_TOUR, size)
    depot, locs = rng.uniform(size=(count, 2)), rng.uniform(size=(count, size, 2))
    if prize == "const":
        prizes = np.ones((count, size))
    elif prize == "unif":
        prizes = (1 + rng.randint(0, 100, size=(count, size), dtype=np.int64)) / 100.0
    else:
        distance = np.linalg.norm(depot[:, None] - locs, axis=-1)
        farthest = distance.max(axis=-1, keepdims=True)
        prizes = (1 + (distance / farthest * 99).astype(int)) / 100.0
    return _items(depot, locs, prizes, np.full(count, limit))


def _pctsp(rng: np.random.RandomState, count: int, size: int, prize: PrizeType) -> Columns:
    largest = _published(HALF_TOUR, size) * PENALTY_FACTOR / size
    depot, locs = rng.uniform(size=(count, 2)), rng.uniform(size=(count, size, 2))
    # The order of the operations decides the last bit.
    penalty = rng.uniform(size=(count, size)) * largest
    expected = rng.uniform(size=(count, size)) * 4 / size
    stochastic = rng.uniform(size=(count, size)) * expected * 2
    return _items(depot, locs, penalty, expected, stochastic)


RECIPES: dict[str, Callable[[np.random.RandomState, int, int, PrizeType], Columns]] = {
    "tsp": _tsp,
    "cvrp": _vrp,
    "sdvrp": _vrp,
    "op": _op,
    "pctsp": _pctsp,
    "spctsp": _pctsp,
}


def _published(table: Mapping[int, float], size: int) -> float:
    if size not in table:
        sizes = ", ".join(map(str, table))
        raise InputError(f"size {size}, the recipe has {sizes} for this problem")
    return table[size]


def _items(*columns: np.ndarray) -> Columns:
    return list(zip(*(column.tolist() for column in columns), strict=True))
