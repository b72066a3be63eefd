"""The instances of the Attention Model (Kool et al. 2019, appendix C), wherever the nodes lie."""

import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.generators.base import InstanceGenerator, integers
from nco.data.generators.locations import LocationSampler, UniformLocations
from nco.data.instance import from_tensors

ATTENTION_MODEL_CAPACITY = {10: 20, 20: 30, 50: 40, 100: 50}
MAX_DEMAND = 9


def default_capacity(size: int) -> int:
    """
    Vehicle capacity for demands 1..9 and ``size`` customers.

    The published values at 10, 20, 50 and 100 customers (Nazari et al. 2018); elsewhere
    ``30 + n/5`` rounded down, which agrees at 50 and 100, and beyond 1000 customers
    ``230 + 3 (n - 1000)/100`` (Hou et al. 2023).
    """
    if size in ATTENTION_MODEL_CAPACITY:
        return ATTENTION_MODEL_CAPACITY[size]
    return 30 + size // 5 if size <= 1000 else 230 + 3 * (size - 1000) // 100


class TSPGenerator(InstanceGenerator):
    """
    Travelling salesman instances.

    Parameters
    ----------
    size
        Number of nodes, or an inclusive range of it.
    locations
        Where they lie; uniform in the unit square by default.
    """

    def __init__(self, size: int | tuple[int, int] = 50, locations: LocationSampler | None = None):
        super().__init__(size)
        self.locations = locations or UniformLocations()

    def generate(self, batch_size: int, size: int, rng: torch.Generator) -> TensorDict:
        return from_tensors(locs=self.locations(batch_size, size, rng))


class CVRPGenerator(InstanceGenerator):
    """
    Capacitated vehicle routing instances with demands uniform in 1..9.

    Node 0 is the depot, so that there are ``size + 1`` nodes.

    Parameters
    ----------
    size
        Number of customers, or an inclusive range of it.
    locations
        Where depot and customers lie; uniform in the unit square by default.
    capacity
        Of a vehicle; by default `default_capacity` of the number of customers.

    Raises
    ------
    InputError
        The capacity is smaller than the largest demand.
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 50,
        locations: LocationSampler | None = None,
        capacity: int | None = None,
    ):
        super().__init__(size)
        if capacity is not None and capacity < MAX_DEMAND:
            raise InputError(f"capacity: {capacity}, expected at least {MAX_DEMAND}")
        self.locations = locations or UniformLocations()
        self.capacity = capacity

    def generate(self, batch_size: int, size: int, rng: torch.Generator) -> TensorDict:
        locs = self.locations(batch_size, size + 1, rng)
        demand = integers(1, MAX_DEMAND, (batch_size, size + 1), rng)
        demand[:, 0] = 0
        capacity = default_capacity(size) if self.capacity is None else self.capacity
        return from_tensors(
            locs=locs, demand=demand, capacity=demand.new_full((batch_size,), capacity)
        )
