"""What a file states becomes a rule or a number of the instance, or is refused by name."""

import json
from pathlib import Path

import pytest
import torch

from nco.data.errors import InputError, InputWarning
from nco.data.formats import FileInstance, read, write
from nco.envs import PROBLEMS, Route, problem
from tests.benchmark_data import benchmark_data

VRP = """NAME : {name}
TYPE : {kind}
DIMENSION : 4
EDGE_WEIGHT_TYPE : EUC_2D
{more}NODE_COORD_SECTION
1 0 0
2 3 4
3 6 8
4 0 5
DEMAND_SECTION
1 0
2 7
3 4
4 3
{sections}DEPOT_SECTION
1
-1
EOF
"""
COSTS = """VEHICLES_FIXED_COST_SECTION
1 500
2 900
VEHICLES_UNIT_DISTANCE_COST_SECTION
1 100
2 150
"""


def put(
    path: Path, kind: str, more: str = "CAPACITY : 10\n", name: str = "t", sections: str = ""
) -> Path:
    path.write_text(VRP.format(kind=kind, more=more, name=name, sections=sections))
    return path


def rules(file: FileInstance) -> list[str]:
    env = problem(file.problem, instance=file.instance)
    return [type(rule).__name__ for rule in env.constraints]


def test_vehicles_of_a_cvrp_are_a_limit(tmp_path: Path) -> None:
    """``VEHICLES`` of a CVRP bounds its routes; as many as customers say nothing."""
    file = read(put(tmp_path / "t.vrp", "CVRP", "CAPACITY : 10\nVEHICLES : 2\n"))
    assert file.problem == "cvrp" and rules(file) == ["Capacity", "Fleet"]
    env = problem("cvrp", instance=file.instance)
    assert env.check(file.instance, [Route((1, 3)), Route((2,))]) == []
    alone = [Route((k,)) for k in (1, 2, 3)]
    assert {v.rule for v in env.check(file.instance, alone)} == {"fleet"}
    file = read(put(tmp_path / "t.vrp", "CVRP", "CAPACITY : 10\nVEHICLES : 3\n"))
    assert rules(file) == ["Capacity"]


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        *(("X101-FSMFD", 100), ("X256-FSMF", 100), ("X110-HVRP", 100), ("X143-HD", 100)),
        *(("X101", 1), ("Taillard-13", 1), ("my fleet", 1)),
    ],
)
def test_costs_of_vehicles_are_those_stated(name: str, steps: int, tmp_path: Path) -> None:
    """Only the set whose files state a hundredfold of its published costs is scaled, by name."""
    more = "CAPACITY : 10\nVEHICLES : 2\n"
    file = read(put(tmp_path / "t.vrp", "HFVRP", more, name, COSTS))
    assert file.problem == "hfvrp"
    assert (file.instance["fixed_cost"] * steps).tolist() == [[500, 900]]
    assert (file.instance["unit_cost"] * steps).tolist() == [[100, 150]]
    env = problem(file.problem, instance=file.instance)
    # The first drives to (6, 8) and back; the second 5 + 3.162 + 5 over (3, 4) and (0, 5).
    cost = 500 + 100 * 20 + 900 + 150 * (10 + 10**0.5)
    routes = [Route((3,), 0, 0, 0), Route((2, 4), 1, 1, 1)]
    assert env.routes_cost(file.instance, routes) == pytest.approx(cost / steps)


def test_split_deliveries_may_exceed_a_vehicle(tmp_path: Path) -> None:
    """A demand over the capacity is served by several routes of an SDVRP."""
    file = read(put(tmp_path / "t.vrp", "SDVRP", "CAPACITY : 5\n"))
    assert file.problem == "sdvrp" and file.instance["demand"].tolist() == [[0, 7, 4, 3]]
    env = problem("sdvrp", instance=file.instance)
    assert env.impossible(file.instance) == []
    routes = [Route((1,)), Route((1, 3)), Route((2,))]
    assert env.check(file.instance, routes) == []
    assert {v.rule for v in env.check(file.instance, routes[1:])} == {"capacity"}


