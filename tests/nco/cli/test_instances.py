"""What `nco evaluate` is about, where neither data nor options say it."""

import pytest

from nco.cli.instances import _problem_of
from nco.envs import PROBLEMS, problem
from nco.hub.released import Released
from nco.policies import AttentionPolicy


@pytest.mark.parametrize("name", ["tsp", "cvrp", "sdvrp", "op", "pctsp", "spctsp"])
def test_a_policy_tells_its_problem(name: str) -> None:
    """The composition that a policy was made for names the problem, collected prizes included."""
    env = problem(name)
    policy = AttentionPolicy(env, dim=16, heads=2, layers=1, hidden=16)
    assert name in PROBLEMS
    assert _problem_of(Released("some policy", policy, env)) == name
