"""REINFORCE: loss and gradient against sums over single rollouts."""

from collections.abc import Callable, Sequence

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.generators import CVRPGenerator
from nco.decoding import Rollouts, Sampling, rollout
from nco.envs import RoutingEnv, problem
from nco.policies import Policy
from nco.training import (
    REINFORCE,
    Baseline,
    Critic,
    Exponential,
    GreedyRollout,
    NoBaseline,
    OwnMean,
    RolloutMean,
    Sampled,
)
from tests.envs.random_instances import draw
from tests.envs.test_problems import loop_distance
from tests.policies.small import randomise, small_policy
from tests.policies.test_attention import stepwise

BATCH, SAMPLES, NODES = 3, 4, 6
Costs = list[list[float]]


@pytest.fixture(autouse=True)
def no_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a training step run without a trainer to log to."""
    monkeypatch.setattr(REINFORCE, "log_dict", lambda *args, **options: None)


def greedy_cost(env: RoutingEnv, policy: Policy, instance: TensorDict) -> float:
    """Cost of following the most probable node, one instance."""
    embeddings, state, actions = policy.encode(env.features(instance)), env.reset(instance), []
    while not env.done(state):
        scores, _ = policy.step(embeddings, env.context(state))
        actions.append(int(scores.argmax()))
        state = env.step(state, torch.tensor([[actions[-1]]]))
    return loop_distance(instance, env.visits.routes(instance, actions))


def zero(module: REINFORCE, instance: TensorDict, costs: Costs) -> tuple[list[float], Tensor]:
    return [0.0] * BATCH, torch.tensor(0.0)


def batch_mean(module: REINFORCE, instance: TensorDict, costs: Costs) -> tuple[list[float], Tensor]:
    return [sum(map(sum, costs)) / sum(map(len, costs))] * BATCH, torch.tensor(0.0)


def own_mean(module: REINFORCE, instance: TensorDict, costs: Costs) -> tuple[list[float], Tensor]:
    return [sum(row) / len(row) for row in costs], torch.tensor(0.0)


def champion(module: REINFORCE, instance: TensorDict, costs: Costs) -> tuple[list[float], Tensor]:
    assert isinstance(module.baseline, GreedyRollout)
    policy = module.baseline.policy
    return [
        greedy_cost(module.env, policy, instance[b : b + 1]) for b in range(BATCH)
    ], torch.tensor(0.0)


def critic(module: REINFORCE, instance: TensorDict, costs: Costs) -> tuple[list[float], Tensor]:
    assert isinstance(module.baseline, Critic)
    nodes = module.baseline.encoder(module.env.features(instance))
    values = [module.baseline.head(h.sum(0) / NODES).squeeze() for h in nodes]
    errors = [(v - c) ** 2 for v, row in zip(values, costs, strict=True) for c in row]
    return [float(v.detach()) for v in values], torch.stack(errors).mean()


Oracle = Callable[[REINFORCE, TensorDict, Costs], tuple[Sequence[float], Tensor]]
BASELINES: list[tuple[Callable[[], Baseline], Oracle]] = [
    (NoBaseline, zero),
    (Exponential, batch_mean),  # the first batch is all of the average
    (RolloutMean, own_mean),
    (lambda: Critic(5), critic),
    (lambda: GreedyRollout(CVRPGenerator(5), count=2, warmup_epochs=0), champion),
]
NAMES = ["none", "exponential", "mean", "critic", "greedy"]


@pytest.mark.parametrize(("make", "oracle"), BASELINES, ids=NAMES)
@pytest.mark.parametrize("starts", [0, -1, 2])
@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_loss_and_gradient_equal_a_plain_loop(
    make: Callable[[], Baseline], oracle: Oracle, starts: int, norm: str
) -> None:
    """The loss is the mean of (cost - baseline) times the summed log-probabilities of the sampled
    moves, imposed first moves left out; its gradient is back-propagation through every step."""
    env = problem("cvrp")
    instance = draw(env, BATCH, NODES, 1)
    if oracle is critic and norm == "instance":
        norm = "layer"  # see Critic
    policy = small_policy(env, 1, norm=norm)
    module = REINFORCE(env, policy, baseline=make(), samples=SAMPLES, starts=starts, seed=5)
    randomise(policy, 2)  # the baseline policy stays what it was
    module.train()
    count = {0: SAMPLES, -1: NODES - 1, 2: 2}[starts]
    first = None if starts == 0 else env.starts(instance, count)
    actions = rollout(env, policy, instance, Sampling(), count, first, module.rng(0)).actions

    costs = [
        [loop_distance(one, env.visits.routes(one, actions[b, r].tolist())) for r in range(count)]
        for b in range(BATCH)
        for one in [instance[b : b + 1]]
    ]
    with torch.no_grad() if oracle is not critic else torch.enable_grad():
        values, extra = oracle(module, instance, costs)
    likelihood = stepwise(policy, env, instance, actions, forced=int(starts != 0))
    terms = [
        (costs[b][r] - values[b]) * likelihood[b, r] for b in range(BATCH) for r in range(count)
    ]
    expected = torch.stack(terms).mean() + extra
    parameters = [p for p in module.parameters() if p.requires_grad]
    expected_gradient = torch.autograd.grad(expected, parameters, materialize_grads=True)

    loss = module.training_step(instance, 0)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)
    gradient = torch.autograd.grad(loss, parameters, materialize_grads=True)
    largest = max(float(g.abs().max()) for g in expected_gradient)
    assert largest > 0.01
    for mine, theirs in zip(gradient, expected_gradient, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4 * largest)


@pytest.mark.parametrize("leader", [1.0, 4.0])
def test_the_best_rollout_weighs_more(leader: float) -> None:
    """The gradient with respect to a log-likelihood is the relative advantage, that of the best
    rollout of each instance times the weight."""
    env = problem("cvrp")
    module = REINFORCE(env, small_policy(env, 1), scale=OwnMean(), samples=3, leader=leader)
    instance = draw(env, 2, NODES, 1)
    cost = torch.tensor([[1.0, 2.0, 6.0], [8.0, 4.0, 6.0]])
    likelihood = torch.zeros(2, 3, requires_grad=True)
    rollouts = Rollouts(torch.zeros(2, 3, 1, dtype=torch.long), cost)
    module.loss(Sampled(instance, env.features(instance), None, rollouts, likelihood)).backward()
    expected = [[-2 / 3 * leader, -1 / 3, 3 / 3], [2 / 6, -2 / 6 * leader, 0.0]]
    torch.testing.assert_close(likelihood.grad, torch.tensor(expected) / 6)


def test_first_moves_of_multi_start_are_not_learned() -> None:
    """What is imposed has no part in the loss: a single step after it is all that counts."""
    env = problem("tsp")
    instance = draw(env, 2, 3, 0)
    policy = small_policy(env, 0)
    module = REINFORCE(env, policy, baseline=NoBaseline(), starts=-1)
    first = env.starts(instance, 3)
    done = rollout(env, policy, instance, Sampling(), 3, first, module.rng(0), record=True)
    assert done.trajectory is not None
    assert done.trajectory.free.tolist() == [[[False, True, True]] * 3] * 2
    embeddings = policy.encode(env.features(instance))
    scores = policy.log_probs(embeddings, done.trajectory)
    second = scores[:, :, 1].gather(-1, done.actions[:, :, 1:2]).squeeze(-1)
    expected = (done.cost * second).mean()  # the third move is the only one left
    torch.testing.assert_close(module.training_step(instance, 0), expected)


def test_sampling_follows_from_seed_rank_step_and_batch() -> None:
    """Two batches of one step (accumulated gradients) and two steps draw different numbers, and a
    second module of the same seed the same ones."""
    env = problem("tsp")
    modules = [
        REINFORCE(env, small_policy(env), baseline=NoBaseline(), seed=seed) for seed in (3, 3, 4)
    ]
    draws = [torch.rand(8, generator=m.rng(k)) for m in modules for k in (0, 1)]
    assert torch.equal(draws[0], draws[2]) and torch.equal(draws[1], draws[3])
    assert len({tuple(d.tolist()) for d in draws}) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, "samples: 0, expected 1 or more"),
        ({"starts": -2}, "starts: -2, expected -1 or more"),
        ({"leader": 0.5}, "leader: 0.5, expected 1 or more"),
    ],
)
def test_unusable_settings_are_refused(settings: dict[str, float], message: str) -> None:
    """A setting out of range is the user's error and names the range."""
    env = problem("tsp")
    with pytest.raises(InputError, match=message):
        REINFORCE(env, small_policy(env), **settings)