SOLOMON = """T

VEHICLE
NUMBER     CAPACITY
  3         5

CUSTOMER
CUST NO.  XCOORD.   YCOORD.    DEMAND   READY TIME  DUE DATE   SERVICE   TIME
    0      0         0          0          0       100          0
    1      3         4          6          0        90          5
"""
TABLE = "# capacity: 5\nx,y,demand\n0,0,0\n3,4,6\n"
OWN = {
    "format": "nco-instance",
    "problem": "cvrp",
    "instance": {"locs": [[0, 0], [3, 4]], "demand": [0, 6], "capacity": 5},
}
PAIRS = "3 5 1\n0 0 0 0 0 100 0 0 0\n1 3 4 6 0 90 5 0 2\n2 6 8 -6 0 90 5 1 0\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.vrp", VRP.format(kind="CVRP", more="CAPACITY : 6\n", name="t", sections="")),
        *(("solomon.txt", SOLOMON), ("t.csv", TABLE), ("t.json", json.dumps(OWN))),
        ("pairs.txt", PAIRS),
    ],
)
def test_demand_over_capacity_is_for_the_rules(name: str, text: str, tmp_path: Path) -> None:
    """What no vehicle can carry is read, and named by rule and node before any solver."""
    path = tmp_path / name
    path.write_text(text)
    file = read(path)
    found = problem(file.problem, instance=file.instance).impossible(file.instance)
    assert {violation.rule for violation in found} == {"capacity"}
    assert found[0].node == 1


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_survives_json(name: str, tmp_path: Path) -> None:
    """Generated instances of every problem are read back to the last bit, with the same rules."""
    instance = PROBLEMS[name].generator(9)(1, torch.Generator().manual_seed(1))
    path = tmp_path / "t.json"
    write(path, FileInstance("t", name, instance, path))
    again = read(path)
    assert again.problem == name and set(again.instance.keys()) == set(instance.keys())
    for key, value in instance.items():
        found = again.instance[key]
        assert found.dtype == (torch.double if value.is_floating_point() else torch.long)
        assert torch.equal(found, value.to(found.dtype)), key
    assert rules(again) == [type(r).__name__ for r in problem(name, instance=instance).constraints]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        *(("hfvrp", "X101-FSMFD.vrp"), ("mdvrptw", "PR11A.vrp"), ("sdvrptw", "PR01.vrp")),
        *(("mtvrptwr", "R211R0.5.vrp"), ("li_lim", "lc101.txt"), ("vrpspd", "CMT9Y.vrpspd")),
    ],
)
def test_files_survive_json(folder: str, name: str, tmp_path: Path) -> None:
    """What files state of vehicles, numbering and units is kept, with infinite bounds."""
    file = read(benchmark_data(folder, name))
    write(tmp_path / "t.json", file)
    again = read(tmp_path / "t.json")
    assert set(again.instance.keys()) == set(file.instance.keys())
    assert all(torch.equal(again.instance[key], file.instance[key]) for key in file.instance.keys())
    for what in ("problem", "labels", "best_known", "vehicles", "first_customer", "cost_steps"):
        assert getattr(again, what) == getattr(file, what), what
    assert rules(again) == rules(file)


def test_infinity_is_written_where_it_means_no_bound(tmp_path: Path) -> None:
    """Windows without end and limits of some vehicles only are ``"inf"`` in JSON."""
    content = dict(OWN, problem="hfvrp")
    content["instance"] = {
        "locs": [[0, 0], [0, 0], [3, 4]],
        "depots": [4, 4],
        "capacity": [5, 7],
        "demand": [0, 0, 6],
        "duration_limit": ["inf", 30],
        "time_windows": [[0, 50], [0, "inf"], [2, "inf"]],
    }
    path = tmp_path / "t.json"
    path.write_text(json.dumps(content))
    file = read(path)
    assert file.instance["duration_limit"].tolist() == [[float("inf"), 30]]
    assert file.instance["capacity"].tolist() == [[5, 7]]
    write(path, file)
    assert json.loads(path.read_text())["instance"] == content["instance"]


