"""``nco solve`` from end to end."""

import json
from pathlib import Path

import pytest
import vrplib
from tensordict import TensorDict

from nco.data.formats import read
from nco.envs import Route, RoutingEnv, problem
from nco.solution import Solution, judge
from nco.solvers import registry
from nco.solvers.registry import SolverEntry
from tests.nco.cli.conftest import RECTANGLE_COST, SQUARE_COST, Run

FIELDS = ["instance", "problem", "n", "solver", "policy", "cost", "feasible", "gap"]
FIELDS += ["reference", "routes", "seconds", "seed"]


@pytest.mark.parametrize("solver", ["hybrid", "policy", "ortools", "pyvrp"])
def test_every_solver_writes_the_best_solution_of_the_square(
    solver: str, square: Path, run: Run
) -> None:
    """Each solver finds the hand-computed cost; file and JSON agree with vrplib's reading."""
    result = run("solve", square, "--solver", solver, "--time-limit", 0.5, "--out", "o", "--json")
    assert result.code == 0
    (row,) = json.loads(result.out)
    assert list(row) == FIELDS
    found = vrplib.read_solution(Path("o/square.sol"))
    assert found["routes"] == row["routes"]
    assert found["cost"] == row["cost"] == SQUARE_COST
    assert sorted(map(sorted, row["routes"])) in ([[1, 2], [3, 4]], [[1, 3], [2, 4]])
    assert (row["instance"], row["problem"], row["n"]) == ("square", "cvrp", 4)
    assert (row["solver"], row["feasible"], row["seed"]) == (solver, True, 1234)
    assert row["policy"] == ("cvrp" if solver in ("hybrid", "policy") else None)
    assert row["reference"] == 2 * SQUARE_COST
    assert row["gap"] == -50
    assert 0 < row["seconds"] < 5


@pytest.mark.parametrize("solver", ["hybrid", "policy", "ortools", "pyvrp", "fast-tsp"])
def test_a_tour_has_all_nodes_from_one(solver: str, rectangle: Path, run: Run) -> None:
    """A TSP solution is one route of all node numbers, without reference where none is known."""
    result = run("solve", rectangle, "--solver", solver, "--time-limit", 0.5, "--json")
    (row,) = json.loads(result.out)
    assert row["cost"] == RECTANGLE_COST
    assert sorted(row["routes"][0]) == [1, 2, 3, 4]
    assert (row["n"], row["gap"], row["reference"]) == (4, None, None)
    assert vrplib.read_solution(Path("out/rectangle.sol"))["routes"] == row["routes"]


@pytest.mark.parametrize(
    "decode",
    [
        ["--decode", "greedy"],
        ["--decode", "sample", "--samples", "8"],
        ["--decode", "multistart"],
        ["--decode", "beam", "--samples", "3", "--augment", "2"],
        ["--augment", "8"],
    ],
)
def test_every_decoding(decode: list[str], square: Path, run: Run) -> None:
    """Each way of decoding gives a feasible solution of the shipped policy."""
    result = run("solve", square, "--policy", "cvrp", *decode, "--json")
    assert result.code == 0
    (row,) = json.loads(result.out)
    assert row["feasible"]
    assert row["policy"] == "cvrp"
    assert row["cost"] >= SQUARE_COST


def test_the_table_says_what_the_json_says(square: Path, rectangle: Path, run: Run) -> None:
    """Name, n, routes, cost, gap and seconds of each file, on stdout only."""
    result = run("solve", square, rectangle, "--solver", "pyvrp", "--time-limit", 0.2)
    assert result.code == 0
    assert result.err == ""
    lines = [line.split() for line in result.out.splitlines() if line.strip()]
    assert lines[0] == ["name", "n", "routes", "cost", "gap", "s"]
    by_name = {line[0]: line[1:] for line in lines[2:]}
    assert by_name["square"][:5] == ["4", "2", str(SQUARE_COST), "-50.00", "%"]
    assert by_name["rectangle"][:4] == ["4", "1", str(RECTANGLE_COST), "—"]


