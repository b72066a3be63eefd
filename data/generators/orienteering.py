"""The orienteering instances of the Attention Model (Kool et al. 2019, appendix D)."""

from typing import Literal, get_args

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.generators.base import InstanceGenerator, integers
from nco.data.generators.locations import LocationSampler, UniformLocations
from nco.data.instance import from_tensors

PrizeType = Literal[
    "const",  # 1
    "unif",  # uniform in 0.01, 0.02, ..., 1
    "dist",  # in proportion to the distance from the depot, the farthest 1, rounded down to 0.01
]
PRIZE_TYPES: tuple[PrizeType, ...] = get_args(PrizeType)
HALF_TOUR = {20: 2.0, 50: 3.0, 100: 4.0}


def half_tour(size: int) -> float:
    """
    Roughly half of an optimal tour through ``size`` uniform points in the unit square.

    The published values at 20, 50 and 100; between them linear in the square root of the size,
    outside in proportion to it.
    """
    (small, low), *_, (large, high) = HALF_TOUR.items()
    if size <= small:
        return low * (size / small) ** 0.5
    if size >= large:
        return high * (size / large) ** 0.5
    left = max(known for known in HALF_TOUR if known <= size)
    right = min(known for known in HALF_TOUR if known > size)
    share = (size**0.5 - left**0.5) / (right**0.5 - left**0.5)
    return HALF_TOUR[left] + share * (HALF_TOUR[right] - HALF_TOUR[left])


class OPGenerator(InstanceGenerator):
    """
    Orienteering instances with the prizes of Fischetti et al. (1998).

    Node 0 is the depot, without a prize.

    Parameters
    ----------
    size
        Number of customers, or an inclusive range of it.
    locations
        Where depot and customers lie; uniform in the unit square by default.
    prize
        One of `PRIZE_TYPES`; ``dist`` makes the hardest instances.
    distance_limit
        Of the tour; by default `half_tour` of the number of customers, which lets about half of
        them be visited.

    Raises
    ------
    InputError
        An option is unknown or negative.
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 50,
        locations: LocationSampler | None = None,
        prize: PrizeType = "dist",
        distance_limit: float | None = None,
    ):
        super().__init__(size)
        if prize not in PRIZE_TYPES:
            raise InputError(f"prize: {prize!r}, expected one of {', '.join(PRIZE_TYPES)}")
        if distance_limit is not None and not distance_limit >= 0:
            raise InputError(f"distance_limit: {distance_limit}, expected a number >= 0")
        self.locations = locations or UniformLocations()
        self.prize = prize
        self.distance_limit = distance_limit

    def generate(self, batch_size: int, size: int, rng: torch.Generator) -> TensorDict:
        locs = self.locations(batch_size, size + 1, rng)
        prize = draw_prizes(locs, self.prize, rng)
        limit = half_tour(size) if self.distance_limit is None else self.distance_limit
        return from_tensors(
            locs=locs, prize=prize, distance_limit=locs.new_full((batch_size,), limit)
        )


def draw_prizes(locs: Tensor, kind: PrizeType, rng: torch.Generator) -> Tensor:
    """Prizes ``[B, N]`` of nodes at ``locs [B, N, 2]``; 0 at the depot, node 0."""
    if kind == "const":
        prize = torch.ones_like(locs[..., 0])
    elif kind == "unif":
        prize = integers(1, 100, tuple(locs.shape[:2]), rng) / 100
    else:
        distance = (locs - locs[:, :1]).norm(dim=-1)
        farthest = distance.amax(-1, keepdim=True).clamp_min(torch.finfo(locs.dtype).tiny)
        prize = (1 + (distance / farthest * 99).long()) / 100
    prize[:, 0] = 0
    return prize.to(locs.dtype)
