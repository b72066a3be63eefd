"""Any variant of vehicle routing: coordinates, and a list of attributes."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.generators.attributes import Attribute
from nco.data.generators.base import InstanceGenerator
from nco.data.generators.locations import LocationSampler, UniformLocations
from nco.data.instance import validate


class VariantGenerator(InstanceGenerator):
    """
    Instances that are composed of attributes, each of which may look at those before it.

    Parameters
    ----------
    size
        Number of customers, or an inclusive range of it.
    attributes
        What the instances have besides coordinates.
    depots
        Number of depot nodes.
    locations
        Where depots and customers lie; uniform in the unit square by default.

    Raises
    ------
    InputError
        There is no depot.
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 50,
        attributes: Sequence[Attribute] = (),
        depots: int = 1,
        locations: LocationSampler | None = None,
    ):
        super().__init__(size)
        if depots < 1:
            raise InputError(f"depots: {depots}, expected at least 1")
        self.attributes = tuple(attributes)
        self.depots = depots
        self.locations = locations or UniformLocations()

    def generate(self, batch_size: int, size: int, rng: torch.Generator) -> TensorDict:
        locs = self.locations(batch_size, self.depots + size, rng)
        instance = TensorDict({"locs": locs}, batch_size=[batch_size])
        if self.depots > 1:
            places = torch.arange(self.depots, device=rng.device)
            instance["depots"] = places.expand(batch_size, -1).clone()
        for attribute in self.attributes:
            instance.update(attribute(instance, rng))
        validate(instance)
        return instance
