"""What all Lightning modules of the package share: an environment, a policy and its validation."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from tensordict import TensorDict
from torch import Tensor, nn

from nco.data.seeding import seeded
from nco.decoding import Search, Single
from nco.envs import RoutingEnv
from nco.hub.weights import load_weights, policy_weights
from nco.policies import Policy


class RoutingModule(L.LightningModule):
    """
    A policy for an environment, validated by decoding.

    Batches are instances ``[B]``; those of solved instances hold ``instance`` and ``actions [B,
    T]``, and then the gap to their cost is logged beside the cost.

    Parameters
    ----------
    env
        Problem to train on.
    policy
        Network to train.
    optimizer
        Builds the optimizer from the parameters.
    lr_scheduler
        Builds the learning-rate schedule from the optimizer, advanced after every epoch.
    search
        Decoding in validation and test; greedy by default.
    seed
        Seed of all sampling in this module.
    weights
        Checkpoint or released folder whose policy this one starts from (fine-tuning; to continue a
        run with its optimizer and schedule, give ``--ckpt_path`` to the command instead).
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
    ):
        super().__init__()
        if weights is not None:
            load_weights(policy, policy_weights(weights), weights)
        self.env = env
        self.policy = policy
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.search = search or Single()
        self.seed = seed

    def rng(self, batch_idx: int) -> torch.Generator:
        """A generator for this rank and batch: a resumed run draws what it would have drawn."""
        # The batch too: with accumulated gradients, several of them are one step.
        keys = (self.seed, self.global_rank, self.global_step, batch_idx)
        return seeded(*keys, device=self.device)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Which one `auto` was; the configuration says what was asked for.
        checkpoint["precision"] = self.trainer.precision

    def validation_step(self, batch: TensorDict, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._decode("val", batch, batch_idx)

    def test_step(self, batch: TensorDict, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._decode("test", batch, batch_idx)

    def predict_step(self, batch: TensorDict, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Actions ``[B, T]`` of the best rollout of each instance."""
        instance, _ = split(batch)
        return self.search(self.env, self.policy, instance, self.rng(batch_idx)).best()[0]

    def _decode(self, stage: str, batch: TensorDict, batch_idx: int) -> None:
        instance, actions = split(batch)
        cost = self.search(self.env, self.policy, instance, self.rng(batch_idx)).best()[1]
        values = {f"{stage}/cost": cost.mean()}
        if actions is not None:
            reference = self.env.cost(instance, actions.unsqueeze(1)).squeeze(1)
            values[f"{stage}/gap"] = 100 * (cost / reference - 1).mean()
        self.log_dict(values, prog_bar=True, batch_size=len(cost), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """One optimizer, and the schedule if there is one."""
        return self._optimizers(list(self.policy.parameters()))

    def _optimizers(self, parameters: list[nn.Parameter]) -> Any:
        optimizer = self.optimizer(parameters)
        if self.lr_scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self.lr_scheduler(optimizer)}


def split(batch: TensorDict) -> tuple[TensorDict, Tensor | None]:
    """Instances, and their solutions if the batch has them."""
    if "actions" in batch.keys():
        return batch["instance"], batch["actions"]
    return batch, None
