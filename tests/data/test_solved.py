"""Labels: ragged archives of solved instances."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nco.data.errors import InputError
from nco.data.instance import SCHEMA
from nco.data.solved import Labels
from nco.envs import Route, problem
from tests.benchmark_data import benchmark_data

# Two CVRP instances, of 2 and 3 customers, on the grid 0..1000.
ROUTING = {
    "xy": np.array([[0, 0], [300, 400], [0, 1000], [500, 500], [1, 2], [3, 4], [5, 6]], np.int16),
    "demand": np.array([0, 3, 4, 0, 1, 1, 1], np.int16),
    "nodes": np.array([3, 4], np.int16),
    "capacity": np.array([6, 9], np.int32),
    "tour": np.array([0, 1, 0, 2, 0, 0, 2, 3, 1, 0], np.int16),
    "tour_len": np.array([5, 5], np.int16),
}
TOURS = {
    "xy": np.array([[0, 0], [65535, 0], [0, 65535]], np.uint16),
    "nodes": np.array([3], np.int16),
    "tour": np.array([2, 0, 1], np.uint8),
}


def archive(folder: Path, **arrays: np.ndarray) -> Path:
    path = folder / "labels.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_routing_labels(tmp_path: Path) -> None:
    """Coordinates come to the unit square, tours without the depot at their front."""
    labels = Labels([archive(tmp_path, **ROUTING)])
    assert len(labels) == 2 and labels.sizes == [3, 4] and labels.count(3) == 1
    instance, actions = labels.select(3, torch.tensor([0, 0]))
    assert instance["locs"].dtype == torch.float32
    assert instance["locs"][1].tolist() == torch.tensor([[0, 0], [0.3, 0.4], [0, 1.0]]).tolist()
    assert instance["demand"].tolist() == [[0, 3, 4]] * 2
    assert instance["capacity"].tolist() == [6, 6]
    assert actions.tolist() == [[1, 0, 2, 0]] * 2
    assert labels.select(4, torch.tensor([0]))[1].tolist() == [[2, 3, 1, 0]]


def test_shorter_tours_are_padded_with_the_depot(tmp_path: Path) -> None:
    """In one batch, tours of fewer routes end in zeros."""
    arrays = {
        "xy": np.zeros((6, 2), np.int16),
        "demand": np.array([0, 1, 1] * 2),
        "nodes": np.array([3, 3]),
        "capacity": np.array([2, 1]),
        "tour": np.array([0, 2, 1, 0, 0, 1, 0, 2, 0]),
        "tour_len": np.array([4, 5]),
    }
    _, actions = Labels([archive(tmp_path, **arrays)]).select(3, torch.arange(2))
    assert actions.tolist() == [[2, 1, 0, 0], [1, 0, 2, 0]]


def test_tour_labels(tmp_path: Path) -> None:
    """Without demands the tour is a permutation, taken as it is; 65535 is 1."""
    instance, actions = Labels([archive(tmp_path, **TOURS)]).select(3, torch.tensor([0]))
    assert instance["locs"].tolist() == [[[0, 0], [1, 0], [0, 1]]]
    assert actions.tolist() == [[2, 0, 1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tour": np.array([0, 1, 0, 1, 0, 0, 2, 3, 1, 0])}, "array tour, expected every node"),
        ({"tour": np.array([0, 1, 0, 3, 0, 0, 2, 3, 1, 0])}, "array tour, expected every node"),
        ({"tour": np.array([0, -1, 0, 2, 0, 0, 2, 3, 1, 0])}, "array tour, expected every node"),
        ({"tour": np.array([0, 1, 0, 2])}, r"array tour of shape \[4\], expected \[10\]"),
        ({"nodes": np.array([3, 5])}, "array xy of shape"),
        ({"capacity": np.array([6])}, r"array capacity of shape \[1\], expected \[2\]"),
        ({"demand": ROUTING["demand"] * 1.5}, "array demand of torch.float64, expected integers"),
    ],
)
def test_labels_that_contradict_themselves(
    tmp_path: Path, change: dict[str, np.ndarray], message: str
) -> None:
    """An array that does not fit the others is named, not trained on."""
    with pytest.raises(InputError, match=message):
        Labels([archive(tmp_path, **(ROUTING | change))])


def test_labels_of_two_problems_do_not_mix(tmp_path: Path) -> None:
    """Files with and without demands are no one set of labels."""
    (tmp_path / "other").mkdir()
    paths = [archive(tmp_path, **ROUTING), archive(tmp_path / "other", **TOURS)]
    with pytest.raises(InputError, match="another problem"):
        Labels(paths)


# Three instances of any rules: two with one depot and one with two, not on a grid.
FREE = {
    "locs": np.arange(20, dtype=np.float32).reshape(10, 2) / 7,
    "demand": np.array([0, 1, 2, 0, 3, 4, 0, 0, 5, 6]),
    "capacity": np.array([9, 8, 7]),
    "open_route": np.array([0, 1, 0]),
    "time_windows": np.arange(20, dtype=np.float32).reshape(10, 2),
    "nodes": np.array([3, 3, 4]),
    "depots": np.array([1, 1, 2]),
    "vehicle_count": np.array([5, 6, 7, 8]),
    "tour": np.array([0, 2, 0, 1, 0, 0, 1, 2, 0, 1, 3, 0, 2, 0]),
    "tour_len": np.array([5, 4, 5]),
}


def test_labels_of_any_rules(tmp_path: Path) -> None:
    """Attributes come by their names, one row a node, depot node or instance; with several depot
    nodes the tour begins by choosing one."""
    labels = Labels([archive(tmp_path, **FREE)])
    assert labels.shapes == [(3, 1), (4, 2)] and labels.sizes == [3]
    instance, actions = labels.select(3, torch.tensor([1, 0]))
    assert torch.equal(instance["locs"][0], torch.from_numpy(FREE["locs"][3:6]))
    assert instance["demand"].tolist() == [[0, 3, 4], [0, 1, 2]]
    assert instance["open_route"].tolist() == [1, 0] and instance["capacity"].tolist() == [8, 9]
    assert instance["time_windows"][1].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert instance["vehicle_count"].tolist() == [[6], [5]] and "depots" not in instance.keys()
    assert actions.tolist() == [[1, 2, 0, 0], [2, 0, 1, 0]]
    instance, actions = labels.select(4, torch.tensor([0]), 2)
    assert instance["vehicle_count"].tolist() == [[7, 8]]
    assert instance["depots"].tolist() == [[0, 1]]
    assert actions.tolist() == [[1, 3, 0, 2, 0]]


def test_what_some_files_do_not_state_is_neutral(tmp_path: Path) -> None:
    """Labels on the grid and others become one set, with neutral values for what is missing, and
    for what no file has but was asked for."""
    (tmp_path / "other").mkdir()
    paths = [archive(tmp_path, **ROUTING), archive(tmp_path / "other", **FREE)]
    labels = Labels(paths, ["backhaul", "distance_limit"])
    instance, _ = labels.select(3, torch.arange(3))
    assert instance["open_route"].tolist() == [0, 0, 1]
    assert instance["time_windows"][0].tolist() == [[0, float("inf")]] * 3
    assert instance["vehicle_count"].tolist() == [[SCHEMA["vehicle_count"].neutral], [5], [6]]
    assert instance["backhaul"].tolist() == [[0] * 3] * 3
    assert instance["distance_limit"].tolist() == [float("inf")] * 3
    with pytest.raises(InputError, match="array distance is missing"):
        Labels(paths, ["distance"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vehicle_count": np.array([5, 6, 7])}, r"array vehicle_count of shape \[3\], .*\[4\]"),
        ({"time_windows": np.zeros(10)}, r"array time_windows of shape \[10\], expected \[10, 2\]"),
        ({"open_route": np.array([0.0, 1, 0])}, "array open_route of torch.float64, .* integers"),
        ({"depots": np.array([1, 1, 0])}, "array vehicle_count of shape"),
        ({"tour": np.array([0, 2, 0, 1, 0, 0, 1, 2, 0, 1, 3, 0, 3, 0])}, "array tour, expected"),
    ],
)
def test_free_labels_that_contradict_themselves(
    tmp_path: Path, change: dict[str, np.ndarray], message: str
) -> None:
    """An array that does not fit the others is named."""
    with pytest.raises(InputError, match=message):
        Labels([archive(tmp_path, **(FREE | change))])


@pytest.mark.parametrize("name", ["cvrp", "tsp"])
def test_real_labels_are_what_they_state(name: str) -> None:
    """The labels' tours are feasible by the checker and cost what the file states."""
    files = {"cvrp": "cvrp_11_000.npz", "tsp": "tsp_020_100_0.npz"}
    path = benchmark_data("labels", files[name])
    labels, env = Labels([path]), problem(name)
    with np.load(path) as content:
        stated, nodes = content["cost"], content["nodes"]
    scale = 1000 if name == "cvrp" else 1
    for size in labels.sizes[::7]:
        count = min(5, labels.count(size))
        instance, actions = labels.select(size, torch.arange(count))
        cost = env.cost(instance, actions.unsqueeze(1)).squeeze(1) * scale
        expected = torch.from_numpy(stated[nodes == size][:count]).float()
        torch.testing.assert_close(cost, expected, rtol=2e-5, atol=1e-3)
        for row in range(count):
            routes = env.visits.routes(instance[row : row + 1], actions[row].tolist())
            assert all(isinstance(route, Route) for route in routes)
            assert env.check(instance[row : row + 1], routes) == []
