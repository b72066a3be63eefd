"""The named problems: a table of compositions. A new problem is one more row."""

from collections.abc import Callable
from dataclasses import dataclass

from nco.data.errors import InputError
from nco.data.generators import (
    CVRPGenerator,
    InstanceGenerator,
    OPGenerator,
    PCTSPGenerator,
    TSPGenerator,
)
from nco.envs.constraints import (
    Capacity,
    DistanceLimit,
    MinimumPrize,
    SinglePrecisionCapacity,
    SinglePrecisionSplitCapacity,
    SplitCapacity,
)
from nco.envs.env import RoutingEnv
from nco.envs.objectives import Distance, Penalty, Prize, Total
from nco.envs.optional_tour import OptionalTour
from nco.envs.split_routes import SplitRoutes
from nco.envs.visits import DepotRoutes, Tour


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
    """

    summary: str
    build: Callable[[], RoutingEnv]
    generator: Callable[[int | tuple[int, int]], InstanceGenerator]
    published: Callable[[], RoutingEnv] | None = None


PROBLEMS: dict[str, Problem] = {
    "tsp": Problem(
        "shortest closed tour through all nodes",
        lambda: RoutingEnv(Tour()),
        TSPGenerator,
    ),
    "cvrp": Problem(
        "shortest routes from one depot that serve every demand within the capacity",
        lambda: RoutingEnv(DepotRoutes(), [Capacity()]),
        CVRPGenerator,
        lambda: RoutingEnv(DepotRoutes(), [SinglePrecisionCapacity()]),
    ),
    "sdvrp": Problem(
        "the CVRP, a customer possibly served by several routes",
        lambda: RoutingEnv(SplitRoutes(), [SplitCapacity()]),
        CVRPGenerator,
        lambda: RoutingEnv(SplitRoutes(), [SinglePrecisionSplitCapacity()]),
    ),
    "op": Problem(
        "a tour of bounded length that collects the most prize",
        lambda: RoutingEnv(OptionalTour(), [DistanceLimit()], Prize()),
        OPGenerator,
    ),
    "pctsp": Problem(
        "shortest tour that collects a minimum prize, penalties for the rest included",
        lambda: RoutingEnv(OptionalTour(), [MinimumPrize()], Total(Distance(), Penalty())),
        PCTSPGenerator,
    ),
    "spctsp": Problem(
        "the PCTSP with prizes that only the visit shows, their expectations known",
        lambda: RoutingEnv(
            OptionalTour(), [MinimumPrize("stochastic_prize")], Total(Distance(), Penalty())
        ),
        PCTSPGenerator,
    ),
}


def problem(name: str, published: bool = False) -> RoutingEnv:
    """
    The environment of a named problem.

    Parameters
    ----------
    name
        A name of the table `PROBLEMS`.
    published
        In the arithmetic of published weights where that differs (to reproduce published costs).

    Raises
    ------
    InputError
        The name is not in the table.
    """
    if name not in PROBLEMS:
        raise InputError(f"problem {name!r} is unknown, expected one of {', '.join(PROBLEMS)}")
    row = PROBLEMS[name]
    return row.published() if published and row.published is not None else row.build()
