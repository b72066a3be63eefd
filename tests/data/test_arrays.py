"""Instances from what people have: arrays, lists, columns, tensors and single numbers."""

from typing import Any

import numpy as np
import pytest
import torch

from nco.data import make_instance
from nco.data.errors import InputError
from nco.data.metric import Metric

LOCS = [[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]
DEMAND = [0, 2, 3]


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        np.array,
        torch.tensor,
        lambda rows: np.array(rows, dtype=np.float32),
        lambda rows: np.array(rows, dtype=">f8"),
        lambda rows: pytest.importorskip("pandas").DataFrame(rows).squeeze(),
    ],
)
def test_all_that_holds_numbers_is_taken(make: Any) -> None:
    """Whatever holds them, integers become int64 and the batch axis is added."""
    found = make_instance(
        locs=make(LOCS), demand=make(DEMAND), capacity=4, service_time=make(DEMAND)
    )
    assert found.batch_size == (1,)
    assert found["locs"].tolist() == [LOCS] and found["locs"].is_floating_point()
    assert found["demand"].tolist() == [DEMAND] and found["demand"].dtype == torch.int64
    assert found["capacity"].tolist() == [4] and found["service_time"].tolist() == [[0.0, 2, 3]]


def test_a_batch_axis_is_kept() -> None:
    """With it everything has it; a single number stands for all."""
    found = make_instance(locs=[LOCS, LOCS], demand=[DEMAND, DEMAND], capacity=np.array([4, 5]))
    assert found.batch_size == (2,) and found["capacity"].tolist() == [4, 5]
    found = make_instance(locs=[LOCS, LOCS], demand=1, capacity=4, service_time=0.5)
    assert found["demand"].tolist() == [[0, 1, 1]] * 2 and found["capacity"].tolist() == [4, 4]
    assert found["service_time"].tolist() == [[0, 0.5, 0.5]] * 2


def test_single_precision_stays() -> None:
    """Tensors and arrays in single precision keep it, lists and integers get double."""
    single = torch.tensor(LOCS, dtype=torch.float32)
    assert make_instance(locs=single)["locs"].dtype == torch.float32
    assert make_instance(locs=single.numpy())["locs"].dtype == torch.float32
    assert make_instance(locs=single.long())["locs"].dtype == torch.float64
    assert make_instance(locs=LOCS)["locs"].dtype == torch.float64


def test_vehicles_of_one_instance() -> None:
    """Capacities of each vehicle, and one number for all of them."""
    found = make_instance(locs=LOCS, depots=[0, 0], demand=[0, 0, 3], capacity=[4, 5], fixed_cost=7)
    assert found["capacity"].tolist() == [[4, 5]] and found["fixed_cost"].tolist() == [[7, 7]]
    assert make_instance(locs=LOCS, demand=DEMAND, capacity=[4])["capacity"].tolist() == [4]


def test_a_matrix_without_places_and_a_metric_by_name() -> None:
    """Distances alone are an instance, and a metric goes by its name."""
    matrix = [[0, 1, 2], [3, 0, 4], [5, 6, 0]]
    assert make_instance(distance=matrix)["distance"].tolist() == [matrix]
    assert make_instance(locs=LOCS, metric="GEO")["metric"].tolist() == [int(Metric.GEO)]
    assert make_instance(locs=LOCS, metric=Metric.GEO)["metric"].tolist() == [int(Metric.GEO)]


def test_what_was_given_is_not_shared() -> None:
    """A later change of the array does not change the instance."""
    array = np.array(LOCS)
    found = make_instance(locs=array)
    array[1] = 99
    assert found["locs"].tolist() == [LOCS]


GOOD: dict[str, Any] = {"locs": LOCS, "demand": DEMAND, "capacity": 4}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"demand": [0, 2.5, 3]}, "demand: 2.5 at [1], expected integers"),
        ({"demand": [0, float("nan"), 3]}, "demand: nan at [1], expected integers"),
        ({"demand": [0, -2, 3]}, "demand: -2 at [1], expected a number from 0"),
        ({"demand": [1, 2, 3]}, "demand: 1 at [0], expected 0 at the depot"),
        ({"demand": [0, 2]}, "demand: size 2 along N, expected 3"),
        ({"demand": [[0, 2, 3]]}, "demand: shape [1, 3], expected [N] of one instance"),
        ({"demand": [0, [2], 3]}, "demand: lists of different lengths, expected an array"),
        ({"demand": ["0", "two", "3"]}, "demand: \"['0', 'two', '3']\", expected an array of numb"),
        ({"demand": None}, "demand: 'None', expected an array of numbers"),
        ({"capacity": 0}, "capacity: 0, expected at least 1"),
        ({"capacity": [4, 4]}, "depots: absent, expected one of each of the 2 depot nodes"),
        ({"locs": [[0, 0], [np.nan, 1], [2, 2]]}, "locs: nan at [1, 0], expected a number from"),
        ({"locs": [0, 1, 2]}, "locs: shape [3], expected [N, 2] or [B, N, 2]"),
        ({"locs": [[0, 0, 0], [1, 1, 1], [2, 2, 2]]}, "locs: size 3 along 2, expected 2"),
        ({"locs": [LOCS, LOCS], "demand": [DEMAND]}, "demand: 1 instances, expected 2 as of locs"),
        ({"time_windows": [[0, 9], [5, 3], [0, 9]]}, "time_windows: 3 at [1], expected an end no"),
        ({"metric": "MANHATTAN"}, "metric: 'MANHATTAN', expected one of EUCLIDEAN, EUC_2D"),
        ({"color": 3}, "color: unknown attribute, expected one of locs"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any], message: str) -> None:
    """One line with the argument, what was found and what was expected."""
    with pytest.raises(InputError) as error:
        make_instance(**{**GOOD, **wrong})
    assert message in str(error.value) and "\n" not in str(error.value)


def test_nothing_is_no_instance() -> None:
    """Without attributes, or without places and distances, there is no instance."""
    with pytest.raises(InputError, match="at least one attribute, found none"):
        make_instance()
    with pytest.raises(InputError, match="neither locs nor distance"):
        make_instance(demand=[[0, 1]], capacity=[4])
