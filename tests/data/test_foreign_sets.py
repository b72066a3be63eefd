"""Data sets of LEHD (.txt) and POMO (.pt): what their numbers say, and what is none."""

import json
from pathlib import Path

import pytest
import torch

from nco.cli import main
from nco.data.dataset import load_instances, read_costs, stored_problem
from nco.data.errors import InputError
from nco.data.formats.datasets.pomo import whole_demands
from tests.benchmark_data import benchmark_data

# A rectangle of 3 by 4, its outline, and a tour with both diagonals.
TSP = "0 0 3 4 3 0 0 4 output 1 3 2 4 1\n0 0 3 4 3 0 0 4 output 1 2 3 4 1\n"
# A depot in the middle of a square of side 6; two routes along parallel sides.
CVRP = (
    "depot,3,3,customer,0,0,0,6,6,0,6,6,capacity,10.0,demand,5,5,5,5,"
    "cost,28.970563,node_flag,1,2,3,4,1,0,1,0\n"
)


def test_lines_of_tours(tmp_path: Path) -> None:
    """Coordinates as they are; the cost is that of the tour."""
    path = tmp_path / "set.txt"
    path.write_text(TSP)
    assert stored_problem(path) == "tsp"
    assert load_instances(path)["locs"][1].tolist() == [[0, 0], [3, 4], [3, 0], [0, 4]]
    assert read_costs(path).tolist() == pytest.approx([14, 18])
    assert len(load_instances(path, slice(1))) == 1


@pytest.mark.parametrize("depot", ["", "0,"])
def test_lines_of_routes(depot: str, tmp_path: Path) -> None:
    """Demands with and without that of the depot, whole numbers, with capacity and cost."""
    path = tmp_path / "set.txt"
    path.write_text(CVRP.replace("demand,", f"demand,{depot}") * 2)
    assert stored_problem(path) == "cvrp"
    instances = load_instances(path)
    assert instances["locs"][0].tolist() == [[3, 3], [0, 0], [0, 6], [6, 0], [6, 6]]
    assert instances["demand"].tolist() == [[0, 5, 5, 5, 5]] * 2
    assert instances["capacity"].tolist() == [10, 10]
    assert read_costs(path).tolist() == [28.970563] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("0 0 3 4 3 0 output 1 2 3\n", "line 1: expected coordinates, output, and a closed tour"),
        ("0 0 3 4 3 0 output 1 2 x 1\n", "line 1: no tour after output"),
        ("0 0 3 x output 1 2 1\n", "line 1: coordinate 4"),
        (TSP + "0 0 3 4 output 1 2 1\n", "line 3: 2 nodes, expected 4 as in line 1"),
        (CVRP.replace("capacity,10.0,", ""), "line 1: no capacity"),
        (CVRP.replace("demand,5,5", "demand,5"), "line 1: 3 demands, expected 4"),
        (CVRP.replace("demand,5,", "demand,5.5,"), "line 1: demand: 5.5, expected whole numbers"),
        (CVRP.replace("cost,", "depot,1,1,cost,"), "line 1: depot twice"),
    ],
)
def test_bad_lines_are_named(text: str, message: str, tmp_path: Path) -> None:
    """The message has file, line, what was found and what was expected."""
    path = tmp_path / "set.txt"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_instances(path)
    assert str(error.value).startswith(str(path)) and message in str(error.value)


@pytest.mark.parametrize("layout", ["tensor", "dictionary"])
def test_tensors_of_tours(layout: str, tmp_path: Path) -> None:
    """TSP instances, bare or in a dictionary; there are no costs."""
    path, xy = tmp_path / "set.pt", torch.rand(3, 7, 2)
    torch.save(xy if layout == "tensor" else {"problems": xy}, path)
    assert stored_problem(path) == "tsp"
    torch.testing.assert_close(load_instances(path)["locs"], xy.double())
    with pytest.raises(InputError, match="states no costs"):
        read_costs(path)


@pytest.mark.parametrize(("capacity", "count"), [(50, 100), (40, 50), (7, 9)])
def test_shares_of_a_vehicle_are_whole_demands(capacity: int, count: int, tmp_path: Path) -> None:
    """Demands divided by the capacity in single precision come back as they were."""
    rng = torch.Generator().manual_seed(count)
    demand = torch.randint(1, 10, (20, count), generator=rng)
    content = {
        "depot_xy": torch.rand(20, 1, 2),
        "node_xy": torch.rand(20, count, 2),
        "node_demand": demand / capacity,
    }
    torch.save(content, tmp_path / "set.pt")
    instances = load_instances(tmp_path / "set.pt")
    assert stored_problem(tmp_path / "set.pt") == "cvrp"
    assert torch.equal(instances["demand"][:, 1:], demand)
    assert instances["demand"][:, 0].tolist() == [0] * 20
    assert set(instances["capacity"].tolist()) == {capacity}


def test_a_common_factor_changes_nothing() -> None:
    """Even demands of an even capacity are the same instance in half the unit."""
    demand, capacity = whole_demands(torch.tensor([[0.2, 0.4, 0.6]], dtype=torch.float64))
    assert (demand.tolist(), capacity) == ([[1, 2, 3]], 5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "expected a tensor"),
        (torch.rand(3, 4), r"problems: \[3, 4\], expected a tensor of 3"),
        (torch.rand(3, 4, 3), "expected pairs of coordinates"),
        ({"depot_xy": torch.rand(2, 1, 2)}, "node_xy: NoneType"),
        (
            {
                "depot_xy": torch.rand(2, 1, 2),
                "node_xy": torch.rand(2, 3, 2),
                "node_demand": torch.rand(2, 3),
            },
            "node_demand: no whole numbers",
        ),
        (torch.full((1, 2, 2), torch.nan), "not finite"),
    ],
)
def test_other_tensors_are_refused(content: object, message: str, tmp_path: Path) -> None:
    """What is no data set of POMO is told in one line."""
    path = tmp_path / "set.pt"
    torch.save(content, path)
    with pytest.raises(InputError, match=message):
        load_instances(path)


class Bomb:
    """Runs a command where a pickle is executed."""

    def __reduce__(self) -> tuple[object, ...]:
        return exec, ("import pathlib; pathlib.Path('ran').touch()",)


def test_nothing_in_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``.pt`` file that is a program is refused, and leaves no trace."""
    monkeypatch.chdir(tmp_path)
    torch.save({"problems": Bomb()}, "set.pt")
    with pytest.raises(InputError, match=r"set\.pt: .*expected tensors of a data set"):
        load_instances("set.pt")
    assert not Path("ran").exists()


def test_the_command_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`nco evaluate` finds problem and reference costs in the file."""
    path = tmp_path / "set.txt"
    path.write_text(CVRP * 2)
    assert main(["evaluate", "--data", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["problem"], told["count"]) == ("cvrp", 2)
    assert told["reference"] == pytest.approx(28.970563)


@pytest.mark.parametrize(
    ("name", "problem", "nodes"),
    [("test_TSP200_n128.txt", "tsp", 200), ("vrp200_test_lkh.txt", "cvrp", 201)],
)
def test_published_sets(name: str, problem: str, nodes: int) -> None:
    """The sets of LEHD's authors: 128 instances, and near-optimal costs that are plausible."""
    path = benchmark_data("near_optimal", name)
    assert stored_problem(path) == problem
    instances, costs = load_instances(path), read_costs(path)
    assert instances["locs"].shape == (128, nodes, 2)
    mean = float(costs.mean())
    assert 10.6 < mean < 10.8 if problem == "tsp" else 19 < mean < 23
