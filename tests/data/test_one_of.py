"""Batches from several generators."""

import pytest

from nco.data.errors import InputError
from nco.data.generators import CVRPGenerator, OneOf, TSPGenerator
from nco.data.seeding import seeded


def test_each_batch_is_from_one_generator() -> None:
    """Batches come from all generators, as often as the weights say, the same for a seed."""
    mixed = OneOf([TSPGenerator(5), CVRPGenerator(7)], [3.0, 1.0])
    rng = seeded(1)
    kinds = ["demand" in mixed(2, rng).keys() for _ in range(400)]
    assert 60 <= sum(kinds) <= 140
    again = seeded(1)
    assert kinds == ["demand" in mixed(2, again).keys() for _ in range(400)]
    assert mixed.size == (5, 7)


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [1.0, -1.0]])
def test_bad_weights_are_refused(weights: list[float]) -> None:
    """One weight a generator, none negative, not all zero."""
    with pytest.raises(InputError, match="weights"):
        OneOf([TSPGenerator(5), CVRPGenerator(5)], weights)


def test_no_generator_is_refused() -> None:
    """There is something to choose from."""
    with pytest.raises(InputError, match="generators: none"):
        OneOf([])
