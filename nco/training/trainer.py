"""Lightning's trainer, with a precision that follows the machine."""

from typing import Any, Literal

import lightning as L
from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.utilities import rank_zero_only

from nco.training.precision import fitting_precision


class Trainer(L.Trainer):
    """
    `lightning.Trainer` that takes ``precision="auto"``, too.

    Parameters
    ----------
    accelerator
        See `lightning.Trainer`.
    precision
        See `lightning.Trainer`; ``auto`` is resolved by `fitting_precision`, and printed.
    settings
        All others of `lightning.Trainer`.
    """

    def __init__(
        self,
        *,
        accelerator: str | Accelerator = "auto",
        precision: _PRECISION_INPUT | Literal["auto"] | None = None,
        **settings: Any,
    ):
        asked = precision == "auto"
        if precision == "auto":
            precision = fitting_precision(accelerator)
        super().__init__(accelerator=accelerator, precision=precision, **settings)
        if asked:
            tell(f"precision: {precision}, which suits this processor")


@rank_zero_only
def tell(line: str) -> None:
    """Prints a line about the run, once however many processes there are."""
    print(line, flush=True)
