"""The paper's test sets: the same numbers as numpy's global generator gave, to the last bit."""

import math
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nco.data.errors import InputError
from nco.data.formats.datasets.pkl import from_items, read_pkl, to_items
from nco.data.recipes import attention_model, write_attention_model
from nco.envs import problem

PROBLEMS = ["tsp", "cvrp", "sdvrp", "op", "pctsp", "spctsp"]
CAPACITY = {10: 20.0, 20: 30.0, 50: 40.0, 100: 50.0}
HALF = {20: 2.0, 50: 3.0, 100: 4.0}


class Twister(random.Random):
    """
    The standard library's Mersenne twister in the state that numpy's ``seed`` gives.

    An oracle without numpy: the state is filled by the recurrence of Matsumoto and Nishimura
    (2002), doubles are 53 random bits, and integers are drawn by rejection of masked 32 bits.
    """

    def __init__(self, seed: int):
        super().__init__()
        words = [seed & 0xFFFFFFFF]
        for k in range(1, 624):
            words.append((1812433253 * (words[-1] ^ words[-1] >> 30) + k) & 0xFFFFFFFF)
        self.setstate((3, (*words, 624), None))

    def uniforms(self, *shape: int) -> Any:
        if not shape:
            return self.random()
        return [self.uniforms(*shape[1:]) for _ in range(shape[0])]

    def integers(self, low: int, high: int, count: int, size: int) -> list[list[int]]:
        mask = (1 << (high - low).bit_length()) - 1

        def draw() -> int:
            while (value := self.getrandbits(32) & mask) > high - low:
                pass
            return low + value

        return [[draw() for _ in range(size)] for _ in range(count)]


def by_hand(name: str, size: int, seed: int, count: int, prize: str) -> list[Any]:
    """The items of a data set, from the description of the recipe alone."""
    rng = Twister(seed)
    if name == "tsp":
        return rng.uniforms(count, size, 2)
    depot, locs = rng.uniforms(count, 2), rng.uniforms(count, size, 2)
    if name in ("cvrp", "sdvrp"):
        demand = rng.integers(1, 9, count, size)
        return list(zip(depot, locs, demand, [CAPACITY[size]] * count, strict=True))
    if name == "op":
        if prize == "const":
            prizes = [[1.0] * size for _ in range(count)]
        elif prize == "unif":
            drawn = rng.integers(0, 99, count, size)
            prizes = [[(1 + value) / 100 for value in row] for row in drawn]
        else:
            away = [
                [math.sqrt((d[0] - x) ** 2 + (d[1] - y) ** 2) for x, y in row]
                for d, row in zip(depot, locs, strict=True)
            ]
            prizes = [[(1 + int(value / max(row) * 99)) / 100 for value in row] for row in away]
        return list(zip(depot, locs, prizes, [HALF[size]] * count, strict=True))
    largest = HALF[size] * 3 / float(size)
    penalty = [[u * largest for u in row] for row in rng.uniforms(count, size)]
    expected = [[u * 4 / float(size) for u in row] for row in rng.uniforms(count, size)]
    real = [
        [u * mean * 2 for u, mean in zip(row, means, strict=True)]
        for row, means in zip(rng.uniforms(count, size), expected, strict=True)
    ]
    return list(zip(depot, locs, penalty, expected, real, strict=True))


CASES = [
    *((name, size, "dist") for name in PROBLEMS for size in (20, 50, 100)),
    ("cvrp", 10, "dist"),
    *(("op", size, prize) for prize in ("const", "unif") for size in (20, 50, 100)),
]


@pytest.mark.parametrize(("name", "size", "prize"), CASES)
def test_files_are_those_of_the_paper(name: str, size: int, prize: Any, tmp_path: Path) -> None:
    """Every number, every type and the nesting of a file are those of the original recipe."""
    path = tmp_path / "set.pkl"
    write_attention_model(name, size, 1234, 7, prize, path)
    expected = by_hand(name, size, 1234, 7, prize)
    assert path.read_bytes() == pickle.dumps(expected, pickle.HIGHEST_PROTOCOL)


