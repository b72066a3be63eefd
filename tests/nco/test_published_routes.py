"""Published solutions of every family: feasible by the rules of their files, of the cost stated."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from nco.data.errors import InputError
from nco.data.formats import FileInstance, read, read_solution
from nco.envs import PROBLEMS, RoutingEnv, problem
from nco.envs.checking.routes import Route
from nco.solution import read_routes, write_routes
from tests.benchmark_data import benchmark_data


@dataclass(frozen=True)
class Family:
    """
    Files of one folder.

    Parameters
    ----------
    problem
        Name of the problem that they are read as.
    rules
        Those that follow from what they state.
    names
        Some of them, that are looked at every time.
    pattern
        All of them.
    decimals
        Of the costs stated; None where they are exact.
    """

    problem: str
    rules: str
    names: tuple[str, ...]
    pattern: str = "*.vrp"
    decimals: int | None = None


FAMILIES = {
    "cvrplib_x": Family("cvrp", "Capacity", ("X-n125-k30.vrp", "X-n957-k87.vrp")),
    "cvrplib_xxl": Family("cvrp", "Capacity", ("Leuven1.vrp",)),
    "solomon": Family(
        "vrptw", "Capacity TimeWindows Fleet", ("C101.txt", "R211.txt", "RC105.txt"), "*.txt"
    ),
    "gehring_homberger_1000": Family("vrptw", "Capacity TimeWindows Fleet", ("R1_10_1.vrp",)),
    "vrpb": Family("vrpb", "MaximumLoad LinehaulFirst", ("X-n524-50-k125.vrp",)),
    "hfvrp": Family("hfvrp", "Capacity", ("X101-FSMFD.vrp", "X480-FSMD.vrp"), decimals=2),
    "mdvrptw": Family("mdvrptw", "Capacity TimeWindows DurationLimit Fleet", ("PR11A.vrp",)),
    "sdvrptw": Family(
        "sdvrptw",
        "Capacity TimeWindows DurationLimit AllowedVehicles Fleet",
        ("PR01.vrp", "PR19.vrp"),
    ),
    "pcvrptw": Family("pcvrptw", "Capacity TimeWindows Fleet", ("C1_10_1.vrp",)),
    "mtvrptwr": Family("mtvrptwr", "Capacity TripWindows", ("R211R0.5.vrp", "C2_2_01R0.5.vrp")),
    "li_lim": Family(
        "pdptw",
        "PickupDelivery MaximumLoad TimeWindows Fleet",
        ("lc101.txt", "lr101.txt", "lrc201.txt"),
        "*.txt",
        decimals=4,
    ),
}
# Sets with conventions of their own: problem and rules.
SMALL = {
    "CMT6": ("dvrp", "Capacity DurationLimit"),
    "Golden_1": ("vrpl", "Capacity DistanceLimit"),
    "Li_21": ("vrpl", "Capacity DistanceLimit"),
    **{
        name: ("cvrp", "Capacity")
        for name in (
            *("A-n32-k5", "B-n31-k5", "E-n13-k4", "F-n72-k4", "M-n101-k10"),
            *("ORTEC-n242-k12", "P-n16-k8", "tai75a"),
        )
    },
}


def rules_of(env: RoutingEnv) -> set[str]:
    return {type(rule).__name__ for rule in env.constraints}


def judge(path: Path, name: str, rules: str, decimals: int | None) -> None:
    """The rules are those that the file states; its solution obeys them at the stated cost."""
    file = read(path)
    env = problem(file.problem, instance=file.instance)
    assert file.problem == name and rules_of(env) == set(rules.split())
    assert env.impossible(file.instance) == []
    assert file.best_known is not None and file.best_known_source is not None
    routes = read_routes(Path(file.best_known_source), file)
    assert env.check(file.instance, routes) == []
    tolerance = 1e-6 if decimals is None else 0.51 * 10**-decimals
    assert env.routes_cost(file.instance, routes) == pytest.approx(file.best_known, abs=tolerance)


@pytest.mark.parametrize(
    ("folder", "name"), [(folder, name) for folder, row in FAMILIES.items() for name in row.names]
)
def test_some_best_known_solutions(folder: str, name: str) -> None:
    """Of each family some files: rules, feasibility and cost."""
    family = FAMILIES[folder]
    judge(benchmark_data(folder, name), family.problem, family.rules, family.decimals)


@pytest.mark.slow
@pytest.mark.parametrize("folder", FAMILIES)
def test_all_best_known_solutions(folder: str) -> None:
    """Of each family all files: rules, feasibility and cost."""
    family = FAMILIES[folder]
    files = sorted(benchmark_data(folder).glob(family.pattern))
    assert len(files) >= len(family.names)
    for path in files:
        judge(path, family.problem, family.rules, family.decimals)


@pytest.mark.parametrize("name", SMALL)
def test_small_sets(name: str) -> None:
    """One instance of each old set of CVRPLIB, with the limits that some state."""
    judge(benchmark_data("cvrplib_small", f"{name}.vrp"), *SMALL[name], decimals=2)


# Files without published routes.
ROUTELESS = [
    ("ortec_asymmetric_vrptw", "*.txt", "vrptw", "Capacity TimeWindows Fleet"),
    ("tsplib_atsp", "*.atsp", "atsp", ""),
    ("tsplib", "*.tsp", "tsp", ""),
    ("tsp", "rl1889.vrp", "tsp", ""),
    ("vrpspd", "CMT9Y.vrpspd", "vrpspd", "MaximumLoad DurationLimit Fleet"),
    ("vrpspd", "*-0.vrpspd", "vrpspd", "MaximumLoad Fleet"),
]


@pytest.mark.parametrize(("folder", "pattern", "name", "rules"), ROUTELESS)
def test_families_without_routes(folder: str, pattern: str, name: str, rules: str) -> None:
    """Every file is of a problem that can be solved, with the rules that it states."""
    files = sorted(benchmark_data(folder).glob(pattern))
    assert files
    for path in files:
        file = read(path)
        env = problem(file.problem, instance=file.instance)
        assert file.problem == name and rules_of(env) == set(rules.split())
        assert env.impossible(file.instance) == []


def as_stated(file: FileInstance) -> tuple[tuple[str, float], ...]:
    """The limits of a file's vehicles, smallest and largest."""
    found = []
    for name in ("vehicle_count", "duration_limit", "distance_limit", "capacity"):
        if name in file.instance.keys():
            found += [(name, float(file.instance[name].min()))]
            found += [(name, float(file.instance[name].max()))]
    return tuple(dict.fromkeys(found))


