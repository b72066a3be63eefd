"""The rules that files and data sets state, through the command."""

import json
from pathlib import Path

import pytest
import torch
from tensordict import TensorDict

from nco.data.dataset import load_instances, save_instances
from nco.data.formats import read, read_solution
from nco.envs import RoutingEnv, problem
from nco.solution import Solution, judge, read_routes
from nco.solvers import registry
from nco.solvers.registry import SolverEntry
from tests.benchmark_data import benchmark_data
from tests.nco.cli.conftest import SQUARE, Run
from tests.nco.cli.test_solve import Nothing


class Published(Nothing):
    """A solver that knows the published routes of the one file that it is asked for."""

    path = Path()

    def solve(
        self,
        env: RoutingEnv,
        instance: TensorDict,
        time_limit: float | None = None,
        seed: int = 0,
        start: Solution | None = None,
    ) -> Solution:
        """These routes."""
        file = read(self.path)
        routes = read_routes(Path(str(file.best_known_source)), file)
        return judge(env, instance, routes, 0.1, "published 1")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        *(("sdvrptw", "PR01.vrp"), ("mtvrptwr", "R211R0.5.vrp"), ("hfvrp", "X101-FSMFD.vrp")),
        *(("mdvrptw", "PR11A.vrp"), ("pcvrptw", "C1_10_1.vrp"), ("li_lim", "lc101.txt")),
    ],
)
def test_published_routes_go_through(
    folder: str, name: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under all rules of the file its routes have gap 0, and are written as they are published."""
    path = benchmark_data(folder, name)
    solver = type("OfFile", (Published,), {"path": path})
    monkeypatch.setitem(registry.SOLVERS, "published", SolverEntry("published", solver))
    result = run("solve", path, "--solver", "published", "--out", "o", "--json")
    assert result.code == 0, result.err
    (row,) = json.loads(result.out)
    assert row["gap"] == pytest.approx(0, abs=1e-4)
    file = read(path)
    published, cost = read_solution(Path(str(file.best_known_source)))
    written, stated = read_solution(Path("o") / f"{path.stem}.sol")
    assert sorted(filter(None, written)) == sorted(filter(None, published))
    assert stated == pytest.approx(cost or file.best_known, rel=1e-6)
    numbers = {node for route in row["routes"] for node in route}
    assert numbers == {node for route in published for node in route if node}


def test_a_limited_fleet_is_kept(square: Path, run: Run) -> None:
    """With one vehicle less than the demands need, that is said at once; with two, all is well."""
    for count, code in ((2, 0), (1, 2)):
        square.write_text(SQUARE.replace("CAPACITY : 10", f"CAPACITY : 10\nVEHICLES : {count}"))
        words = ["--solver", "pyvrp", "--time-limit", 0.3, "--json"]
        result = run("solve", square, *words)
        assert result.code == code, result.err
        if code:
            assert "no solution exists: capacity: demand 20 of all customers" in result.err
        else:
            (row,) = json.loads(result.out)
            assert row["feasible"]


def test_instances_without_a_solution_are_named(run: Run) -> None:
    """A data set is looked at before it is decoded: instance, rule and node."""
    assert run("generate", "cvrp", "--size", 6, "--count", 4, "--out", "set.npz").code == 0
    instances = load_instances("set.npz")
    instances["demand"][2, 3] = instances["capacity"][2] + 1
    save_instances("set.npz", instances, "cvrp")
    result = run("evaluate", "--data", "set.npz", "--json")
    assert result.code == 2 and result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("nco evaluate: set.npz: instance 2: no solution exists: capacity: ")
    assert "node 3" in line


def test_rules_of_a_data_set_go_beyond_its_name(run: Run) -> None:
    """A set of CVRPs with a limited fleet is no CVRP for a policy: the rule is not passed over."""
    assert run("generate", "cvrp", "--size", 6, "--count", 4, "--out", "set.npz").code == 0
    instances = load_instances("set.npz")
    instances["vehicle_count"] = torch.full((4, 1), 2)
    save_instances("set.npz", instances, "cvrp")
    env = problem("cvrp", instance=load_instances("set.npz"))
    assert [type(rule).__name__ for rule in env.constraints] == ["Capacity", "Fleet"]
    result = run("evaluate", "--data", "set.npz", "--policy", "cvrp", "--json")
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert "Fleet" in line
