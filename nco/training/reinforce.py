"""Learning from own solutions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.decoding import Rollouts, Sampling, Search, replay, rollout
from nco.envs import Features, RoutingEnv
from nco.policies import Policy, Trajectory
from nco.training.baselines import Baseline, RolloutMean
from nco.training.module import Interval, RoutingModule
from nco.training.scales import CostScale


@dataclass(frozen=True)
class Sampled:
    """
    Rollouts of a training step, and all that a loss may look at.

    Parameters
    ----------
    instance, features, embeddings
        The instances ``[B]``, how the policy saw them, and its encoding, with gradient.
    rollouts
        Actions and cost.
    log_likelihood
        Of the rollouts' chosen moves, ``[B, R]``, with gradient.
    entropy
        Of a choice, the mean over the choices of each rollout in nats, ``[B, R]``, with gradient;
        None where no weight was given to it.
    """

    instance: TensorDict
    features: Features
    embeddings: Any
    rollouts: Rollouts
    log_likelihood: Tensor
    entropy: Tensor | None = None

    @property
    def cost(self) -> Tensor:
        """``[B, R]``."""
        return self.rollouts.cost


class REINFORCE(RoutingModule):
    """
    Policy gradient with a baseline (Williams 1992; Kool et al. 2019, algorithm 1; POMO 2020).

    Rollouts are sampled without gradients; their log-likelihood is then computed in one
    teacher-forced pass from the same encoding, which has the gradient of back-propagation through
    every decoding step.

    A step has four parts, each of which a subclass may override by itself: `draw` the instances,
    `roll_out`, `advantage`, `loss`.

    Parameters
    ----------
    env, policy, optimizer, lr_scheduler, search, seed, weights, lr_interval
        See `RoutingModule`.
    baseline
        What sampled costs are compared with; the mean over rollouts by default.
    samples
        Sampled rollouts of each instance, when there are no starts.
    starts
        Imposed first moves, one rollout from each; 0 means none, -1 one per customer.
    scale
        What costs are divided by before they are compared, such as the mean of each variant in a
        mixed batch; nothing by default.
    leader
        Weight of the best rollout of each instance, those of the others being 1: above 1 the policy
        learns to have one good rollout among many, not many fair ones (Wang et al. 2024, Leader
        Reward).
    entropy
        Weight of the entropy of the choices, which keeps the policy from settling early. The
        probabilities of every choice are then kept: above 0, a step takes more time and memory.
    """

    epochs: Tensor  # that ended, baseline included

    def __init__(
        self,
        env: RoutingEnv,
        policy: Policy,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        search: Search | None = None,
        seed: int = 1234,
        weights: Path | None = None,
        baseline: Baseline | None = None,
        samples: int = 1,
        starts: int = 0,
        scale: CostScale | None = None,
        leader: float = 1.0,
        entropy: float = 0.0,
        lr_interval: Interval = "epoch",
    ):
        super().__init__(env, policy, optimizer, lr_scheduler, search, seed, weights, lr_interval)
        if samples < 1:
            raise InputError(f"samples: {samples}, expected 1 or more")
        if starts < -1:
            raise InputError(f"starts: {starts}, expected -1 or more")
        if not leader >= 1:
            raise InputError(f"leader: {leader}, expected 1 or more")
        if not entropy >= 0:
            raise InputError(f"entropy: {entropy}, expected 0 or more")
        self.entropy = entropy
        self.baseline = baseline or RolloutMean()
        self.baseline.attach(env, policy)
        self.samples = samples
        self.starts = starts
        self.scale = scale
        self.leader = leader
        self.register_buffer("epochs", torch.tensor(0))

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        instance = self.draw(batch, batch_idx)
        sampled = self.roll_out(instance, batch_idx)
        loss = self.loss(sampled)
        values = {"train/cost": sampled.cost.mean(), "train/loss": loss}
        if sampled.entropy is not None:
            values["train/entropy"] = sampled.entropy.mean()
        self.log_dict(values, prog_bar=True, batch_size=len(sampled.cost))
        return loss

    def draw(self, batch: TensorDict, batch_idx: int) -> TensorDict:
        """The instances ``[B]`` to learn from: those of the batch; others may be their views."""
        return self.split(batch)[0]

    def roll_out(self, instance: TensorDict, batch_idx: int) -> "Sampled":
        """Samples rollouts of instances, and scores them with gradient from the same encoding."""
        features = self.env.features(instance)
        embeddings = self.policy.encode(features)
        first = self._first(instance)
        found = rollout(
            self.env,
            self.policy,
            instance,
            Sampling(),
            self.samples if first is None else first.shape[-1],
            first,
            self.rng(batch_idx),
            embeddings,
            record=True,
        )
        trajectory = found.trajectory
        assert trajectory is not None  # it was asked for
        if not self.entropy:
            likelihood, entropy = self.policy.evaluate(embeddings, trajectory), None
        else:
            if not isinstance(trajectory, Trajectory):  # a fast rollout saw no probabilities
                forced = int(first is not None)
                trajectory = replay(self.env, instance, found.actions, forced)
            likelihood, entropy = scored(self.policy.log_probs(embeddings, trajectory), trajectory)
        return Sampled(instance, features, embeddings, found, likelihood, entropy)

    def advantage(
        self, cost: Tensor, instance: TensorDict, features: Features
    ) -> tuple[Tensor, Tensor | float]:
        """
        By how much each rollout is worse than expected, in units of the scale.

        Parameters
        ----------
        cost
            ``[B, R]``.
        instance, features
            For the baseline.

        Returns
        -------
        tuple
            The advantage ``[B, R]`` without gradient, and the baseline's own loss.
        """
        baseline, extra = self.baseline(cost, instance, features)
        advantage = cost - baseline
        if self.scale is not None:
            advantage = advantage / self.scale(cost, instance)
        if self.leader != 1:
            best = cost.argmin(-1, keepdim=True)
            advantage = advantage.scatter(-1, best, self.leader * advantage.gather(-1, best))
        return advantage, extra

    def loss(self, sampled: "Sampled") -> Tensor:
        """The surrogate whose gradient is the policy gradient, plus the baseline's own loss."""
        advantage, extra = self.advantage(sampled.cost, sampled.instance, sampled.features)
        loss = (advantage * sampled.log_likelihood).mean() + extra
        return loss if sampled.entropy is None else loss - self.entropy * sampled.entropy.mean()

    def on_train_start(self) -> None:
        # A checkpoint of an epoch's last step was written before that epoch's end, and Lightning
        # resumes behind it.
        if int(self.epochs) < self.current_epoch:
            self._end_epoch(self.current_epoch - 1)

    def on_train_epoch_end(self) -> None:
        self.log_dict(self._end_epoch(self.current_epoch), sync_dist=True)

    def _end_epoch(self, epoch: int) -> dict[str, float]:
        self.epochs.fill_(epoch + 1)
        return self.baseline.epoch_end(self.policy, epoch)

    def configure_optimizers(self) -> Any:
        return self._optimizers([p for p in self.parameters() if p.requires_grad])

    def _first(self, instance: TensorDict) -> Tensor | None:
        if self.starts == 0:
            return None
        count = self.starts if self.starts > 0 else self.env.num_customers(instance)
        return self.env.starts(instance, count)


def scored(log_probs: Tensor, trajectory: Trajectory) -> tuple[Tensor, Tensor]:
    """
    Log-likelihood and mean entropy of the free choices of rollouts, each ``[B, R]``.

    Parameters
    ----------
    log_probs
        Of all nodes at every step, ``[B, R, T, N]``; minus infinity where the mask forbids.
    trajectory
        The rollouts.
    """
    free = trajectory.free
    chosen = log_probs.gather(-1, trajectory.actions.unsqueeze(-1)).squeeze(-1)
    possible = log_probs.isfinite()
    finite = torch.where(possible, log_probs, 0)  # before the product: 0 * inf has no gradient
    entropy = -torch.where(possible, finite.exp() * finite, 0).sum(-1)
    choices = free.sum(-1).clamp(min=1)
    return torch.where(free, chosen, 0).sum(-1), torch.where(free, entropy, 0).sum(-1) / choices
