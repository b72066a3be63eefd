"""Plug-ins: what a file from outside registers works everywhere; nothing here knows its name."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

from nco.cli import main
from nco.data.dataset import save_instances
from nco.data.errors import InputError
from nco.data.formats import read, write
from nco.data.instance import SCHEMA
from nco.data.neutral import neutral
from nco.data.seeding import seeded
from nco.decoding import MultiStart, Single
from nco.decoding.subproblems import find_cut, restrict, separable
from nco.envs import PROBLEMS, RoutingEnv, problem
from nco.hub.released import default_policy, load_policy
from nco.plugins import load, register, scratch
from nco.solvers.hybrid import Hybrid
from nco.solvers.ortools import ORTools
from nco.solvers.pyvrp import PyVRP
from nco.solvers.registry import find_solver
from tests.envs.candidates import accepted
from tests.envs.random_instances import rollout
from tests.envs.test_brute_force import allowed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
Plugged = Callable[[str], None]


@pytest.fixture
def plugged() -> Iterator[Plugged]:
    """Imports a file beside this one; what it registers is gone after the test."""
    with ExitStack() as stack:
        stack.enter_context(_path(HERE))
        stack.enter_context(scratch())

        def plug(name: str) -> None:
            sys.modules.pop(name, None)
            load(name)

        yield plug


def _path(folder: Path) -> AbstractContextManager[None]:
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(folder))
    stack = ExitStack()
    stack.callback(patch.undo)
    return stack  # type: ignore[return-value]


def test_nothing_in_the_packages_knows_the_plugins() -> None:
    """The names of the rule, its attribute and its problem stand in no module of the packages."""
    for folder in ("nco", "envs", "data", "policies"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            assert not {"stop_limit", "StopLimit", "toll"} & set(text.replace('"', " ").split())
    assert len((HERE / "stop_limit.py").read_text().splitlines()) < 80


def test_the_readme_shows_the_rule() -> None:
    """README's "Add a problem" is the file that these tests plug in."""
    assert (HERE / "stop_limit.py").read_text() in (ROOT / "README.md").read_text()


def test_masks_and_checker_agree_and_brute_force_finds_the_same(plugged: Plugged) -> None:
    """On five customers, the mask leads to exactly the solutions that the checker accepts."""
    plugged("stop_limit")
    env = problem("stops")
    for seed in range(6):
        one = PROBLEMS["stops"].generator(5)(1, seeded(seed))
        by_mask, by_checker = allowed(env, one), accepted(env, one)
        assert by_mask.keys() == by_checker.keys() and by_mask
        for routes, cost in by_mask.items():
            assert cost == pytest.approx(by_checker[routes], abs=1e-5)
            assert max(len(route.visits) for route in routes) <= int(one["stop_limit"])


def test_random_rollouts_pass_the_checker(plugged: Plugged) -> None:
    """Whatever the mask allows on twenty customers keeps all rules, from several depots as well."""
    plugged("stop_limit")
    env = problem("stops")
    instance = PROBLEMS["stops"].generator(20)(4, seeded(1))
    actions, _ = rollout(env, instance, 5, 1)
    for b in range(4):
        for r in range(5):
            one = instance[b : b + 1]
            assert env.check(one, env.visits.routes(one, actions[b, r].tolist())) == []


@pytest.mark.parametrize("solver", [PyVRP(iterations=60), ORTools(solutions=30)])
def test_classical_solvers_obey_it(plugged: Plugged, solver: PyVRP | ORTools) -> None:
    """They find the optimum of brute force, which without the rule would be another one."""
    plugged("stop_limit")
    env, binding = problem("stops"), 0
    for seed in range(4):
        one = PROBLEMS["stops"].generator(5)(1, seeded(seed))
        found = solver.solve(env, one, 5, 0)
        assert found.feasible
        assert found.value == pytest.approx(min(accepted(env, one).values()), rel=1e-6)
        free = one.exclude("stop_limit")
        binding += min(accepted(problem("cvrp"), free).values()) < found.value - 1e-6
    assert binding > 0


