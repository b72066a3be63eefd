"""Parts of a training step that a method of one's own replaces, schedules, and averaged weights."""

import math
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.generators import CVRPGenerator
from nco.decoding import dihedral, rollout
from nco.decoding.strategies import Sampling
from nco.envs import Features, problem
from nco.envs.normalisation import coordinates
from nco.hub.released import load_policy
from nco.training import EMA, REINFORCE, NoBaseline, Sampled, WarmupCosine
from tests.envs.random_instances import draw
from tests.nco.training.runs import TINY, fit, metrics, write
from tests.policies.small import small_policy

BATCH, SAMPLES, NODES = 3, 4, 6


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run writes into a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("starts", [0, -1])
@pytest.mark.parametrize("name", ["cvrp", "cvrptw"])
def test_entropy_is_that_of_every_choice(
    name: str, starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a weight the loss is less by weight times the mean entropy of the free choices, met one
    by one in a loop, and the rest of it is the same; so are the gradients."""
    monkeypatch.setattr(REINFORCE, "log_dict", lambda *args, **options: None)
    env = problem(name)
    instance = draw(env, BATCH, NODES, 1)
    losses = {}
    for weight in (0.0, 0.5):
        policy = small_policy(env, 1, norm="instance")
        module = REINFORCE(
            env, policy, baseline=NoBaseline(), samples=SAMPLES, starts=starts, entropy=weight
        )
        losses[weight] = module.train().training_step(instance, 0)
    count = NODES - 1 if starts else SAMPLES
    first = env.starts(instance, count) if starts else None
    actions = rollout(env, policy, instance, Sampling(), count, first, module.rng(0)).actions

    embeddings, state = policy.encode(env.features(instance)), env.reset(instance, count)
    total, choices = torch.zeros(BATCH, count), torch.zeros(BATCH, count)
    for step, action in enumerate(actions.unbind(-1)):
        log_probs, _ = policy.step(embeddings, env.context(state))
        if step > 0 or not starts:
            some = torch.distributions.Categorical(probs=log_probs.exp())
            free = ~env.done(state)
            total = total + some.entropy().where(free, torch.zeros(()))
            choices = choices + free
        state = env.step(state, action)
    expected = (total / choices).mean()
    assert expected > 0.1
    found = losses[0.0] - losses[0.5]
    torch.testing.assert_close(found, 0.5 * expected, rtol=1e-3, atol=1e-4)
    parameters = [p for p in policy.parameters() if p.requires_grad]
    (found,) = torch.autograd.grad(losses[0.5], parameters[0], retain_graph=True)
    assert found.isfinite().all()


class Symmetric(REINFORCE):
    """Draws two views of every instance, as SymNCO does."""

    def draw(self, batch: TensorDict, batch_idx: int) -> TensorDict:
        instance = super().draw(batch, batch_idx)
        views = dihedral(coordinates(instance))[:2]
        return instance.repeat(2).set("view", views.flatten(0, 1))


class Best(REINFORCE):
    """Learns from the best rollout of an instance alone, as PolyNet does."""

    def advantage(
        self, cost: Tensor, instance: TensorDict, features: Features
    ) -> tuple[Tensor, Tensor | float]:
        found, extra = super().advantage(cost, instance, features)
        best = torch.zeros_like(cost).scatter(-1, cost.argmin(-1, keepdim=True), 1.0)
        return found * best, extra


class Preference(REINFORCE):
    """Raises the likelihood of the better of two rollouts (Pan et al. 2025)."""

    def loss(self, sampled: Sampled) -> Tensor:
        better = sampled.cost.unsqueeze(-1) < sampled.cost.unsqueeze(-2)
        difference = sampled.log_likelihood.unsqueeze(-1) - sampled.log_likelihood.unsqueeze(-2)
        return -(better * torch.nn.functional.logsigmoid(difference)).sum() / better.sum()


def test_one_part_is_one_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views, the best of many, and preferences override `draw`, `advantage` or `loss` alone; what
    comes out is what a loop over the same rollouts gives."""
    monkeypatch.setattr(REINFORCE, "log_dict", lambda *args, **options: None)
    env = problem("cvrp")
    instance = draw(env, BATCH, NODES, 2)

    def module(kind: type[REINFORCE]) -> REINFORCE:
        return kind(env, small_policy(env, 1, norm="instance"), samples=SAMPLES, seed=3).train()

    plain = module(REINFORCE).roll_out(instance, 0)
    cost, likelihood = plain.cost.tolist(), plain.log_likelihood.tolist()
    terms = []
    for costs, scores in zip(cost, likelihood, strict=True):
        mean = sum(costs) / SAMPLES
        best = costs.index(min(costs))
        terms.append((costs[best] - mean) * scores[best] / SAMPLES)
    assert float(module(Best).training_step(instance, 0).detach()) == pytest.approx(
        sum(terms) / BATCH, 1e-4
    )

    terms = [
        math.log1p(math.exp(scores[b] - scores[a]))
        for costs, scores in zip(cost, likelihood, strict=True)
        for a in range(SAMPLES)
        for b in range(SAMPLES)
        if costs[a] < costs[b]
    ]
    found = float(module(Preference).training_step(instance, 0).detach())
    assert found == pytest.approx(sum(terms) / len(terms), 1e-4)

    symmetric = module(Symmetric)
    seen = symmetric.roll_out(symmetric.draw(instance, 0), 0)
    assert seen.cost.shape == (2 * BATCH, SAMPLES)
    x, y = coordinates(seen.instance)[:BATCH].unbind(-1)
    assert torch.equal(coordinates(seen.instance)[BATCH:], torch.stack([y, x], -1))
    replayed = env.cost(instance.repeat(2), seen.rollouts.actions)
    torch.testing.assert_close(seen.cost, replayed)


def tiny(**changes: object) -> dict[str, dict[str, object]]:
    """The small run, with other settings of the model."""
    config = yaml.safe_load(TINY)
    config["model"]["init_args"] |= changes
    config["trainer"]["callbacks"] = [
        {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"}
    ]
    return config


def rates(name: str = "tiny") -> list[float]:
    """Learning rates in the order of their logging."""
    rows = metrics(Path("runs", name, "version_0"))
    return [float(row["lr-Adam"]) for row in rows if "lr-Adam" in row]


def test_a_schedule_by_step(tmp_path: Path) -> None:
    """Two steps up and half a cosine down to a tenth, over the nine steps of three epochs."""
    schedule = {
        "class_path": "nco.training.WarmupCosine",
        "init_args": {"steps": 8, "warmup": 2, "floor": 0.1},
    }
    config = tiny(lr_scheduler=schedule, lr_interval="step")
    assert fit("--config", write(tmp_path / "tiny.yaml", config)) == 0
    expected = [1 / 3, 2 / 3]
    expected += [0.1 + 0.9 * (1 + math.cos(math.pi * k / 6)) / 2 for k in range(7)]
    assert rates() == pytest.approx([0.01 * share for share in expected], rel=1e-5)


def test_a_schedule_by_what_validation_finds(tmp_path: Path) -> None:
    """The rate halves after every validation that is no better than the best; with weights that
    hardly move, that is every one after the first."""
    schedule = {
        "class_path": "lightning.pytorch.cli.ReduceLROnPlateau",
        "init_args": {"monitor": "val/cost", "factor": 0.5, "patience": 0},
    }
    config = tiny(lr_scheduler=schedule)
    config["model"]["init_args"]["optimizer"]["init_args"]["lr"] = 1e-6  # type: ignore[index]
    words = ("--trainer.check_val_every_n_epoch", "2", "--trainer.max_epochs", "7")
    assert fit("--config", write(tmp_path / "tiny.yaml", config), *words) == 0
    per_epoch = rates()[:: len(rates()) // 7]
    assert per_epoch[:4] == pytest.approx([1e-6] * 4)  # validated after epochs 2, 4, 6
    assert per_epoch[4:] == pytest.approx([5e-7, 5e-7, 2.5e-7])


@pytest.mark.parametrize(("warmup", "floor"), [(5, 0.0), (-1, 0.0), (0, 2.0)])
def test_unusable_schedules_are_refused(warmup: int, floor: float) -> None:
    """A rise as long as the whole, or a floor above the rate."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    with pytest.raises(InputError, match="expected"):
        WarmupCosine(optimizer, 5, warmup, floor)


class Weights(L.Callback):
    """Notes the policy's weights after every step, and while it is validated."""

    def __init__(self) -> None:
        self.after: list[dict[str, Tensor]] = []
        self.validated: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.after.append(copied(pl_module.policy))

    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        self.validated.append(copied(pl_module.policy))


def copied(policy: torch.nn.Module) -> dict[str, Tensor]:
    """Its weights as they are now."""
    return {name: p.detach().clone() for name, p in policy.named_parameters()}


def test_averaged_weights_are_validated_and_kept() -> None:
    """After each step the average moves a tenth of the way to the weights; validation sees the
    average, the checkpoint has it for the policy's weights, and afterwards the policy has it."""
    from nco.training import Generated

    env = problem("cvrp")
    module = REINFORCE(env, small_policy(env, 1), lambda p: torch.optim.Adam(p, 0.05), samples=3)
    begun, spy = copied(module.policy), Weights()
    data = Generated(CVRPGenerator(5), batch_size=4, batches=3, val_count=4, val_batch_size=4)
    trainer = L.Trainer(
        max_epochs=2,
        callbacks=[EMA(0.9), spy],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, data)
    average, seen = begun, []
    for now in spy.after:
        average = {name: 0.9 * value + 0.1 * now[name] for name, value in average.items()}
        seen.append(average)
    assert len(seen) == 6 and len(spy.validated) == 2
    trainer.save_checkpoint("ema.ckpt")
    checkpoint = torch.load("ema.ckpt", weights_only=True)
    for name, value in average.items():
        for other in (
            spy.validated[-1][name],
            module.policy.get_parameter(name),
            checkpoint["state_dict"][f"policy.{name}"],
            load_policy(Path("ema.ckpt")).policy.get_parameter(name),
        ):
            torch.testing.assert_close(other.detach(), value)
        torch.testing.assert_close(spy.validated[0][name], seen[2][name])
        assert torch.equal(checkpoint["trained_weights"][name], spy.after[-1][name])


def test_an_averaged_run_resumes(tmp_path: Path) -> None:
    """Stopped in mid-epoch it goes on with both sets of weights, to the same end as in one go."""
    config = yaml.safe_load(TINY)
    config["trainer"]["callbacks"] = [
        {"class_path": "nco.training.EMA", "init_args": {"decay": 0.8}},
        {"class_path": "nco.training.Checkpoints"},
    ]
    path = write(tmp_path / "tiny.yaml", config)

    def run(name: str, *words: str) -> dict[str, Tensor]:
        assert fit("--config", path, "--trainer.logger.init_args.name", name, *words) == 0
        return state(name)

    whole = run("whole")
    run("ended", "--trainer.max_steps", "4")
    last = "runs/ended/version_0/checkpoints/last.ckpt"
    resumed = run("resumed", "--ckpt_path", last)
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name
    assert any("trained " in name for name in whole)
    assert any(
        not torch.equal(value, whole[f"trained {name.removeprefix('policy.')}"])
        for name, value in whole.items()
        if f"trained {name.removeprefix('policy.')}" in whole
    )


def state(name: str) -> dict[str, Tensor]:
    """All weights of a run's last checkpoint."""
    found = torch.load(f"runs/{name}/version_0/checkpoints/last.ckpt", weights_only=True)
    trained = {f"trained {key}": value for key, value in found["trained_weights"].items()}
    return found["state_dict"] | trained


def test_a_resumed_validation_decodes_the_average(tmp_path: Path) -> None:
    """What `nco validate` finds with the checkpoint is what training logged."""
    from nco.cli import main

    config = yaml.safe_load(TINY)
    config["trainer"]["callbacks"] = [{"class_path": "nco.training.EMA"}]
    path = write(tmp_path / "tiny.yaml", config)
    assert fit("--config", path, "--trainer.max_epochs", "1") == 0
    last = "runs/tiny/version_0/checkpoints/last.ckpt"
    assert main(["validate", "--config", path, "--ckpt_path", last]) == 0
    logged = [
        float(row["val/cost"])
        for version in (0, 1)
        for row in metrics(Path(f"runs/tiny/version_{version}"))
        if "val/cost" in row
    ]
    assert len(logged) == 2 and logged[0] == pytest.approx(logged[1])


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    """It is a share of the past, below 1."""
    with pytest.raises(InputError, match="decay"):
        EMA(decay)
