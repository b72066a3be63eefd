"""The attributes of the published variant sets: wide windows, equal limits, one commodity."""

import pytest
import torch
from scipy.stats import kstest

from nco.data.dataset import load_instances
from nco.data.errors import InputError
from nco.data.generators.attributes import (
    Backhauls,
    Demands,
    LengthLimits,
    OneGood,
    Sometimes,
    WideWindows,
)
from nco.data.generators.variants import VariantGenerator
from nco.data.seeding import seeded
from nco.envs import problem
from tests.benchmark_data import benchmark_data


@pytest.mark.parametrize("depots", [1, 3])
def test_every_customer_can_be_served_from_any_depot(depots: int) -> None:
    """Alone on its route, from and to each depot, every customer is in time, in corners too."""
    instance = VariantGenerator(30, [Demands(), WideWindows()], depots)(20, seeded(1))
    corners = torch.tensor([[0.0, 0], [1, 1], [1, 0], [0, 1]])
    instance["locs"][0, :4] = corners
    instance["locs"][1, :4] = corners.flip(0)
    instance.update(WideWindows()(instance, seeded(2)))
    locs = instance["locs"].double()
    opens, closes = instance["time_windows"].double().unbind(-1)
    service = instance["service_time"]
    assert (opens[:, depots:] <= closes[:, depots:]).all()
    for depot in range(depots):
        way = (locs - locs[:, depot : depot + 1]).norm(dim=-1)
        assert (way <= closes)[:, depots:].all()
        back = torch.maximum(way, opens) + service + way
        assert (back <= closes[:, depot : depot + 1])[:, depots:].all()
    assert (service[2:, depots:] == 0.2).all() and (service[:, :depots] == 0).all()
    assert (closes <= 3).all() and (opens >= 0).all()


@pytest.mark.parametrize("column", [0, 1])
def test_windows_are_distributed_as_the_published_ones(column: int) -> None:
    """Opening and closing times of 1,000 published instances and of as many drawn ones could be of
    one distribution."""
    path = benchmark_data("vrp_variants_50", "VRPTW", "vrptw50_uniform.pkl")
    theirs = load_instances(path, problem="vrptw")["time_windows"][:, 1:, column].flatten()
    drawn = VariantGenerator(50, [Demands(), WideWindows()])(1000, seeded(3))
    mine = drawn["time_windows"][:, 1:, column].flatten()
    assert kstest(mine.numpy(), theirs.numpy()).pvalue > 1e-3


def test_equal_limits_and_one_commodity() -> None:
    """Limits are what is asked for; one commodity has no order of deliveries and pickups."""
    attributes = [Demands(), Sometimes(Backhauls()), Sometimes(OneGood()), LengthLimits(3.0, True)]
    instance = VariantGenerator(10, attributes)(50, seeded(4))
    assert (instance["distance_limit"] == 3).all()
    one, first = instance["one_commodity"].bool(), instance["linehaul_first"].bool()
    assert one.any() and first.any() and not (one & first).any()


def test_windows_that_cannot_be_are_refused() -> None:
    """A horizon that is shorter than the way to a corner and back is the user's error."""
    with pytest.raises(InputError, match="horizon: 2, expected"):
        WideWindows(2)
    assert problem("anyvrp").spec.dynamic_dim == 3
