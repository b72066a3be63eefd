"""Distances as integers: exact where they can be, within a part in a million where not."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nco.data.errors import InputError
from nco.data.instance import from_tensors
from nco.data.metric import Metric, pairwise
from nco.solvers.model.scaling import (
    LARGEST,
    MOST,
    Scaling,
    bounding_scaling,
    choose_scaling,
    distances,
)


def matrix(seed: int, nodes: int, size: float, metric: Metric) -> NDArray[np.float64]:
    """Distances of random points in a square of a given size."""
    rng = torch.Generator().manual_seed(seed)
    locs = size * torch.rand(1, nodes, 2, generator=rng, dtype=torch.double)
    return distances(from_tensors(locs=locs, metric=torch.tensor([metric])))


def path_sum(values: NDArray, order: NDArray[np.int64]) -> float:
    """Sum along a closed tour."""
    return values[order, np.roll(order, -1)].sum()


@pytest.mark.parametrize(
    ("metric", "factor"),
    [
        (Metric.EUC_2D, 1),
        (Metric.CEIL_2D, 1),
        (Metric.DECIMAL, 10),
        (Metric.MILLI, 1000),
    ],
)
@given(seed=st.integers(0, 2**31), nodes=st.integers(2, 12))
def test_rounded_distances_stay_exact(metric: Metric, factor: int, seed: int, nodes: int) -> None:
    """Integers are kept, tenths and thousandths become integers, and sums of legs are equal."""
    distance = matrix(seed, nodes, 1000, metric)
    scaling = choose_scaling(distance)
    assert scaling.exact and scaling.factor in (1, 10, 100, 1000) and scaling.factor <= factor
    order = np.random.default_rng(seed).permutation(nodes)
    units = path_sum(scaling.integers(distance), order)
    assert units == round(float(path_sum(distance, order)) * scaling.factor)
    assert scaling.cost(int(units)) == pytest.approx(path_sum(distance, order), rel=1e-14)


@given(
    seed=st.integers(0, 2**31),
    nodes=st.integers(2, 60),
    size=st.sampled_from([1e-9, 1e-3, 1.0, 7.3, 1e4, 1e12, 1e100]),
    clustered=st.booleans(),
)
def test_unrounded_distances_lose_less_than_a_millionth(
    seed: int, nodes: int, size: float, clustered: bool
) -> None:
    """
    The integers of a tour, and of routes there and back, mean its cost to one part in a million,
    at any size of the map, and cannot overflow.
    """
    rng = torch.Generator().manual_seed(seed)
    locs = torch.rand(1, nodes, 2, generator=rng, dtype=torch.double)
    if clustered:  # half of the nodes within a thousandth of the map
        locs[:, : nodes // 2] = 0.5 + locs[:, : nodes // 2] / 1000
    distance = distances(from_tensors(locs=size * locs))
    scaling = choose_scaling(distance)
    integers = scaling.integers(distance)
    assert integers.dtype == np.int64
    assert integers.min() >= 0 and 2 * nodes * int(integers.max()) < 2**63
    order = np.random.default_rng(seed).permutation(nodes)
    for values, exact in (
        (path_sum(integers, order), path_sum(distance, order)),
        (integers[0].sum() + integers[:, 0].sum(), distance[0].sum() + distance[:, 0].sum()),
    ):
        assert scaling.cost(int(values)) == pytest.approx(exact, rel=1e-6)


def test_rounding_is_to_the_nearest() -> None:
    """2.6 units become 3, not 2: truncation would make every tour look shorter than it is."""
    distance = np.array([[0, 1 / 3], [2 / 3, 0]])
    scaling = choose_scaling(distance)
    assert not scaling.exact
    assert scaling.integers(distance)[0, 1] == round(scaling.factor / 3)
    assert scaling.integers(distance)[1, 0] == round(scaling.factor * 2 / 3)
    assert choose_scaling(np.array([[0, 2.0], [3.0, 0]])).integers(np.array([2.6])) == [3]


def test_entries_never_exceed_the_bound() -> None:
    """Where precision and range cannot both be had, the range is kept."""
    near, far = 1e-3 / 3, 1e9 / 3
    distance = np.array(
        [[0, near, far, far], [near, 0, far, far], [far, far, 0, near], [far, far, near, 0]]
    )
    for largest in (2**16 - 1, LARGEST):
        integers = choose_scaling(distance, largest).integers(distance)
        assert largest / 2 <= integers.max() <= largest


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-300, 1e300, 1.7e308])
def test_absurd_sizes_do_not_break_it(size: float) -> None:
    """From the smallest to the largest number there is, integers come out."""
    distance = size * (1 - np.eye(3))
    integers = choose_scaling(distance).integers(distance)
    assert integers.min() >= 0 and integers.max() <= LARGEST


def test_nodes_at_one_place_cost_nothing() -> None:
    """All distances zero are integers already."""
    assert choose_scaling(np.zeros((4, 4))).exact
    pairs = distances(from_tensors(locs=torch.rand(1, 3, 2).repeat(1, 2, 1)))
    assert np.array_equal(choose_scaling(pairs).integers(pairs) == 0, pairs == 0)


def test_matrix_is_the_metric_without_its_diagonal() -> None:
    """Entries are those of `pairwise`, whole rows at a time, and nothing costs from a to a."""
    rng = torch.Generator().manual_seed(0)
    instance = from_tensors(locs=torch.rand(1, 600, 2, generator=rng))
    expected = pairwise(instance)[0].double().numpy()
    assert np.array_equal(distances(instance), expected)
    given_matrix = from_tensors(distance=torch.tensor([[[9999.0, 2.0], [3.0, 9999.0]]]))
    assert distances(given_matrix).tolist() == [[0, 2], [3, 0]]


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf")])
def test_impossible_distances_are_named(wrong: float) -> None:
    """A negative, infinite or missing distance is the file's fault: the error says where."""
    instance = from_tensors(distance=torch.tensor([[[0.0, 1.0], [wrong, 0.0]]]))
    with pytest.raises(InputError, match=f"distance: {wrong} from node 1 to node 0, expected"):
        distances(instance)


