"""The precision of training that suits the processor: bfloat16 where it has units for it."""

from typing import Literal

import torch
from lightning.pytorch.accelerators import Accelerator

from nco.policies.precision import cpu_computes_half

Precision = Literal["bf16-mixed", "32-true"]


def fitting_precision(accelerator: str | Accelerator = "auto") -> Precision:
    """
    What ``precision: auto`` means here.

    Parameters
    ----------
    accelerator
        As Lightning's ``Trainer`` takes it.

    Returns
    -------
    str
        ``bf16-mixed`` on a CUDA device with bfloat16 units and on a CPU that has them (AMX, or
        AVX-512 with BF16); ``32-true`` elsewhere, where bfloat16 is emulated and slower.
    """
    if not isinstance(accelerator, str):
        accelerator = getattr(accelerator, "name", lambda: "")()
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        half = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        half = accelerator in ("auto", "cpu") and cpu_computes_half()
    return "bf16-mixed" if half else "32-true"