@pytest.mark.parametrize("name", ["tsp", "cvrp", "op", "pctsp"])
def test_whole_files_have_numpys_numbers(name: str) -> None:
    """All 10,000 instances have the numbers that numpy's seeded generator puts there."""
    data = attention_model(name, 20)
    rng = np.random.RandomState(1234)
    if name == "tsp":
        assert np.array_equal(data["locs"].numpy(), rng.random_sample((10_000, 20, 2)))
        return
    depot, locs = rng.random_sample((10_000, 2)), rng.random_sample((10_000, 20, 2))
    assert np.array_equal(data["locs"][:, 0].numpy(), depot)
    assert np.array_equal(data["locs"][:, 1:].numpy(), locs)
    if name == "cvrp":
        assert np.array_equal(data["demand"][:, 1:].numpy(), rng.randint(1, 10, (10_000, 20)))
        assert data["capacity"].unique().tolist() == [30]


def test_the_first_numbers_are_known() -> None:
    """What ``np.random.seed(1234)`` starts with is widely printed: .1915, .6221, .4377, .7854."""
    locs = attention_model("tsp", 20, count=1)["locs"]
    first = [0.1915194503788923, 0.6221087710398319, 0.4377277390071145, 0.7853585837137692]
    assert locs.flatten()[:4].tolist() == first


@pytest.mark.parametrize("name", PROBLEMS)
def test_data_suit_their_problem(name: str) -> None:
    """The instances have all that their environment asks for, and features in single precision."""
    env, data = problem(name), attention_model(name, 20, count=3)
    features = env.features(data).nodes
    assert features.shape == (3, 21 if env.visits.num_depots else 20, env.spec.node_dim)
    assert features.dtype == torch.float
    state = env.reset(data, 2)
    assert bool(env.mask(state).any(-1).all())
    for row in range(3):
        assert env.impossible(data[row : row + 1]) == []


@pytest.mark.parametrize("name", PROBLEMS)
def test_round_trips_are_exact(name: str, tmp_path: Path) -> None:
    """Instances written and read again are equal, with the problem given or told by the items."""
    path = tmp_path / "set.pkl"
    write_attention_model(name, 50, 4321, 5, "unif", path)
    data = attention_model(name, 50, 4321, 5, "unif")
    for again in (read_pkl(path, name), read_pkl(path)):
        assert set(again.keys()) == set(data.keys())
        assert all(torch.equal(again[key], data[key]) for key in data.keys())
        assert to_items(again) == to_items(data)


def test_features_are_those_of_the_paper() -> None:
    """Demands and prizes that a policy sees, and coordinates, are the files' numbers in float32."""
    for name, column in (("cvrp", "demand"), ("op", "prize"), ("pctsp", "prize")):
        data = attention_model(name, 20, count=50)
        nodes = problem(name).features(data).nodes
        assert torch.equal(nodes[..., :2], data["locs"].float())
        seen = data[column].float() / (30 if name == "cvrp" else 1)
        assert torch.equal(nodes[..., 2], seen)
    assert torch.equal(nodes[..., 3], data["penalty"].float())


def test_numpy_arrays_in_items_are_read() -> None:
    """Early versions of the original wrote demands as arrays: the same instances follow."""
    plain = [([0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], [3, 4], 30.0)]
    early = [([0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], np.array([3, 4]), np.float64(30))]
    read = pickle.loads(pickle.dumps(early))
    assert torch.equal(from_items(read)["demand"], from_items(plain)["demand"])


def test_grids_are_scaled() -> None:
    """Items that end in depot type, customer type and grid size have coordinates on that grid."""
    item = ([500, 0], [[250, 750]], [3], 30.0, "C", "RC", 1000)
    assert from_items([item])["locs"].tolist() == [[[0.5, 0.0], [0.25, 0.75]]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vrp", 20), "problem 'vrp', the recipe has tsp, cvrp"),
        (("op", 30), "size 30, the recipe has 20, 50, 100"),
        (("cvrp", 30), "size 30, the recipe has 10, 20, 50, 100"),
        (("op", 20, 1234, 5, "far"), "prize: 'far', expected one of const, unif, dist"),
        (("tsp", 20, -1), "seed: -1, expected 0 to"),
        (("tsp", 20, 1234, 0), "count 0, size 20: expected positive numbers"),
    ],
)
def test_recipes_that_do_not_exist_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    """What the paper has no data for is the user's error, in one line."""
    with pytest.raises(InputError, match=message):
        attention_model(*arguments)


