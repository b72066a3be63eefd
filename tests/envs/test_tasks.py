"""The README's table of task types: each row is a composition that solves its instances."""

import re
from pathlib import Path

import pytest
import torch

from nco.envs import problem, row_of
from nco.envs.objectives import Total
from tests.envs.random_instances import final, rollout

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("### Tasks and their compositions")[1].split("\n## ")[0]
ROWS = [
    [re.findall(r"`([\w-]+)`", cell) for cell in line.split("|")[2:5]]
    for line in SECTION.splitlines()
    if line.startswith("| ") and "`" in line
]


def test_there_are_21_types() -> None:
    """The table has 21 rows, each of another problem."""
    assert len(ROWS) == len({name for (name,), *_ in ROWS}) == 21


@pytest.mark.parametrize(
    ("name", "rules", "terms"),
    [(row[0][0], *row[1:]) for row in ROWS],
    ids=[row[0][0] for row in ROWS],
)
def test_tasks_are_compositions(name: str, rules: list[str], terms: list[str]) -> None:
    """
    A row's problem has the rules and the objective that the row says, and random moves that the
    mask allows solve an instance of its generator, for the checker too.
    """
    env = problem(name)
    assert [type(rule).__name__ for rule in env.constraints] == rules
    objective = env.objective
    parts = objective.terms if isinstance(objective, Total) else (objective,)
    assert [type(part).__name__ for part in parts] == terms
    instance = row_of(name).generator(6)(1, torch.Generator().manual_seed(0))
    actions, states = rollout(env, instance, 2000, 0)
    solved = ~env.broken(final(env, states, actions))[0]
    assert bool(solved.any())  # all of them but where one vehicle has to keep windows
    cost, best = torch.where(solved, env.cost(instance, actions)[0], torch.inf).min(-1)
    routes = env.visits.routes(instance, actions[0, best].tolist())
    assert env.check(instance, routes) == []
    assert env.routes_cost(instance, routes) == pytest.approx(float(cost), rel=1e-5)
