"""``.npz`` data sets of RL4CO, RouteFinder and RRNCO."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nco.data.dataset import load_instances, stored_problem
from nco.data.errors import InputError

Arrays = dict[str, np.ndarray]
INF = np.inf


def mtvrp() -> Arrays:
    """Two instances as RouteFinder saves them: a CVRP and one with every attribute."""
    return {
        "locs": np.linspace(0, 1, 16, dtype=np.float32).reshape(2, 4, 2),
        "demand_linehaul": np.array([[0.1, 0.3, 0.225], [0, 0.05, 0.9]], dtype=np.float32),
        "demand_backhaul": np.array([[0, 0, 0], [0.125, 0, 0]], dtype=np.float32),
        "vehicle_capacity": np.ones((2, 1), dtype=np.float32),
        "capacity_original": np.full((2, 1), 40, dtype=np.float32),
        "distance_limit": np.array([[INF], [2.5]], dtype=np.float32),
        "time_windows": np.array(
            [[[0, INF]] * 4, [[0, 4.6], [1, 2], [0.5, 1.5], [2, 3]]], dtype=np.float32
        ),
        "service_time": np.array([[0] * 4, [0, 0.15, 0.16, 0.18]], dtype=np.float32),
        "open_route": np.array([[False], [True]]),
        "speed": np.ones((2, 1), dtype=np.float32),
    }


def saved(path: Path, arrays: Arrays) -> Path:
    np.savez(path / "set.npz", allow_pickle=False, **arrays)
    return path / "set.npz"


def test_routefinder(tmp_path: Path) -> None:
    """Shares of the capacity are whole loads again; a batch mixes variants."""
    path = saved(tmp_path, mtvrp())
    instances = load_instances(path)
    assert instances["capacity"].tolist() == [40, 40]
    assert instances["demand"].tolist() == [[0, 4, 12, 9], [0, 0, 2, 36]]
    assert instances["backhaul"].tolist() == [[0, 0, 0, 0], [0, 5, 0, 0]]
    assert instances["distance_limit"].tolist() == [INF, 2.5]
    assert instances["open_route"].tolist() == [0, 1]
    assert instances["linehaul_first"].tolist() == [1, 1]
    assert instances["time_windows"][1, 1].tolist() == [1, 2]
    assert instances["service_time"][1].tolist() == pytest.approx([0, 0.15, 0.16, 0.18])
    assert "speed" not in instances.keys()
    assert stored_problem(path) == "ovrpbltw"
    mixed = mtvrp() | {"backhaul_class": np.array([[1], [2]])}
    assert load_instances(saved(tmp_path, mixed))["linehaul_first"].tolist() == [1, 0]


def test_neutral_attributes_are_absent(tmp_path: Path) -> None:
    """Of a file that holds a CVRP with everything neutral, the CVRP is left."""
    plain = {key: value[:1] for key, value in mtvrp().items()}
    path = saved(tmp_path, plain)
    assert set(load_instances(path).keys()) == {"locs", "demand", "capacity"}
    assert stored_problem(path) == "cvrp"


def test_several_depots(tmp_path: Path) -> None:
    """The depots of RouteFinder's MD variants come first, as ours do."""
    arrays = {key: value[:1] for key, value in mtvrp().items()}
    arrays["demand_linehaul"] = arrays["demand_linehaul"][:, 1:]
    arrays["demand_backhaul"] = arrays["demand_backhaul"][:, 1:]
    path = saved(tmp_path, arrays | {"num_depots": np.array([[2]])})
    instances = load_instances(path)
    assert instances["depots"].tolist() == [[0, 1]]
    assert instances["demand"].tolist() == [[0, 0, 12, 9]]
    assert stored_problem(path) == "mdcvrp"


def test_matrices(tmp_path: Path) -> None:
    """RRNCO's asymmetric sets: a matrix of distances, and RL4CO's layout of depot and demands."""
    distance = np.random.default_rng(0).random((3, 4, 4))
    locs = np.random.default_rng(1).random((3, 4, 2)).astype(np.float32)
    path = saved(tmp_path, {"locs": locs, "distance_matrix": distance})
    assert torch.equal(load_instances(path)["distance"], torch.from_numpy(distance))
    assert stored_problem(path) == "atsp"
    routing = {"depot": locs[:, 0], "locs": locs[:, 1:], "distance_matrix": distance}
    demand, capacity = np.array([[1, 2, 9]] * 3), np.full(3, 30.0)
    for loads in (demand, demand / 30):
        arrays = routing | {"demand": loads.astype(np.float32), "capacity": capacity}
        instances = load_instances(saved(tmp_path, arrays))
        assert instances["demand"].tolist() == [[0, 1, 2, 9]] * 3
        assert torch.equal(instances["locs"], torch.from_numpy(locs).double())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"skills": np.ones((2, 1))}, "array 'skills', expected one of"),
        ({"demand_linehaul": np.full((2, 3), 0.111)}, "demand_linehaul: 4.44 of the capacity"),
        ({"demand_linehaul": np.full((2, 2), 0.1)}, r"demand_linehaul: shape \[2, 2\], expected"),
        ({"distance_limit": np.ones((2, 2))}, r"distance_limit: shape \[2, 2\], expected \[2, 1\]"),
        ({"time_windows": np.ones((2, 3, 2))}, r"time_windows: shape \[2, 3, 2\], expected"),
        ({"backhaul_class": np.full((2, 1), 3)}, "backhaul_class 3, expected 1 or 2"),
        ({"num_depots": np.array([[1], [2]])}, "num_depots"),
        ({"locs": np.ones((2, 4, 3))}, r"locs: shape \[2, 4, 3\], expected"),
        ({"speed": np.zeros((2, 1))}, "speed: 0 at .* expected a positive number"),
    ],
)
def test_what_is_not_understood(tmp_path: Path, change: Arrays, message: str) -> None:
    """An unknown array, shape or value is refused with its name."""
    with pytest.raises(InputError, match=message) as caught:
        load_instances(saved(tmp_path, mtvrp() | change))
    assert "set.npz" in str(caught.value) and "\n" not in str(caught.value)
