"""What costs are divided by, so that variants with long and short routes weigh the same."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from nco.data.errors import InputError
from nco.data.instance import SCHEMA, attributes_where
from nco.data.neutral import is_neutral


class CostScale(nn.Module):
    """A unit of cost for each instance; its state is in buffers, so that checkpoints resume it."""

    @abstractmethod
    def forward(self, cost: Tensor, instance: TensorDict) -> Tensor:
        """The positive unit ``[B, 1]`` of costs ``[B, R]``, without gradient."""


class VariantMean(CostScale):
    """
    The moving average of the costs of each variant (Berto et al. 2025, RouteFinder, section 4.4).

    The variant is read from the instance: which of the attributes differ from their neutral values.
    Each instance counts for the variant it is of, however a batch mixes them.

    Parameters
    ----------
    attributes
        Which attributes tell variants apart; by default those of `Field.variant`.
    weight
        Of the newest batch in the average, in (0, 1].

    Raises
    ------
    InputError
        An attribute is unknown or has no neutral value, or the weight is out of range.
    """

    mean: Tensor

    def __init__(self, attributes: Sequence[str] | None = None, weight: float = 0.25):
        super().__init__()
        if attributes is None:
            attributes = attributes_where(lambda field: field.variant)
        for name in attributes:
            if name not in SCHEMA or SCHEMA[name].neutral is None:
                raise InputError(f"attributes: {name!r}, expected ones with a neutral value")
        if not 0 < weight <= 1:
            raise InputError(f"weight: {weight}, expected a number in (0, 1]")
        self.attributes = tuple(attributes)
        self.weight = weight
        self.register_buffer("mean", torch.full((2 ** len(self.attributes),), torch.nan))

    def forward(self, cost: Tensor, instance: TensorDict) -> Tensor:
        code = variant_codes(instance, self.attributes)
        if self.training:
            costs = cost.mean(-1).to(self.mean.dtype)
            total = torch.zeros_like(self.mean).index_add(0, code, costs)
            count = torch.zeros_like(self.mean).index_add(0, code, torch.ones_like(costs))
            batch = total / count  # nan where the batch has none
            moved = torch.lerp(self.mean, batch, self.weight)
            moved = torch.where(self.mean.isnan(), batch, moved)
            self.mean.copy_(torch.where(count > 0, moved, self.mean))
        known = self.mean[code].unsqueeze(-1).abs()
        # Nothing is known of a variant only before training, and then nothing is scaled.
        return torch.where(known > 0, known, 1.0).to(cost.dtype)


class OwnMean(CostScale):
    """
    The mean cost of the instance's own rollouts: batches may mix sizes, units and layouts.

    An instance whose rollouts cost nothing on average is left as it is.
    """

    def forward(self, cost: Tensor, instance: TensorDict) -> Tensor:
        mean = cost.mean(-1, keepdim=True).abs()
        return torch.where(mean > 0, mean, 1.0).to(cost.dtype)


def variant_codes(instance: TensorDict, attributes: Sequence[str]) -> Tensor:
    """Variants ``[B]`` as binary numbers: bit k says whether attribute k is not neutral."""
    code = torch.zeros(len(instance), dtype=torch.long, device=instance.device)
    for bit, name in enumerate(attributes):
        code = code + ((~is_neutral(instance, name)).long() << bit)
    return code
