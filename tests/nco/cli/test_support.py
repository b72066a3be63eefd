"""The support matrix of ``nco info``: what solvers say they can express is what they solve."""

import pytest

from nco.cli.support import asked, tried
from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.envs.problems.table import PROBLEMS
from nco.solvers.registry import SOLVERS, SolverEntry

# One for each shape of routes, and one for each group of rules.
SAMPLE = [
    "tsp",
    "atsp",
    "pdtsp",
    "op",
    "cvrp",
    "sdvrp",
    "mdovrpmbltw",
    "pdp",
    "hcvrp",
    "1pdvrp",
]
every_problem = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in SAMPLE else pytest.mark.slow) for n in PROBLEMS]
)


def test_the_sample_is_of_the_table() -> None:
    """A problem that was renamed is not left out in silence."""
    assert set(SAMPLE) <= PROBLEMS.keys()


@every_problem
def test_what_is_said_is_what_is_solved(name: str) -> None:
    """
    Asked without solving, a solver refuses what it refuses when it solves, for the same reason;
    what it takes it solves. A policy alone may end in a route that is not feasible: that is no
    refusal.
    """
    said, done = asked(name), tried(name)
    assert said.keys() == done.keys() == SOLVERS.keys()
    for solver in SOLVERS:
        if solver == "policy" and said[solver] is None:
            with_policy = SOLVERS[solver].build()
            instance = PROBLEMS[name].generator(5)(1, seeded(0))
            assert with_policy.solve(PROBLEMS[name].build(), instance, 0.05).routes
        else:
            assert said[solver] == done[solver]


def test_refusals_are_those_of_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A solver that is added is asked like the others, and its reason is told."""

    class Picky:
        def require(self, env: object, instance: object) -> None:
            raise InputError("picky takes nothing")

    monkeypatch.setitem(SOLVERS, "picky", SolverEntry("takes nothing", Picky))  # type: ignore[arg-type]
    assert asked("cvrp")["picky"] == "picky takes nothing"
