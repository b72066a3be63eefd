"""Baselines: averages, the champion's modes, its challenges and its memory."""

from math import sqrt
from pathlib import Path

import lightning as L
import pytest
import torch
from scipy.stats import t as student
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.generators import CVRPGenerator, TSPGenerator
from nco.data.seeding import seeded
from nco.decoding import Greedy, rollout
from nco.envs import RoutingEnv, problem
from nco.policies import AttentionPolicy
from nco.training import (
    REINFORCE,
    Baseline,
    Critic,
    Exponential,
    Generated,
    GreedyRollout,
    NoBaseline,
    RolloutMean,
)
from tests.nco.decoding.memory_policy import History
from tests.policies.small import SMALL, randomise, small_policy

QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}
eval_mode_is_intended = pytest.mark.filterwarnings("ignore:Found .* module:UserWarning")


def call(baseline: Baseline, cost: Tensor, env: RoutingEnv, instance: TensorDict) -> Tensor:
    """The baseline's estimate, which must be without gradient and fit the costs."""
    value, _ = baseline(cost, instance, env.features(instance))
    assert not value.requires_grad
    return value.expand_as(cost)


def prepared(
    warmup_epochs: int = 1, count: int = 8, **settings
) -> tuple[GreedyRollout, RoutingEnv, TensorDict]:
    """A champion on tiny instances, with a batch of them."""
    env, generator = problem("cvrp"), CVRPGenerator((3, 5))
    baseline = GreedyRollout(generator, count, 4, warmup_epochs=warmup_epochs, **settings)
    baseline.attach(env, small_policy(env, 1))
    return baseline, env, generator(3, seeded(0))


def test_exponential_average() -> None:
    """The first mean, then beta of the past and the rest of the present; evaluation leaves it."""
    env, instance = problem("tsp"), TSPGenerator(4)(2, seeded(0))
    baseline = Exponential(beta=0.75)
    first, second = torch.tensor([[1.0, 3], [5, 7]]), torch.tensor([[8.0, 8], [8, 8]])
    assert (call(baseline, first, env, instance) == 4).all()
    assert (call(baseline, second, env, instance) == 5).all()  # 0.75 * 4 + 0.25 * 8
    baseline.eval()
    assert (call(baseline, 100 * second, env, instance) == 5).all()
    restored = Exponential(beta=0.75)
    restored.load_state_dict(baseline.state_dict())
    assert (call(restored.train(), first, env, instance) == 4.75).all()


def test_simple_baselines() -> None:
    """Nothing, and the mean of each instance's own rollouts."""
    env, instance = problem("tsp"), TSPGenerator(4)(2, seeded(0))
    cost = torch.tensor([[1.0, 3], [5, 9]])
    assert (call(NoBaseline(), cost, env, instance) == 0).all()
    assert call(RolloutMean(), cost, env, instance).tolist() == [[2, 2], [7, 7]]


def test_critics_learn_to_estimate_costs() -> None:
    """Trained on its own loss, a critic tells instances of far and near nodes apart."""
    env = problem("tsp")
    locs = TSPGenerator(5)(16, seeded(0))["locs"]
    spread = torch.tensor([0.2, 1.0]).repeat(8)[:, None, None]
    instance = TensorDict({"locs": locs * spread}, batch_size=[16])
    cost = env.cost(instance, torch.arange(5).expand(16, 2, 5))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critic = Critic(hidden=8)
        critic.attach(env, AttentionPolicy(env, **SMALL))
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        value, loss = critic(cost, instance, env.features(instance))
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.3 * float(cost.var())
    assert not value.requires_grad


def test_critics_copy_an_encoder() -> None:
    """A critic has the policy's architecture but not its weights; it refuses policies without an
    encoder, and instance norm, under which the mean over nodes says nothing."""
    env = problem("tsp")
    policy, critic = small_policy(env), Critic()
    with torch.random.fork_rng():
        critic.attach(env, policy)
    mine, theirs = critic.encoder.state_dict(), policy.encoder.state_dict()
    assert mine.keys() == theirs.keys()
    name = "layers.0.attention.qkv.weight"
    assert mine[name].shape == theirs[name].shape and not torch.equal(mine[name], theirs[name])
    with pytest.raises(InputError, match="Critic: History has no encoder"):
        Critic().attach(env, History(4))
    with pytest.raises(InputError, match="ends in instance norm"):
        Critic().attach(env, small_policy(env, norm="instance"))


