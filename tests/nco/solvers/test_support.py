"""What solvers accept and refuse, by the composition of the problem."""

import inspect
from collections.abc import Sequence

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data import make_instance
from nco.data.errors import InputError
from nco.envs import PROBLEMS, Route, RoutingEnv, Violation, problem
from nco.envs.constraint import Constraint, always
from nco.envs.constraints import Capacity
from nco.envs.objective import Objective
from nco.envs.problems.naming import VARIANTS
from nco.envs.state import State
from nco.envs.visits.base import Visits
from nco.envs.visits.depot_routes import DepotRoutes
from nco.envs.visits.tour import Tour
from nco.solvers.base import Solver
from nco.solvers.fast_tsp import FastTSP
from nco.solvers.ortools import ORTools
from nco.solvers.pyvrp import PyVRP
from nco.solvers.registry import SOLVERS, find_solver
from tests.envs.candidates import EVERYTHING, accepted
from tests.envs.random_instances import draw

CLASSICAL: dict[str, Solver] = {
    "ortools": ORTools(solutions=30, default_time_limit=20.0),
    "pyvrp": PyVRP(iterations=100),
    "fast-tsp": FastTSP(default_time_limit=0.1),
}
every_solver = pytest.mark.parametrize("name", CLASSICAL)


def test_every_classical_solver_has_a_row() -> None:
    """The table of solvers lists these, builds them, and tells what they are."""
    for name, solver in CLASSICAL.items():
        assert isinstance(find_solver(name).build(), type(solver))
        assert SOLVERS[name].summary


@pytest.mark.parametrize("name", SOLVERS)
def test_settings_are_parameters_of_the_solver(name: str) -> None:
    """What a row says the command line may set is what the constructor takes, of these names."""
    entry = SOLVERS[name]
    parameters = inspect.signature(type(entry.build())).parameters
    asked_for = {"policy", "search", "device"}  # what nco solve offers
    assert set(entry.settings) == asked_for & set(parameters)


def test_unknown_solvers_are_refused() -> None:
    """A name that is not in the table is the user's error, and the message lists the table."""
    with pytest.raises(InputError, match=r"'gurobi' is unknown, expected one of .*ortools, pyvrp"):
        find_solver("gurobi")


@every_solver
@pytest.mark.parametrize("problem_name", PROBLEMS)
def test_problems_are_solved_or_refused(name: str, problem_name: str) -> None:
    """
    A solver takes a problem and solves five nodes of it to optimality, or says which of its
    parts it cannot express. Where brute force finds nothing, nor does it.
    """
    env = problem(problem_name)
    instance = draw(env, 1, 5, seed=1)
    try:
        found = CLASSICAL[name].solve(env, instance)
    except InputError as error:
        parts = [type(part).__name__ for part in (env.visits, *env.constraints, env.objective)]
        assert any(f"{name} cannot express {part}, expected" in str(error) for part in parts)
        return
    assert type(env.visits) in EVERYTHING
    costs = accepted(env, instance).values()
    assert found.feasible == bool(costs)
    if costs:
        assert found.value == pytest.approx(min(costs), rel=1e-6)


SUPPORTED = {
    "ortools": ["tsp", "cvrp", "op", "pctsp", *VARIANTS],
    "pyvrp": ["tsp", "cvrp", "op", *VARIANTS],
    "fast-tsp": ["tsp"],
}


@every_solver
def test_the_least_that_each_solver_supports(name: str) -> None:
    """The TSP is solved by all, all variants of the CVRP by those that know vehicles."""
    rng = torch.Generator().manual_seed(0)
    for problem_name in SUPPORTED[name]:
        instance = PROBLEMS[problem_name].generator(4)(1, rng)
        assert CLASSICAL[name].solve(problem(problem_name), instance).feasible


class Odd(Constraint):
    """Allows odd nodes only: a rule that no solver has heard of."""

    scope = "route"

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return always(instance)

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        return {}

    def feasible(self, state: State) -> Tensor:
        return torch.ones_like(state.visited)

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        return {}

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        return []


class LooserCapacity(Capacity):
    """A subclass is another rule."""


class Nothing(Objective):
    """Everything is free."""

    additive = True

    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        return torch.zeros(actions.shape[:2])

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        return 0.0


class Scenic(Tour):
    """A subclass is another shape."""


@every_solver
@pytest.mark.parametrize(
    ("env", "part"),
    [
        (RoutingEnv(Tour(), [Odd()]), "Odd"),
        (RoutingEnv(Tour(), [], Nothing()), "Nothing"),
        (RoutingEnv(Scenic()), "Scenic"),
    ],
)
def test_unknown_parts_are_refused_by_name(name: str, env: RoutingEnv, part: str) -> None:
    """A rule, objective or shape that is not in the solver's table is named with the solver."""
    instance = make_instance(locs=torch.rand(1, 4, 2))
    with pytest.raises(InputError, match=f"{name} cannot express {part}, expected"):
        CLASSICAL[name].solve(env, instance)


@pytest.mark.parametrize("name", ["ortools", "pyvrp"])
def test_tables_match_exact_types(name: str) -> None:
    """What is derived from a known rule may differ from it: it is refused, not guessed at."""
    env = RoutingEnv(DepotRoutes(), [LooserCapacity()])
    with pytest.raises(InputError, match=f"{name} cannot express LooserCapacity, expected .*Cap"):
        CLASSICAL[name].solve(env, draw(problem("cvrp"), 1, 4, seed=0))


def test_fast_tsp_refuses_asymmetry() -> None:
    """Its search relies on symmetry; the message gives a pair that breaks it."""
    distance = torch.tensor([[[0.0, 1.0, 2.0], [1.0, 0.0, 2.0], [2.0, 3.0, 0.0]]])
    with pytest.raises(InputError, match=r"asymmetric .*: 2.0 from node 1 to node 2, 3.0 back"):
        FastTSP().solve(problem("tsp"), make_instance(distance=distance))


@every_solver
@pytest.mark.parametrize("time_limit", [0.0, -1.0, float("nan"), float("inf")])
def test_time_limits_are_positive(name: str, time_limit: float) -> None:
    """No time, less than none and for ever are no limits."""
    instance = make_instance(locs=torch.rand(1, 4, 2))
    with pytest.raises(InputError, match=r"time limit: .*, expected a positive number of seconds"):
        CLASSICAL[name].solve(problem("tsp"), instance, time_limit)


@pytest.mark.parametrize("name", ["ortools", "pyvrp"])
def test_hopeless_instances_are_refused(name: str) -> None:
    """A demand above the capacity is told before any search, with its node."""
    instance = make_instance(
        locs=torch.rand(1, 3, 2),
        demand=torch.tensor([[0, 3, 9]]),
        capacity=torch.tensor([8]),
    )
    with pytest.raises(InputError, match="no solution exists: capacity: demand 9 of node 2"):
        CLASSICAL[name].solve(problem("cvrp"), instance)


def test_ortools_names_are_checked() -> None:
    """A strategy that OR-Tools does not have is told when the solver is made."""
    with pytest.raises(
        InputError, match=r"first solution strategy 'SWEEEP', expected one of .*SWE"
    ):
        ORTools(first_solution="SWEEEP")
    with pytest.raises(InputError, match=r"metaheuristic 'X', expected one of .*GUIDED_LOCAL"):
        ORTools(metaheuristic="X")