def best_known(path: Path, rounding: str) -> float | None:
    return read(path, rounding).best_known  # type: ignore[arg-type]


def test_best_known_costs_follow_the_rounding(tmp_path: Path) -> None:
    """With another rounding, routes are measured again where they solve the instance still."""
    path = put(tmp_path / "t.vrp", "CVRP")
    path.with_suffix(".sol").write_text("Route #1: 1 3\nRoute #2: 2\nCost 32\n")
    # (3, 4) and (0, 5) are 3.162 apart: 5 + 3.162 + 5, and twice 10.
    assert [best_known(path, r) for r in ("auto", "nearest")] == [32, 32]
    assert best_known(path, "none") == pytest.approx(30 + 10**0.5, abs=1e-12)
    assert best_known(path, "up") == 34
    (tmp_path / "solutions").write_text("u : 12\n")
    listed = put(tmp_path / "u.vrp", "CVRP")
    assert best_known(listed, "auto") == 12
    with pytest.warns(InputWarning, match="solutions: its cost is one of other distances"):
        assert best_known(listed, "none") is None


@pytest.mark.parametrize(
    ("folder", "name", "rounding", "known"),
    [
        *(("solomon", "C101.txt", "none", False), ("solomon", "C101.txt", "decimal", True)),
        *(("hfvrp", "X101-FSMFD.vrp", "nearest", False), ("hfvrp", "X101-FSMFD.vrp", "none", True)),
        *(("tsp", "rl1889.vrp", "none", True), ("li_lim", "lr101.txt", "decimal", False)),
    ],
)
def test_best_known_costs_of_other_distances(
    folder: str, name: str, rounding: str, known: bool
) -> None:
    """Where times, lengths or costs of vehicles matter, another rounding has no best-known cost."""
    path = benchmark_data(folder, name)
    if known:
        usual = read(path).best_known
        assert usual is not None
        assert best_known(path, rounding) == pytest.approx(usual, rel=1e-4)
        return
    with pytest.warns(InputWarning, match="its cost is one of other distances"):
        assert best_known(path, rounding) is None


@pytest.mark.parametrize(
    ("folder", "name", "section"),
    [
        ("gvrp", "M-n101-k10-C34-V4.vrp", "MUTUALLY_EXCLUSIVE_GROUP_SECTION"),
        ("vrpb", "X-n524-50-k125.vrp", "PRECEDENCE_SECTION"),
        ("solomon", "C101.txt", "8 numbers, expected 7"),
    ],
)
def test_what_is_not_understood_is_named(
    folder: str, name: str, section: str, tmp_path: Path
) -> None:
    """A section (or a column) that states a rule which there is none for is an error."""
    path = tmp_path / name
    text = benchmark_data(folder, name).read_text()
    if section.startswith("PRECEDENCE"):
        text = text.replace("DEPOT_SECTION", f"{section}\n1 2\nDEPOT_SECTION")
    if section.startswith("8"):
        text = text.rstrip() + " 3\n"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read(path)
    assert section in str(caught.value) and str(caught.value).startswith(str(path))


def test_what_is_written_as_tsplib_is_all(tmp_path: Path) -> None:
    """Vehicles and split deliveries come back; what TSPLIB has no place for is refused."""
    for kind, more in (("CVRP", "CAPACITY : 10\nVEHICLES : 2\n"), ("SDVRP", "CAPACITY : 5\n")):
        file = read(put(tmp_path / "t.vrp", kind, more))
        write(tmp_path / "again.vrp", file)
        again = read(tmp_path / "again.vrp")
        assert again.problem == file.problem and rules(again) == rules(file)
        assert set(again.instance.keys()) == set(file.instance.keys())
        assert all(
            torch.equal(again.instance[key], file.instance[key]) for key in again.instance.keys()
        )
    prized = file.instance.clone().update({"prize": torch.ones(1, 4)})
    with pytest.raises(InputError, match="TSPLIB has no place for prize, expected"):
        write(tmp_path / "t.vrp", FileInstance("t", "cvrp", prized, tmp_path))
    assert read(tmp_path / "t.vrp").problem == "sdvrp"
