"""Driving an environment: plain loops, imposed moves, memories and deadlines."""

import time

import pytest
import torch

from nco.decoding import Greedy, OutOfTime, Sampling, rollout
from nco.decoding.rollout import CHECK_EVERY
from nco.envs import problem
from tests.envs.random_instances import broken, draw
from tests.every_problem import every_problem
from tests.nco.decoding.memory_policy import History
from tests.policies.small import small_policy

BATCH, ROLLOUTS, NODES = 3, 4, 9


@every_problem
@pytest.mark.parametrize("strategy", [Greedy(), Sampling()])
def test_rollouts_are_feasible_and_cost_what_they_say(name: str, strategy) -> None:
    """
    Every rollout is flawless for the checker, or broken as the environment knows, and its cost is
    that of its routes.
    """
    env = problem(name)
    instance = draw(env, BATCH, NODES, 1)
    done = rollout(env, small_policy(env, 1), instance, strategy, ROLLOUTS, rng=torch.Generator())
    given_up = broken(env, instance, done.actions)
    for b in range(BATCH):
        one = instance[b : b + 1]
        for r in range(ROLLOUTS):
            routes = env.visits.routes(one, done.actions[b, r].tolist())
            flawed = bool(env.check(one, routes))
            assert env.impossible(one) or flawed == bool(given_up[b, r])
            assert float(done.cost[b, r]) == pytest.approx(env.routes_cost(one, routes), abs=1e-5)
    actions, cost = done.best()
    assert torch.equal(cost, done.cost.amin(-1))
    assert torch.equal(env.cost(instance, actions.unsqueeze(1)).squeeze(1), cost)


@every_problem
def test_greedy_equals_a_plain_loop(name: str) -> None:
    """Greedy decoding takes the most probable node at each step, one instance at a time."""
    env = problem(name)
    instance = draw(env, BATCH, NODES, 2)
    policy = small_policy(env, 2).eval()
    done = rollout(env, policy, instance, Greedy())
    for b in range(BATCH):
        one, driven = instance[b : b + 1], []
        embeddings = policy.encode(env.features(one))
        state = env.reset(one)
        while not env.done(state):
            scores = policy.step(embeddings, env.context(state))[0][0, 0].tolist()
            driven.append(scores.index(max(scores)))
            state = env.step(state, torch.tensor([[driven[-1]]]))
        assert done.actions[b, 0, : len(driven)].tolist() == driven


@every_problem
def test_first_moves_can_be_imposed(name: str) -> None:
    """Imposed first moves are made as given, and the steps after them are the policy's."""
    env = problem(name)
    instance = draw(env, BATCH, NODES, 3)
    policy = small_policy(env, 3)
    first = env.starts(instance, ROLLOUTS)
    done = rollout(env, policy, instance, Greedy(), ROLLOUTS, first)
    assert torch.equal(done.actions[..., 0], first)
    state = env.step(env.reset(instance, ROLLOUTS), first)
    with torch.no_grad():
        second = policy.step(policy.encode(env.features(instance)), env.context(state))[0]
    assert torch.equal(done.actions[..., 1], second.argmax(-1))


@pytest.mark.parametrize("imposed", [False, True])
def test_memory_follows_its_rollout(imposed: bool) -> None:
    """A policy with memory sees the history of each rollout, the imposed move included."""
    env = problem("cvrp")
    instance = draw(env, 2, 6, 4)
    policy = History(6)
    first = env.starts(instance, 3) if imposed else None
    done = rollout(env, policy, instance, Sampling(), 3, first, torch.Generator(), record=True)
    greedy = rollout(env, policy, instance, Greedy(), 3, first)
    for b in range(2):
        for r in range(3):
            state, memory = env.reset(instance[b : b + 1]), ()
            for action in greedy.actions[b, r].tolist():
                scores, memory = policy.step(torch.empty(0), env.context(state), memory)
                if not env.done(state) and int(state.visited.sum()) + (not imposed):
                    assert action == int(scores.argmax())
                state = env.step(state, torch.tensor([[action]]))
    assert done.trajectory is not None and done.trajectory.free.any()


def test_same_generator_same_rollouts() -> None:
    """Sampled rollouts follow from the generator, and global randomness is left untouched."""
    env = problem("cvrp")
    instance = draw(env, BATCH, NODES, 5)
    policy, before = small_policy(env, 5), torch.random.get_rng_state()
    first, again, other = (
        rollout(
            env, policy, instance, Sampling(), 8, rng=torch.Generator().manual_seed(seed)
        ).actions
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())


def test_rollouts_keep_no_gradient() -> None:
    """Rollouts are made without gradients, whatever the policy's parameters ask for."""
    env = problem("tsp")
    instance = draw(env, BATCH, NODES, 6)
    policy = small_policy(env, 6)
    embeddings = policy.encode(env.features(instance))
    done = rollout(env, policy, instance, Sampling(), embeddings=embeddings, record=True)
    assert embeddings.keys.requires_grad and not done.cost.requires_grad
    assert done.trajectory is not None and not done.trajectory.context.scalars.requires_grad


def test_deadlines_raise() -> None:
    """A deadline that has passed ends rollouts that are not complete, and no others."""
    env = problem("cvrp")
    long, short = draw(env, 1, 2 * CHECK_EVERY, 7), draw(env, 1, 3, 7)
    policy, past = small_policy(env), time.perf_counter() - 1
    with pytest.raises(OutOfTime):
        rollout(env, policy, long, Greedy(), deadline=past)
    assert rollout(env, policy, long, Greedy(), deadline=past + 1000).actions.shape[-1] >= 15
    assert rollout(env, policy, short, Greedy(), deadline=past).cost.isfinite().all()
