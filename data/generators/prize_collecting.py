"""The prize-collecting instances of the Attention Model (Kool et al. 2019, appendices E and F)."""

import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.generators.base import InstanceGenerator, uniform
from nco.data.generators.locations import LocationSampler, UniformLocations
from nco.data.generators.orienteering import half_tour
from nco.data.instance import from_tensors


class PCTSPGenerator(InstanceGenerator):
    """
    Prize-collecting instances, for the PCTSP and its stochastic variant alike.

    With n customers, prizes are uniform in [0, 4/n], so that a minimum of 1 asks for about half
    of them; stochastic prizes are uniform between 0 and twice the (expected) prize; penalties are
    uniform between 0 and ``penalty_factor * half_tour(n) / n``. Node 0 is the depot, without
    prize or penalty.

    Parameters
    ----------
    size
        Number of customers, or an inclusive range of it.
    locations
        Where depot and customers lie; uniform in the unit square by default.
    penalty_factor
        Weight of the penalties against the length.

    Raises
    ------
    InputError
        The factor is negative.
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 50,
        locations: LocationSampler | None = None,
        penalty_factor: float = 3.0,
    ):
        super().__init__(size)
        if not penalty_factor >= 0:
            raise InputError(f"penalty_factor: {penalty_factor}, expected a number >= 0")
        self.locations = locations or UniformLocations()
        self.penalty_factor = penalty_factor

    def generate(self, batch_size: int, size: int, rng: torch.Generator) -> TensorDict:
        shape = (batch_size, size + 1)
        locs = self.locations(batch_size, size + 1, rng)
        penalty = uniform(0, self.penalty_factor * half_tour(size) / size, shape, rng)
        prize = uniform(0, 4 / size, shape, rng)
        stochastic = prize * uniform(0, 2, shape, rng)
        for column in (penalty, prize, stochastic):
            column[:, 0] = 0
        return from_tensors(
            locs=locs,
            penalty=penalty,
            prize=prize,
            stochastic_prize=stochastic,
            min_prize=prize.new_ones(batch_size),
        )
