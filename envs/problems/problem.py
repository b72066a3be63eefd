"""What a named problem is: one row of the table in `nco.envs.problems`."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from nco.data.generators import InstanceGenerator
from nco.data.generators.attributes import Attribute
from nco.data.generators.variants import VariantGenerator
from nco.envs.env import RoutingEnv
from nco.envs.problems.compose import compose


@dataclass(frozen=True)
class Problem:
    """
    One row of the table.

    Parameters
    ----------
    summary
        What is asked, in one line.
    build
        Composes the environment.
    generator
        Draws its instances: called with a number of customers, or a range of it.
    published
        Composes it in the arithmetic of the Attention Model's code, where that refuses moves
        that the exact rule allows: see `nco.envs.constraints.single_precision`.
    stated
        Attributes from which it is composed, see `nco.envs.problems.compose`; None where it is not.
    """

    summary: str
    build: Callable[[], RoutingEnv]
    generator: Callable[[int | tuple[int, int]], InstanceGenerator]
    published: Callable[[], RoutingEnv] | None = None
    stated: frozenset[str] | None = None


def composed(
    summary: str, stated: Collection[str], *attributes: Attribute, depots: int = 1
) -> Problem:
    """
    A problem whose rules are those of the attributes that its instances state.

    Parameters
    ----------
    summary
        What is asked, in one line.
    stated
        Attributes of the schema, see `nco.envs.problems.compose`.
    attributes
        What draws them, beside uniform coordinates, in this order.
    depots
        Depot nodes of generated instances.
    """
    return Problem(
        summary,
        partial(compose, frozenset(stated)),
        partial(VariantGenerator, attributes=attributes, depots=depots),
        stated=frozenset(stated),
    )
