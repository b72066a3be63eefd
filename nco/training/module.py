"""What all Lightning modules of the package share: an environment, a policy and its validation."""

import inspect
from pathlib import Path
from typing import Any, Literal, Self

import lightning as L
import torch
import yaml
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from tensordict import TensorDict
from torch import Tensor, nn

from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.decoding import Search, Single
from nco.envs import RoutingEnv
from nco.hub.describing import describe_policy
from nco.hub.released import load_policy
from nco.hub.weights import (
    DESCRIPTION,
    UNDESCRIBED,
    load_weights,
    policy_weights,
    read_checkpoint,
)
from nco.policies import Policy
from nco.policies.recorded import Recorded

Interval = Literal["epoch", "step"]


class RoutingModule(Recorded, L.LightningModule):
    """
    A policy for an environment, validated by decoding.

    Its checkpoints hold the policy and the environment as data, too, so that `nco export`, `nco
    solve` and the rest take them, by whichever program they were made.

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
        Builds the learning-rate schedule from the optimizer. `ReduceLROnPlateau` is Lightning's,
        which knows what it monitors (``val/cost``, say), and advances after every validation.
    search
        Decoding in validation and test; greedy by default.
    seed
        Seed of all sampling in this module.
    lr_interval
        Whether other schedules advance after every ``epoch`` or every ``step``.
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
        lr_interval: Interval = "epoch",
    ):
        super().__init__()
        if weights is not None:
            load_weights(policy, policy_weights(weights), weights)
        self.env = env
        self.policy = policy
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.lr_interval = lr_interval
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
        try:
            described = describe_policy(self.env, self.policy)
        except InputError as error:  # told to those who want to build it again
            checkpoint[UNDESCRIBED] = str(error)
            return
        described["model"] = {
            "class_path": f"{type(self).__module__}.{type(self).__qualname__}",
            "init_args": self._plain_settings(),
        }
        checkpoint[DESCRIPTION] = yaml.safe_dump(described, sort_keys=False)

    @classmethod
    def load_from_checkpoint(
        cls,
        checkpoint_path: str | Path,
        map_location: Any = None,
        hparams_file: Any = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        **settings: Any,
    ) -> Self:
        """
        The module of a checkpoint, with its environment, its policy and their weights.

        Parameters
        ----------
        checkpoint_path
            A checkpoint of ``nco fit`` or of a `Trainer`. It is read as data.
        map_location
            Device of the module; the CPU by default.
        hparams_file, strict, weights_only
            Without effect: there are no hyper-parameters, and nothing is unpickled.
        settings
            Of the constructor. Numbers, strings and switches are those of the checkpoint by
            default, objects (baseline, search, optimizer) the constructor's defaults; what a given
            baseline has learned is restored.

        Raises
        ------
        InputError
            The file is no such checkpoint, or has no state of a given baseline or scale.
        """
        path = Path(checkpoint_path)
        released = load_policy(path)
        checkpoint = read_checkpoint(path)
        plain = yaml.safe_load(checkpoint.get(DESCRIPTION, "{}")).get("model", {})
        accepted = inspect.signature(cls.__init__).parameters
        kept = {k: v for k, v in plain.get("init_args", {}).items() if k in accepted}
        parts = {"env": released.env, "policy": released.policy}
        module = cls(**(kept | parts | settings))
        state = checkpoint["state_dict"]
        wanted = module.state_dict().keys()
        if absent := sorted(wanted - state.keys()):
            raise InputError(f"{path}: no {absent[0]} in it, expected the state of the settings")
        load_weights(module, {name: state[name] for name in wanted}, path)
        return module.to(map_location or "cpu").train()

    def _plain_settings(self) -> dict[str, Any]:
        """What it was constructed with that is a number, a string or a switch."""
        given = getattr(self, "constructed_with", {})
        return {k: v for k, v in given.items() if isinstance(v, bool | int | float | str)}

    def split(self, batch: TensorDict) -> tuple[TensorDict, Tensor | None]:
        """
        The instances ``[B]`` of a batch, and their solutions ``[B, T]`` if it has them.

        Instances of a data set, each with a batch dimension of its own, come collated to ``[B, 1]``
        and are taken as ``[B]``.

        Raises
        ------
        InputError
            The instances lack what a rule of the environment reads.
        """
        if batch.batch_dims == 2:
            batch = batch.flatten(0, 1)
        solved = "actions" in batch.keys()
        instance, actions = (batch["instance"], batch["actions"]) if solved else (batch, None)
        self.env.require(instance)
        return instance, actions

    def validation_step(self, batch: TensorDict, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._decode("val", batch, batch_idx)

    def test_step(self, batch: TensorDict, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._decode("test", batch, batch_idx)

    def predict_step(self, batch: TensorDict, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Actions ``[B, T]`` of the best rollout of each instance."""
        instance, _ = self.split(batch)
        return self.search(self.env, self.policy, instance, self.rng(batch_idx)).best()[0]

    def _decode(self, stage: str, batch: TensorDict, batch_idx: int) -> None:
        instance, actions = self.split(batch)
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
        schedule = self.lr_scheduler(optimizer)
        settings: dict[str, Any] = {"scheduler": schedule, "interval": self.lr_interval}
        if isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            # What it monitors is logged by validations: between them nothing is new.
            every = self.trainer.check_val_every_n_epoch or 1
            monitor = getattr(schedule, "monitor", "val/cost")
            settings |= {"monitor": monitor, "interval": "epoch", "frequency": every}
        return {"optimizer": optimizer, "lr_scheduler": settings}
