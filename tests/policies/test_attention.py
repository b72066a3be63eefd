"""The attention policy: against loops, against its own steps, and under symmetries."""

from itertools import product

import pytest
import torch
from torch import Tensor

from nco.decoding import Greedy, Sampling, replay
from nco.decoding import rollout as drive
from nco.envs import PROBLEMS, Context, RoutingEnv, problem
from nco.policies import AttentionPolicy, Trajectory
from nco.policies.base import Policy
from tests.envs.random_instances import draw, rollout
from tests.envs.test_problems import relabelled
from tests.every_problem import every_problem
from tests.policies import naive
from tests.policies.small import small_policy

NORMS = ("batch", "instance", "layer", "rms", "none")
FLAGS = ("graph_context", "project_logit_keys", "residual", "distance_bias")
COMBINATIONS = [
    dict(zip(FLAGS, values, strict=True)) for values in product((False, True), repeat=4)
]
EXTREMES = [COMBINATIONS[0], COMBINATIONS[-1], {"neighbours": 2, "distance_bias": True}]
every_norm = pytest.mark.parametrize("norm", NORMS)
BATCH, ROLLOUTS, NODES = 2, 3, 6


def stepwise(policy: Policy, env: RoutingEnv, instance, actions: Tensor, forced: int) -> Tensor:
    """Sum of the log-probabilities that a decoding loop meets along given actions, ``[B, R]``."""
    embeddings = policy.encode(env.features(instance))
    state = env.reset(instance, actions.shape[1])
    total = torch.zeros(actions.shape[:2])
    for step, action in enumerate(actions.unbind(-1)):
        log_probs, _ = policy.step(embeddings, env.context(state))
        chosen = log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1)
        if step >= forced:
            total = total + chosen.where(~env.done(state), torch.zeros(()))
        state = env.step(state, action)
    return total


def assert_one_pass_equals_steps(env: RoutingEnv, policy: AttentionPolicy, seed: int) -> None:
    instance = draw(env, BATCH, NODES, seed)
    actions, _ = rollout(env, instance, ROLLOUTS, seed)
    weight = torch.randn(BATCH, ROLLOUTS, generator=torch.Generator().manual_seed(seed))
    parameters = list(policy.parameters())
    forced = seed % 2
    one_pass = policy.evaluate(
        policy.encode(env.features(instance)), replay(env, instance, actions, forced)
    )
    steps = stepwise(policy, env, instance, actions, forced)
    assert steps.abs().max() > 0.1
    torch.testing.assert_close(one_pass, steps, rtol=1e-5, atol=1e-5)
    mine, theirs = (
        torch.autograd.grad((weight * total).sum(), parameters, materialize_grads=True)
        for total in (one_pass, steps)
    )
    largest = max(float(g.abs().max()) for g in theirs)
    assert largest > 0.01
    for ours, expected in zip(mine, theirs, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4 * largest)


@every_norm
@pytest.mark.parametrize("name", ["tsp", "cvrp", "sdvrp"])
def test_one_pass_equals_steps_for_every_option(name: str, norm: str) -> None:
    """Likelihoods from one parallel pass, and their gradients, equal those of a decoding loop,
    whatever the network is composed of."""
    env = problem(name)
    for seed, options in enumerate(COMBINATIONS):
        assert_one_pass_equals_steps(env, small_policy(env, seed, norm=norm, **options), seed)


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("options", EXTREMES)
def test_one_pass_equals_steps_for_every_problem(name: str, options: dict[str, bool]) -> None:
    """Likelihoods from one parallel pass equal those of a decoding loop on every problem."""
    env = problem(name)
    nearest = options.get("neighbours", 0)
    policy = small_policy(env, 5, norm="instance", **options)
    if nearest:  # random actions go to nodes that this policy does not look at: take its own
        instance = draw(env, BATCH, NODES, 5)
        with torch.no_grad():
            rng = torch.Generator().manual_seed(5)
            driven = drive(env, policy, instance, Sampling(), ROLLOUTS, rng=rng, record=True)
            one_pass = policy.evaluate(policy.encode(env.features(instance)), driven.trajectory)
            steps = stepwise(policy, env, instance, driven.actions, 0)
        torch.testing.assert_close(one_pass, steps, rtol=1e-5, atol=1e-5)
    else:
        assert_one_pass_equals_steps(env, policy, 5)


@every_problem
@pytest.mark.parametrize("options", EXTREMES)
def test_scores_equal_loops(name: str, options: dict[str, bool]) -> None:
    """Encoder and decoder compute what loops over instances, heads and nodes compute; node features
    that change on the way are added to the keys of every rollout there."""
    env = problem(name)
    instance = draw(env, BATCH, NODES, 3)
    features = env.features(instance)
    _, states = rollout(env, instance, ROLLOUTS, 3)
    policy = small_policy(env, 3, norm="instance", **options)
    with torch.no_grad():
        for state in states[:4]:
            context = env.context(state)
            log_probs, memory = policy.step(policy.encode(features), context)
            assert log_probs.dtype == torch.float32 and memory == ()
            expected = naive.step(policy, features, context)
            torch.testing.assert_close(log_probs, expected, rtol=1e-4, atol=1e-5)


