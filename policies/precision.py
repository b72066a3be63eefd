"""Which devices compute in bfloat16 by units of their own."""

import os

import torch

NATIVE_HALF = ("BF16", "FP16", "AMX", "AVX10", "DEFAULT")  # in names of oneDNN's instruction sets


def cpu_computes_half() -> bool:
    """Whether this CPU multiplies in bfloat16 by units of its own, and oneDNN may use them."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "DEFAULT"
    if not any(name in limit.upper() for name in NATIVE_HALF):
        return False
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in asked)


def computes_half(device: torch.device | str) -> bool:
    """Whether a device has units for bfloat16, so that it is no slower there."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return kind == "cpu" and cpu_computes_half()
