"""Readers, metrics and checker against the costs that published solutions state."""

from pathlib import Path

import fast_tsp
import pytest
import torch

from nco.data.formats import read, read_solution
from nco.data.metric import leg, pairwise
from nco.envs import Route, problem
from tests.benchmark_data import benchmark_data

SMALL = [
    "A-n32-k5",
    "B-n31-k5",
    "E-n13-k4",
    "F-n72-k4",
    "M-n101-k10",
    "ORTEC-n242-k12",
    "P-n16-k8",
    "tai75a",
]
LIMITED = ["CMT6", "Golden_1", "Li_21"]  # a limit on the length of routes, which no cost depends on
X = [
    "125-k30",
    "157-k13",
    "181-k23",
    "228-k23",
    "251-k28",
    "256-k16",
    "270-k35",
    "280-k17",
    "313-k71",
    "331-k15",
    "344-k43",
    "359-k29",
    "429-k61",
    "439-k37",
    "459-k26",
    "469-k138",
    "573-k30",
    "641-k35",
    "936-k151",
    "957-k87",
]
TSPLIB = [
    "a280",
    "att48",
    "bays29",
    "berlin52",
    "brg180",
    "ch150",
    "eil51",
    "gr17",
    "kroA100",
    "lin105",
    "pcb442",
    "pr76",
    "rat99",
    "st70",
    "ulysses16",
]


def check_solution(path: Path, solution: Path) -> None:
    """
    Feasible by the checker, and of the cost stated: exactly, or to its second decimal.

    (Li's solutions state five, but were computed with more digits than the coordinates have.)
    """
    file = read(path)
    env = problem(file.problem)
    numbers, stated = read_solution(solution)
    routes = [Route(tuple(route)) for route in numbers]
    assert stated is not None
    assert env.check(file.instance, routes) == []
    tolerance = 0 if stated.is_integer() else 0.0051
    assert abs(env.routes_cost(file.instance, routes) - stated) <= tolerance


@pytest.mark.parametrize("name", SMALL)
def test_small_sets(name: str) -> None:
    """One instance of each old set of CVRPLIB: cost and feasibility of the best-known solution."""
    path = benchmark_data("cvrplib_small", f"{name}.vrp")
    check_solution(path, path.with_suffix(".sol"))


@pytest.mark.parametrize("name", LIMITED)
def test_sets_with_limited_routes(name: str, tmp_path: Path) -> None:
    """
    A limit of the length of routes is read, of their time where there are service times.

    The routes obey it and cost what is stated without the service times: their sum is no part of
    it.
    """
    path = benchmark_data("cvrplib_small", f"{name}.vrp")
    file = read(path)
    timed = name == "CMT6"
    assert file.problem == ("dvrp" if timed else "vrpl")
    limit = {"CMT6": 200, "Golden_1": 650, "Li_21": 1800}[name]
    assert file.instance["duration_limit" if timed else "distance_limit"].tolist() == [limit]
    assert ("service_time" in file.instance.keys()) == timed
    lines = path.read_text().splitlines()
    unlimited = tmp_path / path.name
    kept = [line for line in lines if not line.startswith(("DISTANCE", "SERVICE_TIME"))]
    assert len(lines) - len(kept) == (2 if name == "CMT6" else 1)
    unlimited.write_text("\n".join(kept))
    check_solution(unlimited, path.with_suffix(".sol"))


@pytest.mark.parametrize("name", X)
def test_x_set(name: str) -> None:
    """The X instances (Uchoa et al. 2017), rounded to the nearest integer."""
    path = benchmark_data("cvrplib_x", f"X-n{name}.vrp")
    check_solution(path, path.with_suffix(".sol"))
    assert read(path).best_known == read_solution(path.with_suffix(".sol"))[1]


@pytest.mark.parametrize("name", ["Leuven1", "Ghent1"])
def test_xxl_set(name: str) -> None:
    """The instances of Arnold et al. (2019), with up to 10,000 customers."""
    path = benchmark_data("cvrplib_xxl", f"{name}.vrp")
    check_solution(path, path.with_suffix(".sol"))


@pytest.mark.parametrize("name", ["rl1889", "fnl4461", "brd14051"])
def test_large_tours(name: str) -> None:
    """Best-known tours of large TSPs; their ``.sol`` leaves out the first node, PyVRP's depot."""
    path = benchmark_data("tsp", f"{name}.vrp")
    file, (numbers, stated) = read(path), read_solution(path.with_suffix(".sol"))
    assert file.problem == "tsp" and file.best_known == stated
    tour = Route((0, *numbers[0]), start=None, end=None)
    assert problem("tsp").check(file.instance, [tour]) == []
    assert problem("tsp").routes_cost(file.instance, [tour]) == stated


@pytest.mark.parametrize("name", TSPLIB)
def test_tsplib_optima(name: str) -> None:
    """
    Every weight format of TSPLIB: no tour is shorter than the optimum, and a good one attains it.

    fast-tsp sees the matrix only; an entry read or rounded wrongly would move its result.
    """
    file = read(benchmark_data("tsplib", f"{name}.tsp"))
    distance = pairwise(file.instance)[0]
    assert torch.equal(distance, distance.round()) and torch.equal(distance, distance.T)
    n = len(distance)
    tour = fast_tsp.find_tour(distance.int().tolist(), duration_seconds=0.2 if n < 100 else 0.6)
    route = Route(tuple(tour), start=None, end=None)
    assert problem("tsp").check(file.instance, [route]) == []
    cost = problem("tsp").routes_cost(file.instance, [route])
    assert file.best_known is not None
    assert file.best_known <= cost <= file.best_known * (1 if n < 60 else 1.02)


def test_canonical_tour_of_pcb442() -> None:
    """TSPLIB states the length 221440 of the tour 1, 2, ..., n to check distance functions by."""
    file = read(benchmark_data("tsplib", "pcb442.tsp"))
    tour = torch.arange(442).unsqueeze(0)
    assert leg(file.instance, tour, tour.roll(-1, 1)).sum() == 221440