@every_norm
@pytest.mark.parametrize("name", ["tsp", "sdvrp"])
def test_scores_equal_loops_for_every_option(name: str, norm: str) -> None:
    """Every combination of options is what loops compute, batch norm in both of its modes."""
    env = problem(name)
    instance = draw(env, BATCH, NODES, 4)
    features = env.features(instance)
    _, states = rollout(env, instance, 1, 4)
    context = env.context(states[2])
    for seed, options in enumerate(COMBINATIONS):
        policy = small_policy(env, seed, norm=norm, **options).train(seed % 2 == 0)
        with torch.no_grad():
            expected = naive.step(policy, features, context)
            log_probs, _ = policy.step(policy.encode(features), context)
        torch.testing.assert_close(log_probs, expected, rtol=1e-4, atol=1e-5)


@every_problem
def test_masked_nodes_have_no_probability(name: str) -> None:
    """Probabilities are zero where the mask forbids, positive where it allows, and sum to one."""
    env = problem(name)
    instance = draw(env, BATCH, NODES, 6)
    policy = small_policy(env, 6)
    _, states = rollout(env, instance, ROLLOUTS, 6)
    with torch.no_grad():
        embeddings = policy.encode(env.features(instance))
        for state in states:
            context = env.context(state)
            probs = policy.step(embeddings, context)[0].exp()
            assert torch.equal(probs > 0, context.mask)
            torch.testing.assert_close(probs.sum(-1), torch.ones(BATCH, ROLLOUTS))


@every_problem
@every_norm
def test_relabelled_nodes_get_the_same_scores(name: str, norm: str) -> None:
    """With the customers renamed, every node has the score that it had under its old name."""
    env = problem(name)
    instance = draw(env, BATCH, NODES, 7)
    depots = env.visits.num_depots
    shuffle = torch.randperm(NODES - depots, generator=torch.Generator().manual_seed(7))
    order = torch.cat([torch.arange(depots), shuffle + depots])
    new = order.argsort()
    other = relabelled(instance, order)
    policy = small_policy(env, 7, norm=norm, residual=True, distance_bias=True)
    actions, states = rollout(env, instance, ROLLOUTS, 7)
    state = env.reset(other, ROLLOUTS)
    with torch.no_grad():
        here, there = (policy.encode(env.features(i)) for i in (instance, other))
        for step, before in enumerate(states):
            mine, _ = policy.step(there, env.context(state))
            expected, _ = policy.step(here, env.context(before))
            torch.testing.assert_close(mine, expected[..., order], rtol=1e-4, atol=1e-5)
            state = env.step(state, new[actions[..., step]])


@every_problem
@every_norm
def test_batch_of_one_equals_its_row(name: str, norm: str) -> None:
    """An instance alone gets the scores that it gets in a batch; batch norm in evaluation mode."""
    env = problem(name)
    instance = draw(env, BATCH, NODES, 8)
    policy = small_policy(env, 8, norm=norm, residual=True, distance_bias=True).eval()
    with torch.no_grad():
        many = drive(env, policy, instance, Greedy(), 2)
        for b in range(BATCH):
            one = drive(env, policy, instance[b : b + 1], Greedy())
            length = one.actions.shape[-1]
            assert torch.equal(one.actions[0, 0], many.actions[b, 1, :length])
            torch.testing.assert_close(one.cost[0, 0], many.cost[b, 1])
            alone, row = (
                policy.step(policy.encode(env.features(i)), env.context(env.reset(i)))[0]
                for i in (instance[b : b + 1], instance)
            )
            torch.testing.assert_close(alone[0], row[b], rtol=1e-5, atol=1e-5)


@every_problem
def test_replay_sees_what_the_rollout_saw(name: str) -> None:
    """A recorded rollout and the replay of its actions are the same trajectory."""
    env = problem(name)
    instance = draw(env, BATCH, NODES, 9)
    policy = small_policy(env, 9)
    first = env.starts(instance, ROLLOUTS)
    for start, forced in ((None, 0), (first, 1)):
        rng = torch.Generator().manual_seed(9)
        done = drive(env, policy, instance, Sampling(), ROLLOUTS, start, rng, record=True)
        again = replay(env, instance, done.actions, forced)
        assert isinstance(done.trajectory, Trajectory)
        assert torch.equal(done.trajectory.free, again.free)
        for field in Context.__dataclass_fields__:
            mine, theirs = getattr(done.trajectory.context, field), getattr(again.context, field)
            assert (mine is None and theirs is None) or torch.equal(mine, theirs)
        assert bool(again.free[..., 0].any()) == (forced == 0)


def test_wrong_shapes_of_networks_fit_no_problem() -> None:
    """A policy is built from the feature sizes of its problem and from nothing else of it."""
    shapes = {
        name: [
            tuple(p.shape) for p in small_policy(problem(name), vehicle_features=False).parameters()
        ]
        for name in ("tsp", "cvrp", "op")
    }
    assert shapes["cvrp"] == shapes["op"] != shapes["tsp"]
