"""Generators: ranges, distributions, determinism, and the two published recipes."""

import pytest
import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.generators import (
    CVRPGenerator,
    GaussianMixture,
    InstanceGenerator,
    TSPGenerator,
    XGenerator,
    XLocations,
    default_capacity,
    x_locations,
)
from nco.data.generators.x import DEMANDS, triangular
from nco.data.generators.x_locations import CUSTOMERS, DEPOTS
from nco.data.instance import validate
from nco.data.metric import Metric, pairwise
from nco.envs import problem

GENERATORS = [
    TSPGenerator(12),
    TSPGenerator((5, 9), GaussianMixture()),
    CVRPGenerator(20),
    CVRPGenerator((10, 30), GaussianMixture(3, 20.0), capacity=25),
    CVRPGenerator(12, XLocations()),
    XGenerator(30),
    XGenerator((1, 5), rounded=True),
]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def same(a: TensorDict, b: TensorDict) -> bool:
    return set(a.keys()) == set(b.keys()) and all(torch.equal(a[key], b[key]) for key in a.keys())


@pytest.mark.parametrize("generator", GENERATORS)
def test_generators_are_pure(generator: InstanceGenerator) -> None:
    """The generator passed decides everything, and global randomness is neither read nor moved."""
    before = torch.random.get_rng_state()
    first = generator(4, seeded(1))
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    again = generator(4, seeded(1))
    assert torch.equal(state, torch.random.get_rng_state())
    torch.random.set_rng_state(before)
    assert same(first, again)
    assert not same(first, generator(4, seeded(2)))
    validate(first)
    assert first.batch_size == torch.Size([4])


@pytest.mark.parametrize("generator", GENERATORS)
def test_instances_land_on_the_device_asked_for(generator: InstanceGenerator) -> None:
    """``device`` moves every tensor (the meta device stands in for one that is not the CPU's)."""
    instance = generator(3, seeded(0), device="meta")
    assert {value.device.type for value in instance.values()} == {"meta"}


def test_a_size_range_draws_one_size_per_batch() -> None:
    """All sizes of the inclusive range occur, about evenly, and nothing is padded."""
    rng = seeded(0)
    generator = CVRPGenerator((3, 6))
    sizes = torch.tensor([generator(2, rng)["locs"].shape[1] - 1 for _ in range(400)])
    assert sorted(set(sizes.tolist())) == [3, 4, 5, 6]
    assert all(70 <= count <= 130 for count in sizes.bincount()[3:].tolist())


@pytest.mark.parametrize("size", [0, (5, 3), (0, 4)])
def test_an_empty_size_range_is_an_error(size: int | tuple[int, int]) -> None:
    """A size that no instance has is reported, not drawn from."""
    with pytest.raises(InputError, match="size"):
        TSPGenerator(size)


def test_the_attention_models_instances() -> None:
    """Locations are uniform floats in the unit square, demands uniform in 1..9, depot demand 0."""
    instance = CVRPGenerator(50)(2000, seeded(3))
    locs, demand = instance["locs"], instance["demand"]
    assert locs.dtype == torch.float32 and locs.shape == (2000, 51, 2)
    assert locs.min() >= 0 and locs.max() < 1
    # 102,000 points: the standard error of a mean is 0.0009, of a variance 0.0003.
    assert (locs.mean((0, 1)) - 0.5).abs().max() < 0.005
    assert (locs.var((0, 1)) - 1 / 12).abs().max() < 0.002
    assert demand.dtype == torch.int64 and (demand[:, 0] == 0).all()
    share = demand[:, 1:].flatten().bincount(minlength=10) / (2000 * 50)
    assert share[0] == 0 and (share[1:] - 1 / 9).abs().max() < 0.005
    assert (instance["capacity"] == 40).all()


def test_default_capacities() -> None:
    """Published capacities where there are any; the rule agrees with them at 50 and 100."""
    assert [default_capacity(n) for n in (10, 20, 50, 100)] == [20, 30, 40, 50]
    assert [default_capacity(n) for n in (21, 49, 200, 1000)] == [34, 39, 70, 230]
    assert [default_capacity(n) for n in (1001, 2000)] == [230, 260]
    assert all(default_capacity(n) >= 9 for n in range(1, 20))


def test_a_capacity_below_the_largest_demand_is_an_error() -> None:
    """No instance without a solution is ever drawn."""
    with pytest.raises(InputError, match="capacity"):
        CVRPGenerator(20, capacity=8)


