"""How the next node is picked from log-probabilities. Strategies know nothing of networks."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.native import is_exactly


class Strategy(ABC):
    """Picks one node for each rollout."""

    @property
    def plain_temperature(self) -> float | None:
        """Of a draw from all nodes; 0 takes the most probable one; None: it is something else."""
        return None

    @abstractmethod
    def __call__(self, log_probs: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """
        Picks from ``log_probs [B, R, N]``.

        Returns
        -------
        Tensor
            Nodes ``[B, R]``, never one of probability zero.
        """


@dataclass(frozen=True)
class Greedy(Strategy):
    """The most probable node."""

    @property
    def plain_temperature(self) -> float | None:
        return 0.0 if is_exactly(self, Greedy) else None

    def __call__(self, log_probs: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return log_probs.max(-1).indices  # several times faster than argmax on a CPU


@dataclass(frozen=True)
class Sampling(Strategy):
    """
    A node drawn from the distribution.

    Parameters
    ----------
    temperature
        Divides the log-probabilities; above 1 is more random.
    top_k
        Draws from the k most probable nodes only; 0 means all.
    top_p
        Draws from the smallest set of most probable nodes that holds this probability (nucleus
        sampling, Holtzman et al. 2020); 1 means all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise InputError(f"temperature: {self.temperature}, expected more than 0")
        if self.top_k < 0:
            raise InputError(f"top_k: {self.top_k}, expected 0 or more")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p: {self.top_p}, expected a value in (0, 1]")

    @property
    def plain_temperature(self) -> float | None:
        simple = self.top_k == 0 and self.top_p == 1 and is_exactly(self, Sampling)
        return self.temperature if simple else None

    def __call__(self, log_probs: Tensor, rng: torch.Generator | None = None) -> Tensor:
        # Softmax, though they are normalised: the exponential of minus infinity is slow on CPUs.
        probs = (log_probs if self.temperature == 1 else log_probs / self.temperature).softmax(-1)
        if self.top_k and self.top_k < probs.shape[-1]:
            kept = probs.topk(self.top_k, dim=-1)  # exactly k, also where some are equal
            probs = torch.zeros_like(probs).scatter(-1, kept.indices, kept.values)
        if self.top_p < 1:
            ordered, order = probs.sort(dim=-1, descending=True)
            before = ordered.cumsum(-1) - ordered
            outside = torch.zeros_like(probs, dtype=torch.bool).scatter(
                -1, order, before >= self.top_p * ordered.sum(-1, keepdim=True)
            )
            probs = torch.where(outside, 0, probs)
        return _inverse_cumulative(probs, rng)


def _inverse_cumulative(weights: Tensor, rng: torch.Generator | None) -> Tensor:
    """
    One uniform number a row, looked up in the cumulative sum of the weights ``[..., N]``.

    The first index whose sum exceeds the draw has a positive weight, since a zero weight adds
    nothing to the sum.
    """
    cumulative = weights.cumsum(-1)
    total = cumulative[..., -1:]
    draw = torch.rand(total.shape, generator=rng, device=weights.device, dtype=weights.dtype)
    # Rounding may lift draw * total up to the total, past the last node: stay just below it.
    threshold = torch.minimum(draw * total, total * (1 - 2 * torch.finfo(weights.dtype).eps))
    found = torch.searchsorted(cumulative, threshold, right=True).squeeze(-1)
    return found.clamp_max(weights.shape[-1] - 1)  # NaN is past the last node, too
