"""Every solver where detours are shorter than direct legs and legs are missing: brute force."""

import pytest

from nco.data.errors import InputError
from nco.envs import problem
from nco.hub.released import Released
from nco.policies import AttentionPolicy
from nco.solvers.base import Solver
from nco.solvers.hybrid import Hybrid
from nco.solvers.ortools import ORTools
from nco.solvers.policy import PolicySolver
from nco.solvers.pyvrp import PyVRP
from tests.envs.candidates import accepted
from tests.envs.random_instances import draw

ORTOOLS, PYVRP = ORTools(solutions=30, default_time_limit=20.0), PyVRP(iterations=200)
NAMES = ["cvrp", "atsp", "hfvrp", "mtvrptw", "op", "ovrptw", "pcvrp", "tsptw", "vrpl", "vrptw"]


@pytest.mark.parametrize("solver", [ORTOOLS, PYVRP], ids=["ortools", "pyvrp"])
@pytest.mark.parametrize("name", [*NAMES, "pdptw"])
def test_the_optimum_of_brute_force(solver: Solver, name: str) -> None:
    """On three to five nodes without a triangle inequality, on every other some legs missing."""
    env, solved = problem(name), 0
    for seed in range(12):
        instance = draw(env, 1, 3 + seed % 3, seed, detours=True)
        best = min(accepted(env, instance).values(), default=None)
        try:
            found = solver.solve(env, instance)
        except InputError as error:
            assert best is None and "no solution exists" in str(error)
            continue
        assert found.feasible == (best is not None)
        if best is not None:
            solved += 1
            assert found.value == pytest.approx(best, abs=1e-6)
    assert solved


@pytest.mark.parametrize("name", ["cvrp", "atsp", "vrpl", "vrptw", "op"])
def test_policies_and_the_hybrid_find_what_there_is(name: str) -> None:
    """An untrained policy, by its best rollouts, and the hybrid solver, in a short time."""
    env, solved = problem(name), 0
    policy = AttentionPolicy(env, dim=16, heads=2, layers=1, hidden=16)
    released = Released("small", policy.eval(), env)
    for seed in range(2, 12):
        instance = draw(env, 1, 3 + seed % 2, seed, detours=True)
        best = min(accepted(env, instance).values(), default=None)
        if best is None:
            continue
        solved += 1
        found = PolicySolver(released).solve(env, instance, 0.3)
        assert found.feasible and found.value >= best - 1e-6
        if seed < 5:
            found = Hybrid(workers=1, proposals=False).solve(env, instance, 0.3)
            assert found.feasible and found.value == pytest.approx(best, abs=1e-6)
    assert solved