def test_gaussian_mixtures_are_clustered_in_the_unit_square() -> None:
    """Every axis spans exactly [0, 1], and nearest neighbours are far nearer than uniform ones."""
    mixture = GaussianMixture(modes=3, scale=50.0)(300, 100, seeded(0))
    assert (mixture.amin(1) == 0).all() and (mixture.amax(1) == 1).all()
    uniform = torch.rand(300, 100, 2, generator=seeded(0))

    def nearest(locs: torch.Tensor) -> torch.Tensor:
        distance = torch.cdist(locs, locs) + torch.eye(100) * 9
        return distance.amin(-1).mean()

    assert nearest(mixture) < 0.4 * nearest(uniform)


def test_one_tight_mode_is_a_gaussian() -> None:
    """With a single centre the shape is a Gaussian's: 68 % within one deviation of the mean."""
    locs = GaussianMixture(modes=1)(500, 200, seeded(0))
    z = (locs - locs.mean(1, keepdim=True)) / locs.std(1, keepdim=True)
    assert abs((z.abs() < 1).float().mean() - 0.6827) < 0.01


def test_x_coordinates_are_distinct_grid_points() -> None:
    """X coordinates are integers 0..1000 in float32, and no two nodes share a place."""
    for customers in CUSTOMERS:
        locs = XLocations(customers=customers)(200, 501, seeded(0))
        assert locs.dtype == torch.float32 and torch.equal(locs, locs.round())
        assert locs.min() >= 0 and locs.max() <= 1000
        key = (locs[..., 0] * 1001 + locs[..., 1]).sort(-1).values
        assert (key.diff(dim=-1) > 0).all()


def test_x_points_stay_distinct_when_crowded() -> None:
    """Even 20,000 nodes in one instance, most of them redrawn, never share a place."""
    locs = XLocations("corner", "clustered")(1, 20_001, seeded(0))[0]
    assert len(locs.unique(dim=0)) == 20_001


def test_x_depots() -> None:
    """The depot is at (500, 500), at (0, 0), or anywhere; drawn, each third of the time."""
    assert (XLocations("center")(50, 5, seeded(0))[:, 0] == 500).all()
    assert (XLocations("corner")(50, 5, seeded(0))[:, 0] == 0).all()
    anywhere = XLocations("random")(2000, 5, seeded(0))[:, 0]
    assert (anywhere.mean(0) - 500).abs().max() < 30 and len(anywhere.unique(dim=0)) > 1900
    drawn = XLocations()(3000, 5, seeded(0))[:, 0]
    for place in (0, 500):
        share = (drawn == place).all(-1).float().mean()
        assert abs(share - 1 / 3) < 0.03
    assert len(DEPOTS) == 3


def test_x_clusters_decay_exponentially(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Around a lone seed the density is exp(-d / 40), so F(d) = 1 - (1 + d / 40) exp(-d / 40).

    Of seeds at least 300 from the border: exp(-7.5) (1 + 7.5) = 0.5 % of the mass lies beyond.
    """
    monkeypatch.setattr(x_locations, "SEEDS", (1, 1))
    locs = XLocations("corner", "clustered")(2000, 52, seeded(0))
    seed, others = locs[:, 1:2], locs[:, 2:]
    inside = ((seed >= 300) & (seed <= 700)).all(-1).squeeze(-1)
    distance = (others - seed)[inside].norm(dim=-1)
    assert distance.numel() > 10_000
    for d, share in ((40, 0.2642), (80, 0.5940), (160, 0.9084)):
        assert abs((distance < d).float().mean() - share) < 0.015


def test_x_clusters_superpose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two seeds the density is the sum over both: each attracts half of the customers."""
    monkeypatch.setattr(x_locations, "SEEDS", (2, 2))
    locs = XLocations("corner", "clustered")(2000, 43, seeded(0))
    gap = torch.cdist(locs[:, 3:], locs[:, 1:3])
    inside = ((locs[:, 1:3] >= 200) & (locs[:, 1:3] <= 800)).all(-1).all(-1)
    first = (gap[..., 0] < gap[..., 1])[inside].float().mean()
    assert abs(first - 0.5) < 0.02


def test_x_random_clustered_is_half_and_half() -> None:
    """Half of the customers ignore the seeds: the share near a seed lies between the extremes."""

    def share_near_a_seed(customers: str) -> float:
        locs = XLocations("center", customers)(500, 101, seeded(1))  # type: ignore[arg-type]
        near = torch.cdist(locs[:, 9:], locs[:, 1:4]).amin(-1) < 80
        return near.float().mean().item()

    uniform, mixed, clustered = map(share_near_a_seed, ("random", "random-clustered", "clustered"))
    assert uniform < 0.08 and clustered > 0.35
    assert abs(mixed - (uniform + clustered) / 2) < 0.05


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("unitary", 1, 1),
        ("small-large-cv", 1, 10),
        ("small-small-cv", 5, 10),
        ("large-large-cv", 1, 100),
        ("large-small-cv", 50, 100),
    ],
)
def test_x_uniform_demands(kind: str, low: int, high: int) -> None:
    """Five kinds of demand are uniform over their inclusive range."""
    instance = XGenerator(50, demand=kind)(800, seeded(0))  # type: ignore[arg-type]
    demand = instance["demand"][:, 1:].flatten()
    assert demand.min() == low and demand.max() == high
    share = demand.bincount()[low:] / len(demand)
    assert (share - 1 / (high - low + 1)).abs().max() < 0.01


