"""Beam search: against exhaustive enumeration, a beam of lists, and greedy."""

import pytest
import torch
from tensordict import TensorDict

from nco.decoding import Beam, Greedy, rollout
from nco.envs import RoutingEnv, State, problem
from nco.policies import Policy
from tests.envs.random_instances import draw
from tests.every_problem import every_problem
from tests.nco.decoding.memory_policy import History
from tests.policies.small import small_policy

Partial = tuple[float, tuple[int, ...], State, tuple[torch.Tensor, ...]]


def extensions(env: RoutingEnv, policy: Policy, embeddings, partial: Partial) -> list[Partial]:
    """All ways to go on, with their log-probability; a complete solution goes on as it is."""
    score, actions, state, memory = partial
    if env.done(state):
        return [partial]
    log_probs, memory = policy.step(embeddings, env.context(state), memory)
    return [
        (score + p, (*actions, node), env.step(state, torch.tensor([[node]])), memory)
        for node, p in enumerate(log_probs[0, 0].tolist())
        if p > -torch.inf
    ]


def beam_of_lists(
    env: RoutingEnv, policy: Policy, instance: TensorDict, width: int | None
) -> list[tuple[float, tuple[int, ...]]]:
    """Complete solutions of a plain beam search, best first; all there are without a width."""
    embeddings = policy.encode(env.features(instance))
    beam: list[Partial] = [(0.0, (), env.reset(instance), ())]
    while not all(bool(env.done(state)) for _, _, state, _ in beam):
        after = [new for partial in beam for new in extensions(env, policy, embeddings, partial)]
        beam = sorted(after, key=lambda partial: -partial[0])[:width]
    return sorted(((score, actions) for score, actions, _, _ in beam), reverse=True)


def trimmed(env: RoutingEnv, instance: TensorDict, actions: list[int]) -> tuple[int, ...]:
    """Actions up to the end of the solution, without the waiting after it."""
    state, kept = env.reset(instance), []
    for action in actions:
        if env.done(state):
            break
        kept.append(action)
        state = env.step(state, torch.tensor([[action]]))
    return tuple(kept)


@torch.no_grad()
def assert_beam_equals_lists(
    env: RoutingEnv, policy: Policy, instance: TensorDict, width: int, exhaustive: bool
) -> None:
    found = Beam(width)(env, policy, instance).actions
    for b in range(len(found)):
        one = instance[b : b + 1]
        expected = beam_of_lists(env, policy, one, None if exhaustive else width)
        assert not exhaustive or len(expected) <= width
        beam = [trimmed(env, one, actions) for actions in found[b, 1:].tolist()]
        greedy = trimmed(env, one, rollout(env, policy, one, Greedy()).actions[0, 0].tolist())
        assert trimmed(env, one, found[b, 0].tolist()) == greedy
        assert beam[: len(expected)] == [actions for _, actions in expected]
        assert set(beam[len(expected) :]) <= {greedy}


@every_problem
def test_full_width_enumerates_all_solutions(name: str) -> None:
    """A beam as wide as there are solutions holds them all, in the order of their probability."""
    env = problem(name)
    nodes = 4 if env.visits.num_depots else 5
    if env.spec.dynamic_dim:
        nodes = 3  # customers that are served in parts have many more solutions
    instance = draw(env, 2, nodes, 0)
    assert_beam_equals_lists(env, small_policy(env, 0).eval(), instance, 150, exhaustive=True)


@every_problem
@pytest.mark.parametrize("width", [2, 5])
def test_beam_equals_a_beam_of_lists(name: str, width: int) -> None:
    """A narrow beam keeps at every step what sorted lists of partial solutions keep."""
    env = problem(name)
    instance = draw(env, 2, 7, 1)
    policy = small_policy(env, 1, norm="instance").eval()
    assert_beam_equals_lists(env, policy, instance, width, exhaustive=False)


@pytest.mark.parametrize("name", ["tsp", "cvrp"])
def test_memory_follows_its_beam(name: str) -> None:
    """With a policy that remembers, every partial solution keeps the memory of its own past."""
    env = problem(name)
    policy = History(5)
    assert_beam_equals_lists(env, policy, draw(env, 2, 5, 2), 3, exhaustive=False)
    assert_beam_equals_lists(env, policy, draw(env, 2, 5, 2), 400, exhaustive=True)


@every_problem
def test_width_one_is_greedy(name: str) -> None:
    """A beam of width one is the greedy rollout."""
    env = problem(name)
    instance = draw(env, 3, 9, 3)
    policy = small_policy(env, 3).eval()
    found = Beam(1)(env, policy, instance)
    greedy = rollout(env, policy, instance, Greedy())
    assert torch.equal(found.actions[:, 0], found.actions[:, 1])
    torch.testing.assert_close(found.cost[:, :1], greedy.cost)
    length = greedy.actions.shape[-1]
    assert torch.equal(found.actions[:, 1, :length], greedy.actions[:, 0])
