"""Learning from given solutions."""

from pathlib import Path

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.decoding import Search, dihedral, replay
from nco.envs import RoutingEnv
from nco.envs.normalisation import coordinates
from nco.envs.state import one_hot
from nco.envs.symmetry import answers, shuffled
from nco.policies import Policy
from nco.training.module import Interval, RoutingModule


class Imitation(RoutingModule):
    """
    Cross-entropy along known solutions, all steps in one teacher-forced pass.

    Every instance is seen under a random symmetry of the square and its solution driven in
    several random ways (order and direction of routes, starting point), which share one encoding.
    Where several nodes would continue the same solution, the target is their summed probability.
    What is free is found for each instance of a mixed batch: see `nco.envs.symmetry`.

    Parameters
    ----------
    env, policy, optimizer, lr_scheduler, search, seed, weights, lr_interval
        See `RoutingModule`.
    rollouts
        Ways in which each solution is driven.
    symmetric
        Whether views are free and the given way is one of several: not so with asymmetric
        distances.
    """

    def __init__(
        self,
        env: RoutingEnv,
        policy: Policy,
        optimizer: OptimizerCallable = torch.optim.Adam,
        lr_scheduler: LRSchedulerCallable | None = None,
        search: Search | None = None,
        seed: int = 1234,
        weights: Path | None = None,
        rollouts: int = 4,
        symmetric: bool = True,
        lr_interval: Interval = "epoch",
    ):
        super().__init__(env, policy, optimizer, lr_scheduler, search, seed, weights, lr_interval)
        if rollouts < 1:
            raise InputError(f"rollouts: {rollouts}, expected 1 or more")
        self.rollouts = rollouts
        self.symmetric = symmetric

    def training_step(self, batch: TensorDict, batch_idx: int) -> Tensor:
        instance, actions = self.split(batch)
        if actions is None:
            raise InputError("the data holds no solutions, expected nco.training.Solved or alike")
        rng = self.rng(batch_idx)
        driven = actions.unsqueeze(1).expand(-1, self.rollouts, -1)
        if self.symmetric:
            instance = random_view(instance, rng)
            driven = shuffled(self.env, instance, driven, rng)
        loss = self.loss(instance, driven)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(actions))
        return loss

    def loss(self, instance: TensorDict, actions: Tensor) -> Tensor:
        """Mean over all free steps of minus log the probability of a right node; a scalar."""
        features = self.env.features(instance)
        trajectory = replay(self.env, instance, actions)
        scores = self.policy.log_probs(self.policy.encode(features), trajectory)
        if self.symmetric:
            right = answers(self.env, instance, actions)
        else:
            right = one_hot(actions, scores.shape[-1])
        hit = scores.masked_fill(~right, float("-inf")).logsumexp(-1)
        return -torch.where(trajectory.free, hit, 0).sum() / trajectory.free.sum()


def random_view(instance: TensorDict, rng: torch.Generator) -> TensorDict:
    """Each instance under a symmetry of the square drawn at random."""
    views = dihedral(coordinates(instance))
    batch = torch.arange(views.shape[1], device=views.device)
    pick = torch.randint(8, batch.shape, generator=rng, device=views.device)
    return instance.copy().set("view", views[pick, batch])
