"""Instance generators: location samplers, the Attention Model's instances, the X recipe."""

from nco.data.generators.base import InstanceGenerator
from nco.data.generators.cities import CityGenerator
from nco.data.generators.locations import GaussianMixture, LocationSampler, UniformLocations
from nco.data.generators.one_of import OneOf
from nco.data.generators.orienteering import OPGenerator
from nco.data.generators.prize_collecting import PCTSPGenerator
from nco.data.generators.uniform import CVRPGenerator, TSPGenerator, default_capacity
from nco.data.generators.variants import VariantGenerator
from nco.data.generators.x import XGenerator
from nco.data.generators.x_locations import XLocations

__all__ = [
    "CVRPGenerator",
    "CityGenerator",
    "GaussianMixture",
    "InstanceGenerator",
    "LocationSampler",
    "OPGenerator",
    "OneOf",
    "PCTSPGenerator",
    "TSPGenerator",
    "UniformLocations",
    "VariantGenerator",
    "XGenerator",
    "XLocations",
    "default_capacity",
]
