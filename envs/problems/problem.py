"""What a named problem is: one row of the table in `nco.envs.problems`."""

from collections.abc import Callable
from dataclasses import dataclass

from nco.data.generators import InstanceGenerator
from nco.envs.env import RoutingEnv


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
