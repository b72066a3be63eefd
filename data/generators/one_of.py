"""Batches from several generators in turn, for what cannot be mixed within one batch."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.generators.base import InstanceGenerator


class OneOf(InstanceGenerator):
    """
    Draws each batch from one of several generators, such as of one and of several depots.

    Parameters
    ----------
    generators
        What to choose from.
    weights
        Their relative frequencies; equal by default.

    Raises
    ------
    InputError
        There is no generator, or the weights do not fit.
    """

    def __init__(
        self, generators: Sequence[InstanceGenerator], weights: Sequence[float] | None = None
    ):
        if not generators:
            raise InputError("generators: none, expected at least one")
        weights = [1.0] * len(generators) if weights is None else list(weights)
        if len(weights) != len(generators) or min(weights) < 0 or not sum(weights) > 0:
            raise InputError(f"weights: {weights}, expected {len(generators)} numbers >= 0")
        sizes = [generator.size for generator in generators]
        super().__init__((min(low for low, _ in sizes), max(high for _, high in sizes)))
        self.generators = list(generators)
        self.weights = weights

    def __call__(
        self,
        batch_size: int,
        rng: torch.Generator,
        device: torch.device | str | None = None,
    ) -> TensorDict:
        weights = torch.tensor(self.weights, device=rng.device)
        chosen = int(weights.multinomial(1, generator=rng))
        return self.generators[chosen](batch_size, rng, device)

    def generate(self, batch_size: int, size: int, rng: torch.Generator) -> TensorDict:
        raise NotImplementedError("each generator draws its own size")
