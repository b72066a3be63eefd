"""Time windows by the last moment of arrival, against adding up the way home."""

import pytest
import torch

from nco.envs import PROBLEMS, problem
from nco.envs.constraints import TimeWindows
from nco.envs.constraints.time_windows import from_ordinal, ordinal
from nco.envs.resources.resource import Resource
from tests.envs.random_instances import draw

NAMES = [
    name
    for name in PROBLEMS
    if any(
        isinstance(rule, TimeWindows) and not rule.flexible for rule in problem(name).constraints
    )
]


@pytest.mark.parametrize("name", NAMES)
def test_windows_are_those_of_the_sums(name: str) -> None:
    """Along random rollouts, both ways of testing a move agree on every node, to the last bit."""
    env = problem(name)
    (rule,) = (r for r in env.constraints if isinstance(r, TimeWindows))
    rng = torch.Generator().manual_seed(3)
    instance = draw(env, 4, 9, 3)
    state = env.reset(instance, 20)
    for _ in range(env.max_steps(instance)):
        assert torch.equal(rule.feasible(state), slow(rule, state))
        weights = env.mask(state).float().flatten(0, 1)
        action = weights.multinomial(1, generator=rng).view(state.current.shape)
        state = env.step(state, action)
        if env.done(state).all():
            break


def slow(rule: TimeWindows, state) -> torch.Tensor:
    """The test that all resources share; trips have their own."""
    if type(rule).feasible is not TimeWindows.feasible:
        return rule.feasible(state)
    return Resource.feasible(rule, state)


@pytest.mark.parametrize("name", ["vrptw"])
def test_ties_are_decided_by_the_last_bit(name: str) -> None:
    """A vehicle that is ready in the last possible moment may go, a later one may not."""
    env = problem(name)
    (rule,) = (r for r in env.constraints if isinstance(r, TimeWindows))
    state = env.reset(draw(env, 2, 9, 5), 9)
    last = state.tables["last arrival"]
    node = torch.arange(9).expand(2, 9)
    state.current[:] = 0
    travel = state.tables["length"][:, 0]
    for shift in (-2, -1, 0, 1, 2):
        arrival = from_ordinal(ordinal(last[:, 0]) + shift)
        state.parts["time"] = arrival - travel
        found, expected = rule.feasible(state), slow(rule, state)
        assert torch.equal(found, expected)
        assert found.gather(2, node.unsqueeze(-1)).any() == expected.any()


def test_ordinals_keep_the_order() -> None:
    """Numbers and their ordinals are in the same order, and lead back to the numbers."""
    numbers = [-torch.inf, -2.5, -1e-300, 0.0, 5e-324, 1.0, 1e300, torch.inf]
    values = torch.tensor(numbers, dtype=torch.double)
    assert torch.equal(from_ordinal(ordinal(values)), values)
    assert bool((ordinal(values).diff() > 0).all())
