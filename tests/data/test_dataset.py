"""Data sets: what is saved is loaded, and published reference costs are those of the instances."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nco.data.dataset import load_instances, read_costs, save_instances, stored_problem
from nco.data.generators import CVRPGenerator, TSPGenerator, XGenerator
from nco.data.generators.base import InstanceGenerator
from nco.data.unpickle import unpickle
from nco.envs import Route, problem
from tests.benchmark_data import benchmark_data


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize(
    ("name", "generator"),
    [("tsp", TSPGenerator(7)), ("cvrp", CVRPGenerator(9)), ("cvrp", XGenerator(5, rounded=True))],
)
def test_round_trips(tmp_path: Path, suffix: str, name: str, generator: InstanceGenerator) -> None:
    """Every attribute comes back bit by bit, whole and in slices, with problem and costs."""
    path = tmp_path / f"set{suffix}"
    instances = generator(20, torch.Generator().manual_seed(0))
    cost = torch.rand(20, dtype=torch.float64)
    save_instances(path, instances, name, cost)
    assert stored_problem(path) == name
    assert torch.equal(read_costs(path), cost)
    for rows in (slice(None), slice(3, 11), slice(18, 99), slice(0, 1)):
        loaded = load_instances(path, rows)
        expected = instances[rows]
        assert loaded.batch_size == expected.batch_size
        assert set(loaded.keys()) == set(expected.keys())
        for key in expected.keys():
            assert loaded[key].dtype == expected[key].dtype
            assert torch.equal(loaded[key], expected[key])


def test_unsigned_arrays_are_read(tmp_path: Path) -> None:
    """Archives of other programs may hold small and unsigned integers: they become int64."""
    arrays = {
        "locs": np.zeros((2, 3, 2), np.float32),
        "demand": np.array([[0, 1, 2]] * 2, np.uint16),
        "capacity": np.array([9, 9], np.int8),
    }
    np.savez(tmp_path / "set.npz", **arrays)  # type: ignore[arg-type]
    loaded = load_instances(tmp_path / "set.npz")
    assert loaded["demand"].dtype == loaded["capacity"].dtype == torch.int64
    assert loaded["demand"].tolist() == [[0, 1, 2]] * 2
    assert stored_problem(tmp_path / "set.npz") is None


@pytest.mark.parametrize("solver", ["hgs", "lkh", "or_tools_200s"])
def test_pickled_references(solver: str) -> None:
    """1,000 published CVRP50 solutions: feasible, and their stated costs are ours to 1e-3."""
    folder = ("vrp_variants_50", "CVRP")
    instances = load_instances(benchmark_data(*folder, "cvrp50_uniform.pkl"), problem="cvrp")
    path = benchmark_data(*folder, f"{solver}_cvrp50_uniform.pkl")
    stated = read_costs(path)
    assert stated.shape == (1000,) and instances.batch_size == torch.Size([1000])
    assert (instances["capacity"] == 40).all()
    env = problem("cvrp")
    for row, (_, tour) in enumerate(unpickle(path)):
        instance = instances[row : row + 1]
        routes = env.visits.routes(instance, tour)
        assert all(isinstance(route, Route) for route in routes)
        assert env.check(instance, routes) == []
        assert env.routes_cost(instance, routes) == pytest.approx(stated[row].item(), abs=1e-3)
