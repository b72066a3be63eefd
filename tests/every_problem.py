"""Tests over all named problems: fast for a few that have all parts, slow for the rest."""

import pytest

from nco.envs import PROBLEMS, problem


def covering() -> list[str]:
    """The first problems of the table that together have every kind of visits, rule and
    objective."""
    seen: set[type] = set()
    chosen = []
    for name in PROBLEMS:
        env = problem(name)
        parts = {type(part) for part in (env.visits, *env.constraints, env.objective)}
        if not parts <= seen:
            chosen.append(name)
        seen |= parts
    return chosen


every_problem = pytest.mark.parametrize(
    "name",
    [
        name if name in covering() else pytest.param(name, marks=pytest.mark.slow)
        for name in PROBLEMS
    ],
)