@pytest.mark.parametrize("epochs", [0, 1, 2, 4, 5])
def test_warm_up_shares(epochs: int) -> None:
    """After k of four warm-up epochs, k/4 of the baseline is the champion's cost and the rest the
    exponential average."""
    baseline, env, instance = prepared(warmup_epochs=4)
    for epoch in range(epochs):
        baseline.epoch_end(baseline.policy, epoch)
    cost = torch.tensor([[3.0, 5.0]] * 3)
    share = min(1, epochs / 4)
    greedy = rollout(env, baseline.policy, instance, Greedy()).cost
    expected = share * greedy.expand_as(cost) + (1 - share) * 4
    torch.testing.assert_close(call(baseline, cost, env, instance), expected)


def constructed(shift: float, noise: float, n: int = 40) -> tuple[Tensor, Tensor]:
    """Costs of a challenger and a champion."""
    rng = torch.Generator().manual_seed(int(1000 * noise))
    champion = 5 + torch.rand(n, generator=rng)
    return champion + shift + noise * torch.randn(n, generator=rng), champion


@pytest.mark.parametrize("noise", [0.1, 1.0])
@pytest.mark.parametrize("shift", [-0.5, -0.2, -0.1, -0.03, 0.0, 0.1, 0.5])
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_replacement_follows_the_paired_t_test(
    monkeypatch: pytest.MonkeyPatch, shift: float, noise: float, alpha: float
) -> None:
    """The challenger takes over exactly if the one-sided paired t-test, written out, is below
    alpha; the champion then has its weights, else its own."""
    baseline, env, _ = prepared(alpha=alpha)
    challenger = small_policy(env, 2)
    costs = dict(zip((id(challenger), id(baseline.policy)), constructed(shift, noise), strict=True))
    monkeypatch.setattr(baseline, "_costs", lambda policy: costs[id(policy)])
    difference = (costs[id(challenger)] - costs[id(baseline.policy)]).double()
    statistic = float(difference.mean()) / (float(difference.std()) / sqrt(len(difference)))
    p = student.cdf(statistic, len(difference) - 1)

    before = {name: value.clone() for name, value in baseline.policy.state_dict().items()}
    logged = baseline.epoch_end(challenger, 0)
    assert logged["baseline/p"] == pytest.approx(p, rel=1e-4)
    assert logged["baseline/replaced"] == float(p < alpha)
    expected = challenger.state_dict() if p < alpha else before
    for name, value in baseline.policy.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_equal_policies_do_not_replace_each_other() -> None:
    """Where every pair of costs is equal there is no test, and the champion stays."""
    baseline, env, _ = prepared()
    assert baseline.epoch_end(small_policy(env, 1), 0)["baseline/replaced"] == 0
    assert int(baseline.draws) == 0


def test_challenge_set_is_drawn_anew_on_replacement_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Champion and challenger meet on the same instances, the same ones every epoch until the
    champion falls; the champion's costs are kept as long as the instances are."""
    baseline, env, _ = prepared(count=10)
    sets: list[list[Tensor]] = []
    draw = baseline.generator.generate

    costs_of = baseline._costs

    def challenge(policy) -> Tensor:
        sets.append([])
        return costs_of(policy)

    def generate(count: int, size: int, rng: torch.Generator) -> TensorDict:
        instance = draw(count, size, rng)
        sets[-1].append(instance["locs"])
        return instance

    monkeypatch.setattr(baseline.generator, "generate", generate)
    monkeypatch.setattr(baseline, "_costs", challenge)

    def same(a: list[Tensor], b: list[Tensor]) -> bool:
        return len(a) == len(b) and all(
            x.shape == y.shape and torch.equal(x, y) for x, y in zip(a, b, strict=True)
        )

    challenger = small_policy(env, 2)
    baseline.alpha = 0.0  # no policy is that much better
    baseline.epoch_end(challenger, 0)
    baseline.epoch_end(challenger, 1)
    assert [len(x) for x in sets[0]] == [4, 4, 2]
    assert len(sets) == 3 and same(sets[0], sets[1]) and same(sets[0], sets[2])
    baseline.alpha = 1.1  # any policy is
    baseline.epoch_end(challenger, 2)
    assert same(sets[0], sets[3]) and int(baseline.draws) == 1
    baseline.alpha = 0.0
    baseline.epoch_end(small_policy(env, 3), 3)
    assert len(sets) == 6 and not same(sets[0], sets[4]) and same(sets[4], sets[5])


