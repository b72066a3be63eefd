"""An LSTM that computes in bfloat16 only where the processor can."""

from functools import cache

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]


class LSTM(nn.LSTM):
    """
    `torch.nn.LSTM`, in float32 under autocast where oneDNN has no bfloat16 LSTM for the CPU.

    Such are the processors without AVX-512: there the plain module raises.
    """

    def forward(  # type: ignore[override]  # without packed sequences
        self, inputs: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """See `torch.nn.LSTM`."""
        if inputs.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or cpu_has_half():
            found: tuple[Tensor, State] = super().forward(inputs, state)
            return found
        with torch.autocast("cpu", enabled=False):
            whole = None if state is None else (state[0].float(), state[1].float())
            single: tuple[Tensor, State] = super().forward(inputs.float(), whole)
        return single


@cache
def cpu_has_half() -> bool:
    """Whether an LSTM of bfloat16 runs on this CPU: tried with a tiny one."""
    tiny = nn.LSTM(1, 1, device="meta").to_empty(device="cpu")  # draws no weights
    with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16):
        try:
            tiny(torch.zeros(1, 1, 1))
        except RuntimeError:
            return False
    return True