def test_one_rollout_is_no_mean() -> None:
    """A single rollout compared with its own mean would learn nothing: it is refused."""
    env = problem("tsp")
    module = REINFORCE(env, small_policy(env))
    with pytest.raises(InputError, match="1 rollout, expected 2 or more: set samples or starts"):
        module.training_step(draw(env, 2, 5, 0), 0)


@pytest.mark.parametrize("make", [make for make, _ in BASELINES], ids=NAMES)
def test_bfloat16_reaches_every_parameter(make: Callable[[], Baseline]) -> None:
    """Under autocast the loss is finite and every parameter that learns in float32 learns: casts
    made during the rollout, without gradient, are not used again."""
    env = problem("cvrp")
    instance = draw(env, 8, NODES, 4)
    gradients = []
    for enabled in (False, True):
        policy = small_policy(env, 4, norm="layer", distance_bias=True)
        module = REINFORCE(env, policy, baseline=make(), samples=SAMPLES).train()
        if isinstance(module.baseline, Critic):
            randomise(module.baseline, 5)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = module.training_step(instance, 0)
        assert loss.dtype == torch.float32 and loss.isfinite()
        loss.backward()
        gradients.append({n: p.grad for n, p in module.named_parameters() if p.requires_grad})
    for name, exact in gradients[0].items():
        found = gradients[1][name]
        assert exact is not None and found is not None, name
        assert (exact.norm() > 0) == (found.norm() > 0), name