def test_costs_are_greedy_costs_in_evaluation_mode() -> None:
    """Challenges decode greedily with the running averages, and give the policy back in the mode
    that it was in."""
    baseline, env, _ = prepared(count=10)
    policy = small_policy(env, 2)
    for training in (True, False):
        policy.train(training)
        before = policy.encoder.layers[0].norm_attention.batch.running_mean.clone()
        costs = baseline._costs(policy)
        assert policy.training is training and all(
            module.training is training for module in policy.modules()
        )
        after = policy.encoder.layers[0].norm_attention.batch.running_mean
        assert torch.equal(before, after)
        rng, expected = seeded(baseline.seed, 0), []
        policy.eval()
        for count in (4, 4, 2):
            instance = baseline.generator(count, rng)
            expected.append(rollout(env, policy, instance, Greedy()).cost[:, 0])
        torch.testing.assert_close(costs, torch.cat(expected))


def test_champions_never_train() -> None:
    """Putting the whole module into train mode leaves the champion in evaluation mode."""
    baseline, env, _ = prepared()
    module = REINFORCE(env, small_policy(env, 1), baseline=baseline)
    for mode in (True, False, True):
        module.train(mode)
        assert all(part.training is mode for part in module.policy.modules())
        assert not any(part.training for part in baseline.policy.modules())


class Watch(L.Callback):
    """Notes modes and running averages during training."""

    def __init__(self) -> None:
        self.means: list[Tensor] = []
        self.champion_means: list[Tensor] = []
        self.replaced: list[float] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        assert all(module.training for module in pl_module.policy.modules())
        assert not any(module.training for module in pl_module.baseline.policy.modules())

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        for means, policy in (
            (self.means, pl_module.policy),
            (self.champion_means, pl_module.baseline.policy),
        ):
            norm = policy.encoder.layers[0].norm_attention.batch
            means.append(norm.running_mean.clone())

    def on_train_epoch_start(self, trainer, pl_module) -> None:
        if "baseline/replaced" in trainer.callback_metrics:
            self.replaced.append(float(trainer.callback_metrics["baseline/replaced"]))


@eval_mode_is_intended
def test_batch_norm_trains_on_after_every_epoch() -> None:
    """Between the challenges the policy is in train mode and its running averages move in every
    epoch, while the champion is in evaluation mode and its own stand still until it is replaced."""
    env, generator = problem("cvrp"), CVRPGenerator(5)
    baseline = GreedyRollout(generator, count=8, warmup_epochs=1, alpha=1e-9)
    module = REINFORCE(env, small_policy(env, 1), baseline=baseline, samples=2)
    watch = Watch()
    data = Generated(generator, batch_size=8, batches=3, val_count=4, val_batch_size=4)
    trainer = L.Trainer(max_epochs=3, callbacks=[watch], enable_checkpointing=False, **QUIET)
    trainer.fit(module, data)
    assert len(watch.means) == 3 and watch.replaced == [0, 0]
    for before, after in zip(watch.means, watch.means[1:], strict=False):
        assert not torch.equal(before, after)
    for mean in watch.champion_means[1:]:
        assert torch.equal(mean, watch.champion_means[0])


@eval_mode_is_intended
def test_champion_survives_a_checkpoint(tmp_path: Path) -> None:
    """Epoch, average, number of replacements and the champion's weights come back from disk."""
    env, generator = problem("cvrp"), CVRPGenerator(5)

    def module(seed: int) -> REINFORCE:
        baseline = GreedyRollout(generator, count=8, warmup_epochs=3, alpha=0.999)
        return REINFORCE(env, small_policy(env, seed), baseline=baseline)

    trained = module(1)
    trainer = L.Trainer(
        max_epochs=2,
        enable_checkpointing=False,
        limit_val_batches=0,
        default_root_dir=tmp_path,
        **QUIET,
    )
    trainer.fit(trained, Generated(generator, batch_size=8, batches=2))
    randomise(trained.baseline.policy, 9)  # nothing that training could have come to
    trained.baseline.draws.fill_(3)
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    fresh = module(2)
    fresh.load_state_dict(torch.load(tmp_path / "x.ckpt", weights_only=True)["state_dict"])
    assert isinstance(fresh.baseline, GreedyRollout)
    assert int(fresh.baseline.epoch) == 2 and int(fresh.baseline.draws) == 3
    assert int(fresh.epochs) == 2
    cost, instance = torch.tensor([[3.0], [4.0]]), generator(2, seeded(0))
    values = [call(m.baseline.eval(), cost, env, instance) for m in (trained, fresh)]
    assert torch.equal(*values) and values[0].isfinite().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Exponential(1.0), "beta: 1.0, expected a value in"),
        (lambda: GreedyRollout(TSPGenerator(3), alpha=0.0), "alpha: 0.0, expected a value in"),
        (lambda: GreedyRollout(TSPGenerator(3), count=1), "count: 1, expected 2 or more"),
    ],
)
def test_unusable_settings_are_refused(make, message: str) -> None:
    """A setting out of range is the user's error and names the range."""
    with pytest.raises(InputError, match=message):
        make()
