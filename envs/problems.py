"""The named problems: a table of compositions. A new problem is one more row."""

from nco.data.errors import InputError
from nco.data.generators import (
    CVRPGenerator,
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
from nco.envs.table import Problem
from nco.envs.variants import VARIANTS, canonical
from nco.envs.visits import DepotRoutes, Tour

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
PROBLEMS |= {name: row for name, row in VARIANTS.items() if name not in PROBLEMS}


def problem(name: str, published: bool = False) -> RoutingEnv:
    """
    The environment of a named problem.

    Parameters
    ----------
    name
        A name of the table `PROBLEMS`, or another spelling of a variant's, see
        `nco.envs.variants`.
    published
        In the arithmetic of published weights where that differs (to reproduce published costs).

    Raises
    ------
    InputError
        The name is not in the table.
    """
    known = name if name in PROBLEMS else canonical(name)
    if known not in PROBLEMS:
        raise InputError(f"problem {name!r} is unknown, expected one of {', '.join(PROBLEMS)}")
    row = PROBLEMS[known]
    return row.published() if published and row.published is not None else row.build()