def test_limits_may_differ_from_vehicle_to_vehicle(plugged: Plugged) -> None:
    """Each depot node has a limit of its own, in mask, checker and both classical solvers."""
    plugged("stop_limit")
    one = PROBLEMS["mdcvrp"].generator(6)(1, seeded(3))
    one["stop_limit"] = torch.tensor([[1, 2, 6]])
    env = problem("mdcvrp", instance=one)
    assert "StopLimit" in [type(rule).__name__ for rule in env.constraints]
    best = {}
    for solver in (PyVRP(iterations=200), ORTools(solutions=60)):
        found = solver.solve(env, one, 5, 0)
        assert found.feasible
        for route in found.vehicle_routes:
            assert len(route.visits) <= (1, 2, 6)[route.vehicle]
        best[type(solver)] = found.value
    assert best[PyVRP] == pytest.approx(best[ORTools], rel=1e-2)


def test_the_hybrid_decomposes_with_it(plugged: Plugged) -> None:
    """Routes are solved apart, and what the workers of the default solver find obeys the rule."""
    plugged("stop_limit")
    env = problem("stops")
    one = PROBLEMS["stops"].generator(40)(1, seeded(2))
    assert separable(env, one) and find_cut(env) is not None
    assert restrict(one, [0, 3, 5])["stop_limit"].tolist() == one["stop_limit"].tolist()
    with Hybrid(workers=1, proposals=False) as hybrid:
        found = hybrid.solve(env, one, 1.0)
    assert found.feasible and env.check(one, found.vehicle_routes) == []


@pytest.mark.parametrize("name", ["limited.json", "limited.vroom.json"])
def test_files_state_it(plugged: Plugged, tmp_path: Path, name: str) -> None:
    """JSON holds the attribute, VROOM ``max_tasks``; both are read back as they were written."""
    plugged("stop_limit")
    one = PROBLEMS["cvrp"].generator(5)(1, seeded(3))
    xy = (one["locs"] * 100).round().double()
    one["locs"], one["distance"] = xy, torch.cdist(xy, xy).round()
    one["stop_limit"] = torch.tensor([2])
    from nco.data.formats import FileInstance

    path = tmp_path / name
    write(path, FileInstance("limited", "cvrp", one, path))
    content = json.loads(path.read_text())
    if "vehicles" in content:
        assert {vehicle["max_tasks"] for vehicle in content["vehicles"]} == {2}
    file = read(path)
    assert file.instance["stop_limit"].tolist() == [2]
    env = problem(file.problem, instance=file.instance)
    assert "StopLimit" in [type(rule).__name__ for rule in env.constraints]
    code = main(["solve", str(path), "--solver", "pyvrp", "--time-limit", "0.3", "--json"])
    assert code == 0


def test_vroom_vehicles_may_differ(plugged: Plugged, tmp_path: Path) -> None:
    """Vehicles with and without ``max_tasks`` are of different kinds."""
    plugged("stop_limit")
    vehicle = {"start_index": 0, "end_index": 0, "capacity": [9]}
    content = {
        "vehicles": [{"id": 1, **vehicle, "max_tasks": 1}, {"id": 2, **vehicle}],
        "jobs": [{"id": k, "location_index": k, "delivery": [1]} for k in (1, 2, 3)],
        "matrices": {"car": {"durations": (5 - 5 * np.eye(4)).astype(int).tolist()}},
    }
    path = tmp_path / "two.json"
    path.write_text(json.dumps(content))
    free = neutral("stop_limit", PROBLEMS["cvrp"].generator(3)(1, seeded(0)))
    assert read(path).instance["stop_limit"].tolist() == [[1, int(free)]]


