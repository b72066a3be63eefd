"""The precision of training that suits the processor: bfloat16 where it has units for it."""

import os
from typing import Literal

import torch
from lightning.pytorch.accelerators import Accelerator

Precision = Literal["bf16-mixed", "32-true"]

NATIVE_HALF = ("BF16", "FP16", "AMX", "AVX10", "DEFAULT")  # in names of oneDNN's instruction sets


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


def cpu_computes_half() -> bool:
    """Whether this CPU multiplies in bfloat16 by units of its own, and oneDNN may use them."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "DEFAULT"
    if not any(name in limit.upper() for name in NATIVE_HALF):
        return False
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in asked)