def test_limits_are_those_of_the_files() -> None:
    """Numbers of vehicles, limits and capacities, as they stand in the files."""
    expected = {
        ("solomon", "C101.txt"): (("vehicle_count", 25), ("capacity", 200)),
        ("gehring_homberger_1000", "C1_10_1.vrp"): (("vehicle_count", 250), ("capacity", 200)),
        ("li_lim", "lc101.txt"): (("vehicle_count", 25), ("capacity", 200)),
        ("pcvrptw", "C1_10_1.vrp"): (("vehicle_count", 100), ("capacity", 200)),
        ("mdvrptw", "PR11A.vrp"): (
            ("vehicle_count", 10),
            ("duration_limit", 450),
            ("capacity", 200),
        ),
        ("cvrplib_small", "CMT6.vrp"): (("duration_limit", 200), ("capacity", 160)),
        ("cvrplib_small", "Golden_1.vrp"): (("distance_limit", 650), ("capacity", 550)),
    }
    for place, limits in expected.items():
        assert as_stated(read(benchmark_data(*place))) == limits, place


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        *(("mdvrptw", "PR11A.vrp"), ("sdvrptw", "PR01.vrp"), ("mtvrptwr", "R211R0.5.vrp")),
        *(("hfvrp", "X101-FSMFD.vrp"), ("pcvrptw", "C1_10_1.vrp"), ("cvrplib_small", "CMT6.vrp")),
    ],
)
def test_solutions_are_written_as_they_are_published(
    folder: str, name: str, tmp_path: Path
) -> None:
    """Written routes are read as the same ones, and vehicle by vehicle they are those published."""
    file = read(benchmark_data(folder, name))
    env = problem(file.problem, instance=file.instance)
    source = Path(str(file.best_known_source))
    routes = read_routes(source, file)
    path = tmp_path / "written.sol"
    write_routes(path, env, file, routes, env.routes_cost(file.instance, routes))
    assert set(read_routes(path, file)) == set(routes)
    published, cost = read_solution(source)
    written, stated = read_solution(path)
    if file.vehicles is None:
        assert written == [route for route in published if route]
    else:
        assert len(written) == len(file.vehicles)
        assert sorted(written) == sorted(published)
    assert cost is not None
    exact = folder in FAMILIES and FAMILIES[folder].decimals is None
    assert stated == pytest.approx(cost, abs=1e-6 if exact else 0.0051)


def test_routes_of_depots_are_told_apart(tmp_path: Path) -> None:
    """Where nothing else tells the depot node of a route, a file has to state it, as ours do."""
    instance = PROBLEMS["mdcvrp"].generator(7)(1, torch.Generator().manual_seed(0))
    file = FileInstance("t", "mdcvrp", instance, tmp_path / "t.json")
    routes = [Route((3, 5), 1, 1, 1), Route((4, 6, 7), 0, 0, 0), Route((8, 9), 2, 2, 2)]
    path = tmp_path / "t.sol"
    write_routes(path, problem("mdcvrp"), file, routes, 1.5)
    assert path.read_text().splitlines()[-1] == "Vehicles: 1 0 2"
    assert list(read_routes(path, file)) == routes
    write_routes(path, problem("mdcvrp"), file, [], 7.0)  # as where all may be left out
    assert list(read_routes(path, file)) == []
    path.write_text("Route #1: 1 3\nCost: 1.5\n")
    with pytest.raises(InputError, match=r"none of its 1 routes, expected a line 'Vehicles:'"):
        read_routes(path, file)