@given(
    seed=st.integers(0, 2**31),
    legs=st.integers(1, 12),
    size=st.sampled_from([1e-6, 0.3, 1.0, 7.3, 1e4, 1e9]),
    share=st.floats(0, 1),
)
def test_what_keeps_a_bound_in_integers_keeps_it(
    seed: int, legs: int, size: float, share: float
) -> None:
    """Amounts are rounded up and bounds down: the sum of the integers of some legs is within the
    integer of a bound only if the exact sum is within the bound, for a bound just below the sum
    and for any other; and no bound loses more than one unit."""
    rng = np.random.default_rng(seed)
    distance = size * rng.random((1, legs)) / 3
    total = sum(map(Fraction, distance[0].tolist()))
    for bound in (np.nextafter(float(total), 0), float(total) * share, float(total)):
        limit = np.array([bound])
        scaling = bounding_scaling(distance, limit, LARGEST, (1.0,))
        units = int(scaling.at_most(limit)[0])
        exact = Fraction(bound) * Fraction(scaling.factor)
        assert units == exact.numerator // exact.denominator  # down, and by less than one
        if int(scaling.at_least(distance).sum()) <= units:
            assert total <= Fraction(bound)


def test_bounds_are_rounded_down_and_amounts_up() -> None:
    """2.6 units are a bound of 2 and an amount of 3; infinity is the largest integer; where scaling
    is exact, what floating point made of a whole number is that number."""
    rough, exact = Scaling(10.0, exact=False), Scaling(10.0, exact=True)
    values = np.array([0.26, 0.24, 0.2, np.inf])
    assert rough.at_most(values).tolist() == [2, 2, 2, MOST]
    assert rough.at_least(values[:3]).tolist() == [3, 3, 2]
    products = np.array([0.1 + 0.2, 1.1, 2.2])  # 3.0000000000000004, 11.000000000000002, 22
    assert exact.at_most(products).tolist() == [3, 11, 22]
    assert exact.at_most(np.array([0.29, 0.57]) * 10).tolist() == [29, 57]
    assert exact.at_most(np.array([0.26])).tolist() == [2]
