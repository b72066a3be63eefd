"""Lightning's trainer, with a precision that follows the machine and a checkpoint at every end."""

from typing import Any, Literal

import lightning as L
import torch
from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT
from lightning.pytorch.accelerators import Accelerator, MPSAccelerator
from lightning.pytorch.callbacks import Callback, Checkpoint

from nco.data.errors import InputError
from nco.training.checkpoints import Checkpoints
from nco.training.logger import tell
from nco.training.precision import fitting_precision


def _has_gpu(accelerator: str) -> bool:
    """Whether there is a CUDA device, or for ``gpu`` any other one that Lightning knows."""
    return torch.cuda.is_available() or (accelerator == "gpu" and MPSAccelerator.is_available())


class Trainer(L.Trainer):
    """
    `lightning.Trainer` that takes ``precision="auto"``, too, and keeps `Checkpoints`.

    Parameters
    ----------
    accelerator
        See `lightning.Trainer`.
    precision
        See `lightning.Trainer`; ``auto`` is resolved by `fitting_precision`, and printed.
    callbacks
        See `lightning.Trainer`; without a checkpoint callback among them, `Checkpoints` is added.
    enable_checkpointing
        See `lightning.Trainer`.
    settings
        All others of `lightning.Trainer`.
    """

    def __init__(
        self,
        *,
        accelerator: str | Accelerator = "auto",
        precision: _PRECISION_INPUT | Literal["auto"] | None = None,
        callbacks: list[Callback] | Callback | None = None,
        enable_checkpointing: bool | None = None,
        **settings: Any,
    ):
        if accelerator in ("gpu", "cuda") and not _has_gpu(accelerator):
            raise InputError(
                f"accelerator: {accelerator!r}, but there is no such device: expected cpu or auto"
            )
        asked = precision == "auto"
        if precision == "auto":
            precision = fitting_precision(accelerator)
        given = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
        saving = enable_checkpointing is not False and not settings.get("barebones", False)
        if saving and not any(isinstance(callback, Checkpoint) for callback in given):
            given.append(Checkpoints())
        super().__init__(
            accelerator=accelerator,
            precision=precision,
            callbacks=given,
            enable_checkpointing=enable_checkpointing,
            **settings,
        )
        if asked:
            tell(f"precision: {precision}, which suits this processor")