def test_folders_and_globs_are_expanded(square: Path, rectangle: Path, run: Run) -> None:
    """A folder means its instances, a glob what it matches, the ``.sol`` of an instance nothing."""
    words = ["--solver", "pyvrp", "--time-limit", 0.1, "--json"]
    for files in ([square.parent], [square.parent / "*"], sorted(square.parent.iterdir())):
        result = run("solve", *files, *words)
        assert result.code == 0, result.err
        assert [row["instance"] for row in json.loads(result.out)] == ["rectangle", "square"]


def test_pictures_are_beside_the_solutions(square: Path, run: Run) -> None:
    """``--plot`` draws every solution; without it there is only the solution."""
    words = ["solve", square, "--solver", "pyvrp", "--time-limit", 0.1, "--out"]
    run(*words, "bare")
    assert [file.name for file in Path("bare").iterdir()] == ["square.sol"]
    run(*words, "drawn", "--plot")
    assert Path("drawn/square.png").read_bytes().startswith(b"\x89PNG")


def test_the_best_known_solution_is_never_overwritten(square: Path, run: Run) -> None:
    """An output folder where the reference lies is refused before anything is solved."""
    before = square.with_suffix(".sol").read_text()
    result = run("solve", square, "--solver", "pyvrp", "--out", square.parent)
    assert result.code == 2
    assert "square.sol" in result.err
    assert square.with_suffix(".sol").read_text() == before


def test_two_files_of_one_name_do_not_share_an_output(
    square: Path, tmp_path: Path, run: Run
) -> None:
    """The second file of a name is refused, the first is solved."""
    other = tmp_path / "other" / "square.vrp"
    other.parent.mkdir()
    other.write_text(square.read_text())
    result = run("solve", square, other, "--solver", "pyvrp", "--time-limit", 0.1, "--json")
    assert result.code == 2
    assert str(other) in result.err
    assert len(json.loads(result.out)) == 1


def test_rounding_is_the_readers(square: Path, run: Run) -> None:
    """``--rounding none`` computes with unrounded distances: 4 legs of sqrt(18) and 2 sides."""
    words = ["--solver", "pyvrp", "--time-limit", 0.2, "--rounding", "none", "--json"]
    (row,) = json.loads(run("solve", square, *words).out)
    assert row["cost"] == pytest.approx(4 * 18**0.5 + 12)


class Nothing:
    """A solver that finds nothing."""

    routes: tuple[Route, ...] = ()

    def solve(
        self,
        env: RoutingEnv,
        instance: TensorDict,
        time_limit: float | None = None,
        seed: int = 0,
        start: Solution | None = None,
    ) -> Solution:
        """The class's routes."""
        return judge(env, instance, self.routes, 0.1, "bad 1")


class Overload(Nothing):
    """A solver that takes everything at once."""

    routes = (Route((1, 2, 3, 4)),)


@pytest.mark.parametrize(("solver", "reason"), [(Nothing, "no routes"), (Overload, "10")])
def test_no_feasible_solution_is_exit_code_1(
    solver: type[Nothing], reason: str, square: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An infeasible solution is reported, not written, and ends in exit code 1."""
    monkeypatch.setitem(registry.SOLVERS, "bad", SolverEntry("bad", solver))
    result = run("solve", square, "--solver", "bad", "--json")
    assert result.code == 1
    (row,) = json.loads(result.out)
    assert row["feasible"] is False
    assert row["gap"] is None
    assert "square.vrp: bad: no feasible solution" in result.err
    assert reason in result.err
    assert not Path("out/square.sol").exists()
    assert "infeasible" in run("solve", square, "--solver", "bad").out


def test_the_json_of_an_example_is_what_the_checker_says(run: Run) -> None:
    """Routes of a shipped example are feasible and cost what is stated."""
    examples = Path(__file__).parents[3] / "data" / "examples"
    file = read(examples / "capitals.csv")
    result = run("solve", file.path, "--solver", "pyvrp", "--time-limit", 0.3, "--json")
    (row,) = json.loads(result.out)
    env = problem(file.problem)
    routes = [Route(tuple(route)) for route in row["routes"]]
    assert env.check(file.instance, routes) == []
    assert env.routes_cost(file.instance, routes) == pytest.approx(row["cost"])
    assert row["gap"] == pytest.approx(100 * (row["cost"] / row["reference"] - 1))
