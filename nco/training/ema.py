"""The moving average of a policy's weights, which is what is validated and kept."""

from typing import Any

import lightning as L
import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError

TRAINED = "trained_weights"  # key of a checkpoint: the weights that the optimizer goes on with


class EMA(L.Callback):
    """
    Exponential moving average of the policy's weights (Polyak and Juditsky 1992).

    Validation decodes with the average, and a checkpoint has it as the policy's weights, so that
    what is exported is what was validated; the weights in training lie beside it for a resumed run.
    After training the policy has the average. Running statistics of a normalisation are not
    averaged.

    Parameters
    ----------
    decay
        Weight of the past in each step, in [0, 1).
    begin
        Steps before the average starts, from the weights that there are by then.

    Raises
    ------
    InputError
        The decay is out of range.
    """

    def __init__(self, decay: float = 0.999, begin: int = 0):
        if not 0 <= decay < 1:
            raise InputError(f"decay: {decay}, expected a value in [0, 1)")
        self.decay = decay
        self.begin = begin
        self.step = -1  # of the latest weights in the average
        self._other: dict[str, Tensor] = {}  # the weights that the policy does not hold now
        self._swapped = False  # whether it holds the average

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._swapped = False
        if self._other:  # of a resumed run
            device = pl_module.device
            self._other = {name: value.to(device) for name, value in self._other.items()}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self._other:
            self._other = {name: p.detach().clone() for name, p in weights(pl_module)}

    @torch.no_grad()
    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: TensorDict,
        batch_idx: int,
    ) -> None:
        if trainer.global_step == self.step:
            return  # gradients are being accumulated
        self.step = trainer.global_step
        decay = self.decay if self.step > self.begin else 0.0
        for name, weight in weights(pl_module):
            self._other[name].lerp_(weight, 1 - decay)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._other and not self._swapped:
            self._swap(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._swapped and trainer.state.fn == "fit":
            self._swap(pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not self._swapped:
            self._swap(pl_module)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        if self._swapped:  # in validation
            self._swap(pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.step = state_dict["step"]

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if not self._other:
            return
        held = {name: checkpoint["state_dict"][f"policy.{name}"] for name in self._other}
        average, trained = (held, self._other) if self._swapped else (self._other, held)
        checkpoint[TRAINED] = dict(trained)
        checkpoint["state_dict"] |= {f"policy.{name}": value for name, value in average.items()}

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn != "fit" or TRAINED not in checkpoint:
            return
        state = checkpoint["state_dict"]  # by now the module's
        self._other = {name: state[f"policy.{name}"].clone() for name in checkpoint[TRAINED]}
        with torch.no_grad():
            for name, weight in weights(pl_module):
                weight.copy_(checkpoint[TRAINED][name])

    @torch.no_grad()
    def _swap(self, pl_module: L.LightningModule) -> None:
        """Exchanges the average and the weights in training."""
        for name, weight in weights(pl_module):
            held = weight.detach().clone()
            weight.copy_(self._other[name])
            self._other[name] = held
        self._swapped = not self._swapped


def weights(pl_module: L.LightningModule) -> list[tuple[str, torch.nn.Parameter]]:
    """The weights of a module's policy, by name."""
    return list(pl_module.policy.named_parameters())  # type: ignore[union-attr]