def test_x_quadrant_demands() -> None:
    """Demands are 51..100 in the first and third quadrant, 1..50 in the other two."""
    instance = XGenerator(80, demand="quadrant")(100, seeded(0))
    x, y = instance["locs"][:, 1:].unbind(-1)
    demand = instance["demand"][:, 1:]
    odd = ((x >= 500) & (y >= 500)) | ((x < 500) & (y < 500))
    assert demand[odd].unique().tolist() == list(range(51, 101))
    assert demand[~odd].unique().tolist() == list(range(1, 51))


def test_x_many_small_demands() -> None:
    """From 70 to 95 % of the demands are in 1..10, the others in 50..100."""
    demand = XGenerator(1000, "center", "random", "many-small")(300, seeded(0))["demand"][:, 1:]
    small = demand <= 10
    assert demand[small].min() == 1 and demand[~small].unique().tolist() == list(range(50, 101))
    share = small.float().mean(-1)  # binomial around its own rate: standard error at most 0.015
    assert 0.65 < share.min() < 0.75 and 0.92 < share.max() < 0.98
    assert abs(share.mean() - 0.825) < 0.015


def test_x_draws_every_kind_of_demand() -> None:
    """Left open, each of the seven kinds of demand occurs in a seventh of the instances."""
    demand = XGenerator(40)(3500, seeded(0))["demand"][:, 1:]
    assert len(DEMANDS) == 7
    unitary = (demand == 1).all(-1).float().mean()
    large = ((demand >= 50).all(-1)).float().mean()
    assert abs(unitary - 1 / 7) < 0.025 and abs(large - 1 / 7) < 0.025


def test_triangular_distribution() -> None:
    """Route lengths are triangular(3, 6, 25): range, mean (3 + 6 + 25) / 3, F(6) = 3 / 22."""
    r = triangular(3, 6, 25, (100_000,), seeded(0))
    assert 3 <= r.min() < 3.3 and 24 < r.max() <= 25
    assert abs(r.mean() - 34 / 3) < 0.06
    assert abs((r < 6).float().mean() - 3 / 22) < 0.005


def test_x_capacity_follows_from_the_route_length() -> None:
    """Q = ceil(r sum(d) / n), and never below the largest demand."""
    instance = XGenerator(30, route_length=7.0)(200, seeded(0))
    total = instance["demand"].sum(-1)
    expected = [
        max(-(-7 * s // 30), largest)
        for s, largest in zip(total.tolist(), instance["demand"].amax(-1).tolist(), strict=True)
    ]
    assert instance["capacity"].tolist() == expected
    lone = XGenerator(1, route_length=1.0)(50, seeded(0))
    assert torch.equal(lone["capacity"], lone["demand"][:, 1])
    assert (XGenerator(60)(100, seeded(0))["capacity"] >= 3).all()


def test_x_rounding_is_the_files() -> None:
    """``rounded`` makes distances whole numbers by the metric EUC_2D; otherwise there is none."""
    rounded = XGenerator(10, rounded=True)(2, seeded(0))
    assert (rounded["metric"] == Metric.EUC_2D).all()
    assert torch.equal(pairwise(rounded), pairwise(rounded).round())
    assert "metric" not in XGenerator(10)(2, seeded(0)).keys()


@pytest.mark.parametrize(
    ("field", "value"),
    [("depot", "north"), ("customers", "everywhere"), ("demand", "some"), ("route_length", 0.5)],
)
def test_unknown_x_options_are_errors(field: str, value: object) -> None:
    """A misspelt option names itself and what was expected."""
    with pytest.raises(InputError, match=field):
        XGenerator(10, **{field: value})  # type: ignore[arg-type]


def test_generated_instances_have_a_solution() -> None:
    """No customer of a generated instance demands more than a vehicle carries."""
    env = problem("cvrp")
    for generator in GENERATORS[2:]:
        batch = generator(20, seeded(5))
        assert not any(env.impossible(batch[k : k + 1]) for k in range(20))
