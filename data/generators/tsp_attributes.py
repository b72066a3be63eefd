"""What single tours may have: windows around a tour that keeps them, distances with detours."""

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.generators.attributes import Attribute, Fields, travel_times
from nco.data.generators.base import InstanceGenerator, uniform
from nco.data.instance import from_tensors, num_nodes
from nco.data.metric import pairwise


class TourWindows(Attribute):
    """
    Windows around the arrivals of a random tour, so that there is a solution (Dumas et al. 1995).

    A window begins up to half of ``width`` before the arrival and ends up to half of it after; the
    depot, node 0, is open until the tour is over.

    Raises
    ------
    InputError
        The width is negative.
    """

    def __init__(self, width: float = 2.0):
        if not width >= 0:
            raise InputError(f"width: {width}, expected a number >= 0")
        self.width = width

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        batch, nodes = len(instance), num_nodes(instance)
        order = 1 + uniform(0, 1, (batch, nodes - 1), rng).argsort(-1)
        order = torch.nn.functional.pad(order, (1, 0))
        legs = travel_times(instance)
        rows = torch.arange(batch, device=rng.device).unsqueeze(-1)
        steps = legs[rows, order, order.roll(-1, -1)]
        arrival = torch.zeros_like(steps).scatter(1, order[:, 1:], steps[:, :-1].cumsum(-1))
        early, late = uniform(0, self.width / 2, (2, batch, nodes), rng)
        windows = torch.stack([(arrival - early).clamp_min(0), arrival + late + 1e-5], -1)
        windows[:, 0, 0], windows[:, 0, 1] = 0, steps.sum(-1) + 1e-4
        return {"time_windows": windows}


class Detours(Attribute):
    """
    Explicit distances, each way with a detour of its own, that obey the triangle inequality.

    Parameters
    ----------
    factor
        Range of what a way is longer by, drawn for each direction.
    """

    def __init__(self, factor: tuple[float, float] = (1.0, 1.2)):
        if not 0 < factor[0] <= factor[1]:
            raise InputError(f"factor: {factor}, expected an ascending range of positive numbers")
        self.factor = factor

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        legs = pairwise(instance)
        return {"distance": shortest(legs * uniform(*self.factor, tuple(legs.shape), rng))}


class ATSPGenerator(InstanceGenerator):
    """
    Asymmetric distances: the shortest ways, with all legs uniform in [0, 1) (Kwon et al. 2021).

    Parameters
    ----------
    size
        Number of nodes, or an inclusive range of it.
    """

    def generate(self, batch_size: int, size: int, rng: torch.Generator) -> TensorDict:
        legs = uniform(0, 1, (batch_size, size, size), rng)
        legs.diagonal(dim1=1, dim2=2).zero_()
        return from_tensors(distance=shortest(legs))


def shortest(legs: Tensor) -> Tensor:
    """Lengths of the shortest ways ``[B, N, N]`` over any nodes (Floyd and Warshall)."""
    legs = legs.clone()
    for over in range(legs.shape[1]):
        torch.minimum(legs, legs[:, :, over, None] + legs[:, None, over, :], out=legs)
    return legs
