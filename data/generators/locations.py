"""Where the nodes lie in the unit square: samplers that generators are built with."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.generators.base import as_range, integers, uniform


class LocationSampler(ABC):
    """Draws coordinates for all nodes of a batch of instances, depots first."""

    @abstractmethod
    def __call__(self, batch_size: int, num_nodes: int, rng: torch.Generator) -> Tensor:
        """Coordinates ``[batch_size, num_nodes, 2]``, float32, on the device of ``rng``."""


class UniformLocations(LocationSampler):
    """Uniform in the unit square (Kool et al. 2019)."""

    def __call__(self, batch_size: int, num_nodes: int, rng: torch.Generator) -> Tensor:
        return uniform(0, 1, (batch_size, num_nodes, 2), rng)


class GaussianMixture(LocationSampler):
    """
    Clusters: a mixture of unit Gaussians, stretched to the unit square (Zhou et al. 2023).

    The centres are uniform in a square of side ``scale``, nodes choose among them evenly, and
    each axis of each instance is then stretched to [0, 1]. The larger the scale, the tighter the
    clusters. Source: "Towards omni-generalizable neural methods for vehicle routing problems",
    ICML 2023, appendix B.

    Parameters
    ----------
    modes
        Number of clusters, or an inclusive range from which each instance draws its own.
    scale
        Side of the square of centres in standard deviations, or a range of it.

    Raises
    ------
    InputError
        A range is empty or negative.
    """

    def __init__(
        self,
        modes: int | tuple[int, int] = (3, 7),
        scale: float | tuple[float, float] = (10.0, 50.0),
    ):
        self.modes, self.scale = as_range(modes), as_range(scale)
        if not 1 <= self.modes[0] <= self.modes[1]:
            raise InputError(f"modes: {modes}, expected a positive number or an ascending range")
        if not 0 <= self.scale[0] <= self.scale[1]:
            raise InputError(f"scale: {scale}, expected a number >= 0 or an ascending range")

    def __call__(self, batch_size: int, num_nodes: int, rng: torch.Generator) -> Tensor:
        modes = integers(*self.modes, (batch_size, 1), rng)
        scale = uniform(*self.scale, (batch_size, 1, 1), rng)
        centres = scale * uniform(0, 1, (batch_size, self.modes[1], 2), rng)
        chosen = (uniform(0, 1, (batch_size, num_nodes), rng) * modes).long()
        centre = centres.gather(1, chosen.unsqueeze(-1).expand(-1, -1, 2))
        shape = (batch_size, num_nodes, 2)
        locs = centre + torch.randn(shape, generator=rng, device=rng.device)
        low, high = locs.amin(1, keepdim=True), locs.amax(1, keepdim=True)
        span = (high - low).clamp_min(torch.finfo(locs.dtype).tiny)  # a single node has none
        return (locs - low) / span
