"""Learning from own solutions."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.decoding import Sampling, Search, rollout
from nco.envs import Features, RoutingEnv
from nco.policies import Policy
from nco.training.baselines import Baseline, RolloutMean
from nco.training.module import RoutingModule
from nco.training.scales import CostScale


class REINFORCE(RoutingModule):
    """
    Policy gradient with a baseline (Williams 1992; Kool et al. 2019, algorithm 1; POMO 2020).

    Rollouts are sampled without gradients; their log-likelihood is then computed in one
    teacher-forced pass from the same encoding, which has the gradient of back-propagation through
    every decoding step.

    Parameters
    ----------
    env, policy, optimizer, lr_scheduler, search, seed, weights
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
    ):
        super().__init__(env, policy, optimizer, lr_scheduler, search, seed, weights)
        if samples < 1:
            raise InputError(f"samples: {samples}, expected 1 or more")
        if starts < -1:
            raise InputError(f"starts: {starts}, expected -1 or more")
        if not leader >= 1:
            raise InputError(f"leader: {leader}, expected 1 or more")
        self.baseline = baseline or RolloutMean()
        self.baseline.attach(env, policy)
        self.samples = samples
        self.starts = starts
        self.scale = scale
        self.leader = leader
        self.register_buffer("epochs", torch.tensor(0))

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        instance, _ = self.split(batch)
        features = self.env.features(instance)
        embeddings = self.policy.encode(features)
        first = self._first(instance)
        sampled = rollout(
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
        assert sampled.trajectory is not None  # it was asked for
        log_likelihood = self.policy.evaluate(embeddings, sampled.trajectory)
        loss = self.loss(sampled.cost, log_likelihood, instance, features)
        values = {"train/cost": sampled.cost.mean(), "train/loss": loss}
        self.log_dict(values, prog_bar=True, batch_size=len(sampled.cost))
        return loss

    def loss(
        self, cost: Tensor, log_likelihood: Tensor, instance: TensorDict, features: Features
    ) -> Tensor:
        """
        The surrogate whose gradient is the policy gradient, plus the baseline's own loss.

        Parameters
        ----------
        cost, log_likelihood
            ``[B, R]``.
        instance, features
            For the baseline.
        """
        baseline, extra = self.baseline(cost, instance, features)
        advantage = cost - baseline
        if self.scale is not None:
            advantage = advantage / self.scale(cost, instance)
        if self.leader != 1:
            best = cost.argmin(-1, keepdim=True)
            advantage = advantage.scatter(-1, best, self.leader * advantage.gather(-1, best))
        return (advantage * log_likelihood).mean() + extra

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