def test_the_commands_know_it(
    plugged: Plugged, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``generate`` draws it, ``label`` solves it, ``info`` tells who can."""
    plugged("stop_limit")
    data = tmp_path / "stops.npz"
    save_instances(data, PROBLEMS["stops"].generator(6)(3, seeded(1)), "stops")
    assert main(["label", str(data), "--time-limit", "0.05"]) == 0
    labels = np.load(tmp_path / "stops.labels.npz")
    assert len(labels["stop_limit"]) == 3
    capsys.readouterr()
    assert main(["info", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["problems"]["stops"]
    assert {"hybrid", "ortools", "pyvrp"} <= set(told["solvers"])
    assert "StopLimit" in told["refusals"]["fast-tsp"] + told["refusals"]["policy"]


def test_an_objective(plugged: Plugged) -> None:
    """Costs of rollouts and checked routes agree, and both classical solvers find the optimum."""
    plugged("toll")
    env = problem("toll")
    instance = PROBLEMS["toll"].generator(5)(3, seeded(4))
    actions, _ = rollout(env, instance, 3, 2)
    cost = env.cost(instance, actions)
    for b in range(3):
        one = instance[b : b + 1]
        routes = env.visits.routes(one, actions[b, 0].tolist())
        assert env.routes_cost(one, routes) == pytest.approx(float(cost[b, 0]), abs=1e-5)
        best = min(accepted(env, one).values())
        for solver in (PyVRP(iterations=60), ORTools(solutions=30)):
            assert solver.solve(env, one, 5, 0).value == pytest.approx(best, rel=1e-5)
    assert separable(env, instance[:1])


def test_a_policy(plugged: Plugged) -> None:
    """It goes by its name, decodes like any other, and shipped ones stay the default."""
    plugged("nearest")
    released = load_policy("nearest")
    one = PROBLEMS["cvrp"].generator(8)(1, seeded(5))
    assert default_policy(problem("cvrp")).name == "cvrp"
    solver = find_solver("policy").build(policy="nearest", search=Single())
    found = solver.solve(problem("cvrp"), one)
    assert found.feasible
    env, there = released.adapt(problem("cvrp"), one)
    starts = MultiStart(8)(env, released.policy, there).best()[1]
    assert float(starts) <= found.value + 1e-5


def test_a_solver(plugged: Plugged, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``nco solve`` takes it by name."""
    plugged("greedy")
    path = ROOT / "data" / "examples" / "nco-n101-k9.vrp"
    assert main(["solve", str(path), "--solver", "nearest", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["solver"] == "nearest"


def test_a_file_format(plugged: Plugged, tmp_path: Path) -> None:
    """Its suffix is read and written; errors name the file."""
    plugged("points")
    one = PROBLEMS["cvrp"].generator(4)(1, seeded(6))
    one["locs"] = one["locs"].double()
    from nco.data.formats import FileInstance

    path = tmp_path / "four.points"
    write(path, FileInstance("four", "cvrp", one, path))
    again = read(path)
    assert again.problem == "cvrp" and torch.equal(again.instance["locs"], one["locs"])
    path.write_text("5\n1 2\n")
    with pytest.raises(InputError, match=r"four\.points: expected x, y and demand"):
        read(path)


def test_names_are_taken_once(plugged: Plugged) -> None:
    """A second row of the same name is refused; afterwards tables are as they were."""
    plugged("stop_limit")
    with pytest.raises(InputError, match="attribute demand is registered already"):
        register.field("demand", SCHEMA["capacity"])
    with pytest.raises(InputError, match="problem tsp is registered already"):
        register.problem("tsp", PROBLEMS["stops"])
    with scratch():
        register.problem("twice", PROBLEMS["stops"])
        assert "twice" in PROBLEMS
    assert "twice" not in PROBLEMS


INSTALLED = """
import sys
import nco.envs
from nco.data.instance import SCHEMA
assert "stop_limit" not in sys.modules
assert "stop_limit" in SCHEMA and "stops" in nco.envs.PROBLEMS
"""


def _installed(folder: Path, module: str) -> subprocess.CompletedProcess[str]:
    """Runs Python where a package is installed whose metadata name a plug-in."""
    info = folder / "somebodys_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[nco.plugins]\nstops = {module}\n")
    path = os.pathsep.join([str(ROOT), str(folder), str(HERE)])
    return subprocess.run(
        [sys.executable, "-c", INSTALLED],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_package_is_enough(tmp_path: Path) -> None:
    """Its entry point is imported when a table is first read, and not before."""
    done = _installed(tmp_path, "stop_limit")
    assert done.returncode == 0, done.stderr


def test_a_broken_package_is_named(tmp_path: Path) -> None:
    """What cannot be imported is an error that names the plug-in."""
    done = _installed(tmp_path, "absent_module")
    assert "plug-in stops: cannot be imported (No module named 'absent_module')" in done.stderr


def test_facts_hold(plugged: Plugged) -> None:
    """The rule's scope is that of its check."""
    plugged("stop_limit")
    env: RoutingEnv = problem("stops")
    one = PROBLEMS["stops"].generator(7)(1, seeded(8))
    actions, _ = rollout(env, one, 1, 0)
    routes = env.visits.routes(one, actions[0, 0].tolist())
    one["stop_limit"][:] = 1
    (rule,) = [rule for rule in env.constraints if "stop_limit" in rule.reads]
    together = rule.violations(one, routes)
    assert together and len(together) == len(
        list(chain(*(rule.violations(one, [route]) for route in routes)))
    )
