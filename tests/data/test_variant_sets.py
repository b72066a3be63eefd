"""The published sets of seven variants (Zhou et al. 2024): every instance and every solution."""

from pathlib import Path

import pytest
import torch
from tensordict import TensorDict

from nco.data.dataset import load_instances, read_costs
from nco.data.errors import InputError
from nco.data.formats.datasets.pkl import from_items, to_items
from nco.data.metric import leg
from nco.data.unpickle import unpickle
from nco.envs import problem
from tests.benchmark_data import benchmark_data

SETS = ["CVRP", "OVRP", "VRPB", "VRPL", "VRPTW", "OVRPTW", "VRPBLTW"]
WINDOWS = {"time_windows", "service_time"}
ITEM = ([[0.5, 0.5]], [[0.1, 0.2], [0.3, 0.4]], [3.0, -4.0], 10.0)


def variant_set(name: str) -> tuple[Path, TensorDict]:
    """The folder of a set, and its instances."""
    path = benchmark_data("vrp_variants_50", name)
    problem = name.lower()
    return path, load_instances(path / f"{problem}50_uniform.pkl", problem=problem)


@pytest.mark.parametrize("name", SETS)
def test_costs_recompute(name: str) -> None:
    """The stated costs of OR-Tools' 1,000 tours follow from the coordinates that are read."""
    path, instances = variant_set(name)
    solutions = path / f"or_tools_200s_{name.lower()}50_uniform.pkl"
    tours = [tour for _, tour in unpickle(solutions)]
    padded = torch.zeros(len(tours), 2 + max(map(len, tours)), dtype=torch.long)
    for row, tour in enumerate(tours):
        padded[row, 1 : 1 + len(tour)] = torch.tensor(tour)
    legs = leg(instances, padded[:, :-1], padded[:, 1:])
    if name.startswith("O"):
        assert bool(instances["open_route"].all())
        legs = legs * (padded[:, 1:] > 0)
    assert (legs.sum(-1) - read_costs(solutions)).abs().max() < 1e-3


@pytest.mark.parametrize("name", SETS)
def test_attributes(name: str) -> None:
    """A set has the attributes of its letters and no others; amounts are those of its recipe."""
    _, instances = variant_set(name)
    expected = {"locs", "demand", "capacity"}
    expected |= {"open_route"} if name.startswith("O") else set()
    expected |= {"backhaul", "linehaul_first"} if "B" in name else set()
    expected |= {"distance_limit"} if "L" in name else set()
    expected |= WINDOWS if "TW" in name else set()
    assert set(instances.keys()) == expected and instances["locs"].shape == (1000, 51, 2)
    assert bool((instances["capacity"] == 40).all())
    amounts = instances["demand"] + instances.get("backhaul", torch.tensor(0))
    assert int(amounts[:, 1:].min()) == 1 and int(amounts.max()) == 9
    if "B" in name:
        assert not bool((instances["demand"] * instances["backhaul"]).any())
        assert 0.15 < float((instances["backhaul"] > 0).double().mean()) < 0.25
    if "L" in name:
        assert bool((instances["distance_limit"] == 3).all())
    if "TW" in name:
        assert instances["time_windows"][:, 0].unique(dim=0).tolist() == [[0, 3]]
        assert not bool(instances["service_time"][:, 0].any())


def test_layout_follows_from_the_items() -> None:
    """What an item of the file looks like tells the layout; open routes only the name does."""
    limit, windows = (3.0,), ([0.2, 0.2], [1.0, 0.5], [2.0, 1.5])
    for extra, found in [
        ((), set()),
        (limit, {"distance_limit"}),
        (windows, WINDOWS),
        ((*limit, *windows), {"distance_limit", *WINDOWS}),
    ]:
        batch = from_items([(*ITEM, *extra)])
        assert set(batch.keys()) == {"locs", "demand", "backhaul", "capacity"} | found
    assert batch["demand"].tolist() == [[0, 3, 0]] and batch["backhaul"].tolist() == [[0, 0, 4]]
    assert batch["time_windows"].tolist() == [[[0, 3], [1, 2], [0.5, 1.5]]]
    assert batch["service_time"].tolist() == [[0, 0.2, 0.2]]
    batch = from_items([ITEM], "ovrpb")
    assert batch["open_route"].tolist() == [1]


@pytest.mark.parametrize(("name", "usual"), [("1pdvrp", "vrpb"), ("1pdvrpltw", "vrpbltw")])
def test_one_commodity(name: str, usual: str) -> None:
    """The sets with pickups have a name for the rule that their published routes obey."""
    extra = (3.0, [0.2, 0.2], [1.0, 0.5], [2.0, 1.5]) if name.endswith("tw") else ()
    batch, other = (from_items([(*ITEM, *extra)], each) for each in (name, usual))
    assert set(other.keys()) - set(batch.keys()) == {"linehaul_first"}
    assert all(torch.equal(batch[key], other[key]) for key in batch.keys())
    loads = problem(name, instance=batch).constraints[0]
    assert type(loads).__name__ == "OneCommodity"
    assert problem(usual, instance=other).impossible(other) == []
    assert from_items([(ITEM[0], ITEM[1], [3, 4], 10.0, *extra)], name)["backhaul"].sum() == 0


def test_layouts_that_do_not_fit() -> None:
    """A layout with too few columns, or a window that closes before it opens, is refused."""
    with pytest.raises(InputError, match=r"tuple of 4, expected \(depot, customers, demand, cap"):
        from_items([ITEM], "vrptw")
    late = (*ITEM, [0.2, 0.2], [1.0, 0.5], [0.5, 1.5])
    with pytest.raises(InputError, match=r"time_windows: 0\.5 at"):
        from_items([late], "vrpbtw")


def test_limits_are_written() -> None:
    """A layout without derived columns is written as it is read."""
    items = [([0.5, 0.5], [[0.25, 0.75]], [3], 10.0, 3.0)]
    assert to_items(from_items(items, "vrpl")) == items
