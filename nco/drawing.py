"""Instances of a named problem, drawn from a named distribution."""

from typing import Literal, get_args

from nco.data.errors import InputError
from nco.data.generators import (
    CVRPGenerator,
    GaussianMixture,
    InstanceGenerator,
    TSPGenerator,
    XGenerator,
    XLocations,
)
from nco.envs.problems import row_of

Distribution = Literal["uniform", "cluster", "x"]
DISTRIBUTIONS: tuple[Distribution, ...] = get_args(Distribution)


def make_generator(
    name: str,
    size: int | tuple[int, int],
    distribution: Distribution = "uniform",
    rounded: bool = False,
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
        the X set (Uchoa et al. 2017).
    rounded
        Whether the distances of ``x`` instances are rounded to integers, as the X set's are.

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
    raise InputError(f"problem {name!r} has no distribution {distribution!r}, expected uniform")
