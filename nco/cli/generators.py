"""Instances of a named problem, drawn from a named distribution."""

from pathlib import Path
from typing import Literal, get_args

from nco.data.errors import InputError
from nco.data.generators import (
    CityGenerator,
    CVRPGenerator,
    GaussianMixture,
    InstanceGenerator,
    TSPGenerator,
    VariantGenerator,
    XGenerator,
    XLocations,
)
from nco.data.generators.tsp_attributes import ATSPGenerator, Detours
from nco.envs.problems.table import row_of

Distribution = Literal["uniform", "cluster", "x", "city"]
DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)


def make_generator(
    name: str,
    size: int | tuple[int, int],
    distribution: Distribution = "uniform",
    rounded: bool = False,
    cities: Path | None = None,
) -> InstanceGenerator:
    """
    The generator of a problem's instances.

    Parameters
    ----------
    name
        Of the problem.
    size
        Customers (for the TSP: nodes), or an inclusive range of it.
    distribution
        ``uniform`` in the unit square, ``cluster`` for a Gaussian mixture, ``x`` for the recipe of
        the X set (Uchoa et al. 2017), ``city`` for road networks.
    rounded
        Whether the distances of ``x`` instances are rounded to integers, as the X set's are.
    cities
        Folder of the cities, see `nco.data.cities`: those for testing; None for synthetic ones.

    Raises
    ------
    InputError
        The problem is unknown, or has no instances of the distribution.
    """
    generator = row_of(name).generator(size)
    if distribution == "uniform":
        return generator
    if distribution == "x" and isinstance(generator, CVRPGenerator):
        return XGenerator(size, rounded=rounded)
    if distribution == "x" and isinstance(generator, TSPGenerator):
        return TSPGenerator(size, XLocations())
    if distribution == "cluster" and hasattr(generator, "locations"):
        generator.locations = GaussianMixture()
        return generator
    if distribution == "city" and isinstance(generator, ATSPGenerator):
        return CityGenerator(size, cities, "test", depots=0)
    if distribution == "city" and isinstance(generator, VariantGenerator):
        drawn = [part for part in generator.attributes if not isinstance(part, Detours)]
        return CityGenerator(size, cities, "test", drawn, generator.depots)
    raise InputError(f"problem {name!r} has no distribution {distribution!r}, expected uniform")
