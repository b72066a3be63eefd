"""``import nco``: solving, checking, reading and writing in one call."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import nco
from nco.envs import Route
from nco.hub.released import Released
from nco.solvers.pyvrp import PyVRP

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "data" / "examples" / "nco-n101-k9.vrp"
CAPITALS = ROOT / "data" / "examples" / "capitals.csv"
# Two customers to the north, one to the east: 8 + 10 = 18 with a capacity of two.
LOCS = [[0, 0], [0, 3], [0, 4], [5, 0]]
TINY = {"locs": LOCS, "demand": [0, 1, 1, 1], "capacity": 2}
FEW = PyVRP(iterations=50)


def test_import_is_light() -> None:
    """``import nco`` loads neither PyTorch nor NumPy, and knows its names all the same."""
    code = (
        "import sys, nco; print(sorted({'torch', 'numpy', 'tensordict'} & set(sys.modules)), "
        "set(nco.__all__) <= set(dir(nco)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split("\n")[0] == "[] True", done.stderr


def test_every_name_is_there() -> None:
    """All names of the face are found, and no other."""
    for name in nco.__all__:
        assert getattr(nco, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'solv'"):
        nco.solv  # noqa: B018


def test_a_checkout_holds_no_second_nco() -> None:
    """What lies beside nco/ in a checkout imports below nco only where it is a part of it."""
    for name in ("nco", "tests", "benchmarks"):
        with pytest.raises(ModuleNotFoundError):
            __import__(f"nco.{name}")


def test_a_file_is_solved_and_written(tmp_path: Path) -> None:
    """The routes of a file, written and given back, cost what the solution says."""
    solution = nco.solve(EXAMPLE, solver=FEW)
    assert solution.feasible and len(solution.routes) == len(solution.vehicle_routes)
    assert sorted(node for route in solution.routes for node in route) == list(range(1, 101))
    solution.write(tmp_path / "out.sol")
    again = nco.check(str(EXAMPLE), str(tmp_path / "out.sol"))
    assert again.feasible and again.cost == solution.cost and again.routes == solution.routes
    assert nco.check(EXAMPLE, solution.routes).cost == solution.cost
    assert json.loads(json.dumps(solution.routes)) == solution.routes
    assert "feasible" in str(solution) and str(solution).startswith("nco-n101-k9: cost ")


def test_a_tour_of_a_file_has_the_numbers_of_the_file(tmp_path: Path) -> None:
    """Nodes of a TSPLIB file are counted from 1, those of arrays from 0."""
    path = tmp_path / "square.tsp"
    nodes = "\n".join(
        f"{k + 1} {x} {y}" for k, (x, y) in enumerate([(0, 0), (0, 9), (9, 9), (9, 0)])
    )
    path.write_text(
        "NAME : square\nTYPE : TSP\nDIMENSION : 4\nEDGE_WEIGHT_TYPE : EUC_2D\n"
        f"NODE_COORD_SECTION\n{nodes}\nEOF\n"
    )
    solution = nco.solve(path, solver=FEW)
    assert solution.cost == 36 and sorted(solution.routes[0]) == [1, 2, 3, 4]
    assert nco.check(path, [[1, 2, 3, 4]]).cost == 36
    assert not nco.check(path, [[0, 1, 2, 3]]).feasible
    instance = nco.make_instance(locs=[(0, 0), (0, 9), (9, 9), (9, 0)])
    assert nco.check(instance, [[0, 1, 2, 3]]).cost == 36


def test_arrays_are_solved() -> None:
    """The tiny instance costs 18 with two routes; its batch gives a list, each as if alone."""
    solution = nco.solve(nco.make_instance(**TINY), solver=FEW)
    assert (solution.cost, sorted(map(sorted, solution.routes))) == (18, [[1, 2], [3]])
    batch = nco.make_instance(
        locs=np.array([LOCS, np.array(LOCS) * 2]), demand=[[0, 1, 1, 1]] * 2, capacity=2
    )
    found = nco.solve(batch, solver=FEW)
    assert [each.cost for each in found] == [18, 36]


def test_the_rules_are_those_that_the_attributes_ask_for() -> None:
    """Windows are kept though no problem is named; what a prize is for has to be told."""
    windows = [[0, 99], [0, 3], [0, 4], [0, 99]]  # with its service, 1 is too late for 2
    late = nco.make_instance(**TINY, time_windows=windows, service_time=1)
    found = nco.solve(late, solver=FEW)
    assert found.cost == pytest.approx(6 + 4 + 5 + 41**0.5) and {
        type(rule).__name__ for rule in found.env.constraints
    } == {
        "Capacity",
        "TimeWindows",
    }
    prized = nco.make_instance(locs=LOCS, prize=[0, 1, 1, 1], distance_limit=8)
    with pytest.raises(nco.InputError, match="instances with prize do not tell, expected its name"):
        nco.solve(prized, solver=FEW)
    solution = nco.solve(prized, solver="ortools", time_limit=0.3, problem="op")
    assert solution.cost == 2 and solution.value == -2 and solution.trace[-1][1] == 2


@pytest.mark.parametrize("solver", ["pyvrp", "ortools", "hybrid", "policy"])
def test_no_solver_takes_the_first_of_a_batch(solver: str) -> None:
    """Each refuses a batch of two, and names what takes one."""
    from nco.solvers.registry import find_solver

    batch = nco.generate("cvrp", size=5, count=2)
    with pytest.raises(nco.InputError, match=r"batch size \[2\], expected \[1\].*nco.solve"):
        find_solver(solver).build().solve(nco.problem("cvrp"), batch, 0.1)


def test_a_start_is_completed_or_refused() -> None:
    """One that leaves customers out gets a route for each; one that breaks a rule is an error."""
    instance = nco.make_instance(**TINY)
    one = PyVRP(iterations=1)
    assert nco.solve(instance, solver=one, start=[[2, 1]]).cost == 18
    assert nco.solve(instance, solver=one, start=[[0, 1, 2, 0], [0, 3, 0]]).cost == 18
    with pytest.raises(nco.InputError, match="start: capacity: load 3, capacity 2, expected"):
        nco.solve(instance, solver=one, start=[[1, 2, 3]])
    with pytest.raises(nco.InputError, match="start: unknown node: node 9 is no customer"):
        nco.solve(instance, solver=one, start=[[1, 9], [2, 3]])
    tour = nco.make_instance(locs=LOCS)
    assert nco.solve(tour, solver=one, start=[[2, 1]]).feasible


def test_checks_name_what_is_wrong() -> None:
    """Lists, tuples, arrays and routes are checked alike; what is no route says so."""
    instance = nco.make_instance(**TINY)
    for routes in (
        [[1, 2], [3]],
        ((1, 2), (3,)),
        [np.array([1, 2]), np.array([3])],
        [Route((1, 2)), [3]],
    ):
        assert nco.check(instance, routes).cost == 18
        assert nco.problem("cvrp").check(instance, routes) == []
    found = nco.check(instance, [[1, 2, 3]])
    assert [violation.message for violation in found.violations] == ["load 3, capacity 2"]
    with pytest.raises(nco.InputError, match=r"routes\[0\]: '1', expected a list of whole numbers"):
        nco.check(instance, [1, 2])
    with pytest.raises(nco.InputError, match=r"routes\[0\]: 'ab', expected a list of whole"):
        nco.check(instance, ["ab"])
    with pytest.raises(nco.InputError, match="capacity: load 3, capacity 2, expected a feasible"):
        found.write("never.sol")


def test_several_depots_are_told_by_the_lists() -> None:
    """A list begins with its depot node where there are several; without, the message says so."""
    instance = nco.make_instance(
        locs=[[0, 0], [9, 0], [1, 0], [8, 0]], depots=[0, 1], demand=[0, 0, 1, 1], capacity=1
    )
    assert nco.check(instance, [[0, 2], [1, 3]]).cost == 4
    with pytest.raises(nco.InputError, match="begins with node 2, expected its depot node, 0 to 1"):
        nco.check(instance, [[2], [3]])


def test_files_are_read_and_written(tmp_path: Path) -> None:
    """A path as text, a list of paths, a data set; what is written is read back."""
    assert nco.read(str(CAPITALS)).labels == nco.read(CAPITALS).labels
    assert [file.name for file in nco.read([CAPITALS, str(EXAMPLE)])] == ["capitals", "nco-n101-k9"]
    instance = nco.make_instance(**TINY, metric="EUC_2D")
    nco.write(instance, tmp_path / "tiny.json")
    again = nco.read(tmp_path / "tiny.json")
    assert again.problem == "cvrp" and torch.equal(again.instance["locs"], instance["locs"])
    batch = nco.generate("cvrp", size=4, count=3)
    nco.write(batch, tmp_path / "batch.npz")
    assert torch.equal(nco.read(tmp_path / "batch.npz")["demand"], batch["demand"])
    with pytest.raises(nco.InputError, match=r"3 instances, expected \.npz or \.safetensors"):
        nco.write(batch, tmp_path / "batch.json")
    nco.solve(again, solver=FEW).write(tmp_path / "tiny.sol")
    assert nco.check(again, tmp_path / "tiny.sol").cost == 18


def test_a_policy_decodes_a_batch() -> None:
    """Solutions are those of greedy decoding, instance by instance, also of narrower problems."""
    from nco.decoding import Single

    policy = nco.load_policy("cvrp")
    batch = nco.generate("cvrp", size=10, count=6)
    solutions = policy.solve(batch)
    costs = Single()(policy.env, policy.policy, batch).best()[1]
    assert [s.cost for s in solutions] == pytest.approx(costs.tolist(), rel=1e-5)
    assert all(s.feasible and s.solver == "policy cvrp" for s in solutions)
    with pytest.raises(nco.InputError, match="policy 'cvrp' does not support this problem"):
        policy.solve(nco.generate("cvrptw", size=10, count=2))
    wide = nco.load_policy("vrp").solve(nco.generate("cvrptw", size=10, count=2))
    assert all(s.feasible for s in wide)


def test_what_cannot_be_used_is_refused() -> None:
    """A wrong type, a missing file, an unknown solver or problem, a policy that no solver takes."""
    for given, message in [
        ([1, 2], "instance: list, expected a path, make_instance"),
        ("no.vrp", "no.vrp: "),
    ]:
        with pytest.raises(nco.InputError, match=message):
            nco.solve(given)  # type: ignore[call-overload]
    instance = nco.make_instance(**TINY)
    with pytest.raises(nco.InputError, match="solver 'lkh' is unknown"):
        nco.solve(instance, solver="lkh")
    with pytest.raises(nco.InputError, match="'cvrpp' is unknown, the nearest names are cvrp"):
        nco.solve(instance, problem="cvrpp")
    with pytest.raises(nco.InputError, match="solver pyvrp: takes no policy"):
        nco.solve(instance, solver="pyvrp", policy="cvrp")
    with pytest.raises(nco.InputError, match="count: 0, expected 1 or more"):
        nco.generate("cvrp", count=0)


def test_a_policy_becomes_a_folder(tmp_path: Path) -> None:
    """What is saved with its problem decodes the same when it is loaded, and is not overwritten."""
    from nco.policies import AttentionPolicy

    env = nco.problem("cvrp")
    policy = AttentionPolicy(env, dim=16, heads=2, layers=1, hidden=16).eval()
    nco.save_policy(str(tmp_path / "mine"), policy, env)
    batch = nco.generate("cvrp", size=6, count=3)
    loaded = nco.load_policy(tmp_path / "mine")
    first = Released("first", policy, env).solve(batch)
    assert [each.routes for each in loaded.solve(batch)] == [each.routes for each in first]
    with pytest.raises(nco.InputError, match="exists already, expected a new folder"):
        nco.save_policy(tmp_path / "mine", policy, env)
