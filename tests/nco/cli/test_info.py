"""``nco info`` from end to end."""

import json
from collections.abc import ItemsView, Iterator

import pytest

from nco.data.native import library
from nco.envs.problems.problem import Problem
from nco.envs.problems.table import PROBLEMS
from nco.hub.released import shipped
from nco.solvers.registry import SOLVERS
from tests.nco.cli.conftest import Run

FEW = {name: PROBLEMS[name] for name in ("tsp", "cvrp", "op")}  # solving takes its time


class Shortened(dict[str, Problem]):
    """The table, of which lists show a few rows; policies find their own ones in it."""

    def __iter__(self) -> Iterator[str]:
        return iter(FEW)

    def __len__(self) -> int:
        return len(FEW)

    def items(self) -> ItemsView[str, Problem]:
        return FEW.items()


Told = dict[str, dict[str, dict[str, list[str]]]]


def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were few problems."""
    rows = Shortened(PROBLEMS.items())
    for module in ("nco.envs.problems.table", "nco.cli.support"):
        monkeypatch.setattr(f"{module}.PROBLEMS", rows)


@pytest.fixture
def told(run: Run, monkeypatch: pytest.MonkeyPatch) -> Told:
    """The JSON of ``nco info``, as if there were few problems."""
    _few(monkeypatch)
    result = run("info", "--json")
    assert result.code == 0, result.err
    found: Told = json.loads(result.out)
    return found


def test_everything_is_listed_with_who_supports_it(told: Told) -> None:
    """All problems, solvers and policies are there; TSP and CVRP are solved by who should."""
    problems = told["problems"]
    assert list(problems) == list(FEW)
    assert list(told["solvers"]) == list(SOLVERS)
    assert list(told["policies"]) == shipped()
    assert problems["tsp"]["solvers"] == ["hybrid", "policy", "ortools", "pyvrp", "fast-tsp"]
    ours = [] if library() is None else ["sisr"]  # a compiled engine
    assert problems["cvrp"]["solvers"] == ["hybrid", "policy", *ours, "ortools", "pyvrp"]
    assert "cvrp" in problems["cvrp"]["policies"]
    for row in problems.values():
        assert set(row["solvers"]) | set(row["refusals"]) == set(SOLVERS)
        assert not set(row["solvers"]) & set(row["refusals"])


def test_checking_solves(told: Told, run: Run) -> None:
    """With ``--check`` every solver solves, and supports what it does without."""
    result = run("info", "--check", "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["problems"] == told["problems"]


def test_tables(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``--json`` there are tables with problems, solvers, policies and versions."""
    _few(monkeypatch)
    out = run("info").out
    for part in ("cvrp", "PyVRP", "torch", "shortest closed tour", "measured"):
        assert part in out