DEPOT, CUSTOMERS = [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("items", "name", "message"),
    [
        ([], None, "set: list, expected a list of instances"),
        ({"a": 1}, None, "set: dict, expected a list of instances"),
        ([1.5], None, "instance 0: float, expected that of one of tsp"),
        ([(1, 2, 3)], None, "instance 0: tuple of 3, expected that of one of tsp"),
        ([(DEPOT, CUSTOMERS, [1, 2], 30.0)], "vrp", "problem 'vrp' has no .pkl layout"),
        (
            [(DEPOT, CUSTOMERS, [1, 2], 30.0)],
            "pctsp",
            "tuple of 4, expected .depot, customers, pen",
        ),
        ([[[0.1, "x"]]], None, "instance 0: locs: list of 1, expected numbers"),
        ([[[0.1, 0.2, 0.3]]], None, r"instance 0: locs: shape \[1, 3\], expected pairs"),
        ([[[0.1, 0.2]], [[0.1, 0.2], [0.3, 0.4]]], None, r"instance 1: locs: shape \[2, 2\], exp"),
        ([(DEPOT, CUSTOMERS, [1], 30.0)], "cvrp", r"demand: shape \[1\], expected \[2\]"),
        ([(DEPOT, CUSTOMERS, [1, 2.5], 30.0)], "cvrp", "demand: 2.5, expected an integer"),
        ([(DEPOT, CUSTOMERS, [1, -2], 30.0)], "cvrp", "demand: -2 .* expected a number from 0"),
        ([(DEPOT, CUSTOMERS, [1, 10**400], 30.0)], "cvrp", "demand: list of 2, expected numbers"),
        ([(DEPOT, CUSTOMERS, [1, 2], math.nan)], "cvrp", "capacity: nan, expected an integer"),
        ([(DEPOT, CUSTOMERS, [1, 2], 0.0)], "cvrp", "capacity: 0, expected at least 1"),
        ([(DEPOT, CUSTOMERS, [1.0, math.inf], 2.0)], "op", "prize: inf .* expected a number"),
        ([(DEPOT, [[math.nan, 0.0]], [1.0], 2.0)], "op", "locs: nan .* expected a number"),
        (
            [(DEPOT, CUSTOMERS, [1, 2], 30.0, "C", "R", "x")],
            None,
            "grid_size: str of 1, expected nu",
        ),
        (
            [(DEPOT, CUSTOMERS, [1, 2], 30.0, "C", "R", 0)],
            None,
            "grid_size: 0, expected more than 0",
        ),
    ],
)
def test_foreign_items_are_refused(items: Any, name: str | None, message: str) -> None:
    """Whatever is wrong with a data set is told in one line, with instance and attribute."""
    with pytest.raises(InputError, match=message) as caught:
        from_items(items, name, "set")
    assert "\n" not in str(caught.value)


def test_instances_without_a_layout_are_refused() -> None:
    """What the layout has no place for is an error, never left out."""
    data = attention_model("pctsp", 20, count=1)
    with pytest.raises(InputError, match=r"min_prize: a \.pkl data set does not say it"):
        to_items(data.clone().set("min_prize", torch.tensor([2.0])))
    with pytest.raises(InputError, match=r"instances with .* have no \.pkl layout"):
        to_items(data.exclude("stochastic_prize"))


def test_writing_needs_a_folder(tmp_path: Path) -> None:
    """A missing folder is the user's error, and nothing is half-written."""
    with pytest.raises(InputError, match="cannot be written"):
        write_attention_model("tsp", 20, 1, 1, "dist", tmp_path / "no" / "set.pkl")
    assert list(tmp_path.iterdir()) == []
