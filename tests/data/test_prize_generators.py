"""Generators of instances with prizes: the distributions of the paper, at every size."""

import itertools
import math

import pytest
import torch

from nco.data.errors import InputError
from nco.data.generators import InstanceGenerator, OPGenerator, PCTSPGenerator
from nco.data.generators.orienteering import half_tour
from nco.data.instance import validate


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (20, 2.0),
        (50, 3.0),
        (100, 4.0),
        (5, 1.0),  # 2 sqrt(5 / 20); half an optimal tour of 5 is 1.06
        (400, 8.0),  # 4 sqrt(400 / 100)
        (36, 2 + (6 - 20**0.5) / (50**0.5 - 20**0.5)),
    ],
)
def test_half_a_tour(size: int, expected: float) -> None:
    """The published values, linear in the root of the size between them and through 0 outside."""
    assert half_tour(size) == pytest.approx(expected)


def test_half_a_tour_grows() -> None:
    """More customers, longer tours: without a jump at the published sizes."""
    lengths = [half_tour(size) for size in range(1, 200)]
    steps = [b - a for a, b in itertools.pairwise(lengths)]
    assert all(0 < step < 0.2 for step in steps)


def test_distance_prizes_by_a_loop() -> None:
    """Prizes in proportion to the distance, in whole hundredths above 0, the farthest 1."""
    one = OPGenerator(15, prize="dist")(2, seeded(0))
    assert one["distance_limit"].tolist() == [pytest.approx(half_tour(15))] * 2
    for locs, prize in zip(one["locs"].tolist(), one["prize"].tolist(), strict=True):
        away = [math.dist(locs[0], customer) for customer in locs]
        hundredths = [round(100 * value) for value in prize]
        assert prize == pytest.approx([value / 100 for value in hundredths])
        assert hundredths[0] == 0 and max(hundredths) == 100
        for distance, value in zip(away[1:], hundredths[1:], strict=True):
            assert abs(1 + distance / max(away) * 99 - value - 0.5) <= 0.5 + 1e-4


def test_uniform_and_constant_prizes() -> None:
    """Uniform prizes are 0.01 to 1 equally often, constant ones 1, and depots have none."""
    prize = OPGenerator(100, prize="unif")(1000, seeded(0))["prize"]
    counts = (prize[:, 1:] * 100).round().long().flatten().bincount(minlength=101)
    assert counts[0] == 0 and (counts[1:] - 1000).abs().max() < 160  # five standard deviations
    assert bool((prize[:, 0] == 0).all())
    constant = OPGenerator(4, prize="const", distance_limit=1.5)(2, seeded(0))
    assert constant["prize"].tolist() == [[0, 1, 1, 1, 1]] * 2
    assert constant["distance_limit"].tolist() == [1.5, 1.5]


@pytest.mark.parametrize("size", [20, 50])
def test_prize_collecting_distributions(size: int) -> None:
    """Prizes in [0, 4/n], penalties in [0, 3 L/n], stochastic prizes up to twice the expected."""
    batch = PCTSPGenerator(size)(4000, seeded(0))
    assert batch["min_prize"].tolist() == [1.0] * 4000
    largest = {"prize": 4 / size, "penalty": 3 * half_tour(size) / size}
    for name, high in largest.items():
        values = batch[name][:, 1:]
        assert values.min() >= 0 and 0.99 * high < values.max() <= high
        assert float(values.mean()) == pytest.approx(high / 2, rel=0.02)
    ratio = (batch["stochastic_prize"] / batch["prize"])[:, 1:]
    assert ratio.min() >= 0 and ratio.max() <= 2
    assert float(ratio.mean()) == pytest.approx(1, rel=0.02)
    corner = torch.corrcoef(torch.stack([ratio.flatten(), batch["prize"][:, 1:].flatten()]))[0, 1]
    assert abs(corner) < 0.02
    for name in ("prize", "stochastic_prize", "penalty"):
        assert bool((batch[name][:, 0] == 0).all())


@pytest.mark.parametrize(
    "generator", [OPGenerator((1, 9), prize="unif"), OPGenerator((1, 9)), PCTSPGenerator((1, 9))]
)
def test_generators_are_pure(generator: InstanceGenerator) -> None:
    """The generator passed decides everything: the same seed, the same instances of one size."""
    first, again, other = generator(4, seeded(1)), generator(4, seeded(1)), generator(4, seeded(2))
    assert all(torch.equal(first[name], again[name]) for name in first.keys())
    assert not torch.equal(first["locs"], other["locs"])
    assert first.batch_size == torch.Size([4]) and 2 <= first["locs"].shape[1] <= 10
    validate(first)
    assert generator(4, seeded(1), "meta")["locs"].device.type == "meta"


def test_wrong_options_are_refused() -> None:
    """Unknown prizes and negative numbers are the user's error."""
    with pytest.raises(InputError, match="prize: 'far', expected one of const, unif, dist"):
        OPGenerator(5, prize="far")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="distance_limit: -1"):
        OPGenerator(5, distance_limit=-1)
    with pytest.raises(InputError, match="penalty_factor: nan"):
        PCTSPGenerator(5, penalty_factor=math.nan)
