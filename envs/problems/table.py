"""The named problems: a table of compositions. A new problem is one more row."""

from difflib import get_close_matches
from functools import partial

from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.generators import (
    CVRPGenerator,
    OPGenerator,
    PCTSPGenerator,
    TSPGenerator,
)
from nco.data.generators.attributes import (
    Attribute,
    Backhauls,
    Demands,
    LengthLimits,
    OneGood,
    OpenEnds,
    Sometimes,
    WideWindows,
    Windows,
)
from nco.data.generators.fleets import (
    OneDepot,
    Preferences,
    Prizes,
    SpeedyVehicles,
    VehicleCounts,
    Zones,
)
from nco.data.generators.shipments import Shipments
from nco.data.generators.tsp_attributes import ATSPGenerator, TourWindows
from nco.data.generators.variants import VariantGenerator
from nco.data.registry import Registry
from nco.envs.constraints import (
    AllowedVehicles,
    Capacity,
    DistanceLimit,
    Fleet,
    LinehaulFirst,
    LinehaulOnEachRoute,
    MaximumLoad,
    MinimumPrize,
    MinimumRoutes,
    MixedLoad,
    OneCommodity,
    OpenRoutes,
    PickupDelivery,
    SinglePrecisionCapacity,
    SinglePrecisionSplitCapacity,
    SplitCapacity,
    TimeWindows,
)
from nco.envs.env import RoutingEnv
from nco.envs.objectives import (
    Distance,
    Duration,
    Makespan,
    Penalty,
    Preference,
    Prize,
    Total,
    VehiclesFirst,
)
from nco.envs.problems.compose import compose, refuse_unread, says
from nco.envs.problems.naming import VARIANTS, canonical, letters, variant
from nco.envs.problems.problem import Problem
from nco.envs.visits.depot_routes import DepotRoutes
from nco.envs.visits.fleet_routes import FleetRoutes
from nco.envs.visits.optional_tour import OptionalTour
from nco.envs.visits.split_routes import SplitRoutes
from nco.envs.visits.tour import Tour


def drawn(*attributes: Attribute, depots: int = 1) -> partial[VariantGenerator]:
    """What draws instances with these attributes, given their size."""
    return partial(VariantGenerator, attributes=attributes, depots=depots)


# What a batch with all variants of one depot states.
MIXED = frozenset(
    {
        *("demand", "backhaul", "linehaul_first", "capacity"),
        *("distance_limit", "time_windows", "open_route"),
    }
)
_ROWS: dict[str, Problem] = {
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
        stated=frozenset({"demand", "capacity"}),
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
    "atsp": Problem(
        "the TSP with distances that differ by direction",
        lambda: RoutingEnv(Tour()),
        ATSPGenerator,
    ),
    "otsp": Problem(
        "shortest way from a depot through all nodes",
        lambda: RoutingEnv(DepotRoutes(), [OpenRoutes(), Fleet()]),
        drawn(OpenEnds(), VehicleCounts(1)),
    ),
    "tsptw": Problem(
        "shortest tour from a depot that keeps all time windows",
        lambda: RoutingEnv(DepotRoutes(), [TimeWindows(), Fleet()]),
        drawn(TourWindows(), VehicleCounts(1)),
    ),
    "pdtsp": Problem(
        "shortest tour from a depot that makes each pickup before its delivery",
        lambda: RoutingEnv(DepotRoutes(), [PickupDelivery(), Fleet()]),
        drawn(Shipments(capacity=None), VehicleCounts(1)),
    ),
    "mtsp": Problem(
        "shortest tours of several salesmen, each of whom visits at least one node",
        lambda: RoutingEnv(DepotRoutes(), [Fleet(), MinimumRoutes()]),
        drawn(VehicleCounts(5, all_leave=True)),
    ),
    "mtsp-minmax": Problem(
        "tours of several salesmen, the longest as short as possible",
        lambda: RoutingEnv(DepotRoutes(), [Fleet()], Makespan()),
        drawn(VehicleCounts(5)),
    ),
    "hcvrp": Problem(
        "trips of vehicles of different size and speed, the last one home as early as possible",
        lambda: RoutingEnv(FleetRoutes(), [Capacity()], Makespan(trips=True)),
        drawn(OneDepot(), Demands(), SpeedyVehicles(), depots=3),
    ),
    "hcvrp-minsum": Problem(
        "the HCVRP with the least sum of travel times",
        lambda: RoutingEnv(FleetRoutes(), [Capacity()], Duration()),
        drawn(OneDepot(), Demands(), SpeedyVehicles(), depots=3),
    ),
    "pvrp": Problem(
        "trips of vehicles with little travel time that customers prefer",
        lambda: RoutingEnv(
            FleetRoutes(), [Capacity()], Total(Duration(), Preference(), weights=(0.8, 0.2))
        ),
        drawn(OneDepot(), Demands(40), Preferences(), depots=3),
    ),
    "pvrp-zones": Problem(
        "trips with the least travel time of vehicles that may not go everywhere",
        lambda: RoutingEnv(FleetRoutes(), [Capacity(), AllowedVehicles()], Duration()),
        drawn(OneDepot(), Demands(40), Zones(), depots=3),
    ),
    "top": Problem(
        "tours of bounded length of a team that collect the most prize",
        lambda: RoutingEnv(FleetRoutes(optional=True), [DistanceLimit(), Fleet()], Prize()),
        drawn(Prizes(), LengthLimits(), VehicleCounts(3)),
    ),
    "profitable": Problem(
        "tours within the capacity with the least distance minus prizes",
        lambda: RoutingEnv(FleetRoutes(optional=True), [Capacity()], Total(Distance(), Prize())),
        drawn(Demands(), Prizes()),
    ),
    "1pdvrp": Problem(
        "routes on which what was picked up may be delivered to another customer",
        lambda: RoutingEnv(DepotRoutes(), [OneCommodity()]),
        drawn(Demands(), Backhauls(mixed=True)),
    ),
    "1pdvrpltw": Problem(
        "the 1PDVRP with a limit of the length of routes and time windows",
        lambda: RoutingEnv(DepotRoutes(), [OneCommodity(), DistanceLimit(), TimeWindows()]),
        drawn(Demands(), Backhauls(mixed=True), LengthLimits(), Windows()),
    ),
    "vrpb-strict": Problem(
        "the VRPB with a delivery on every route",
        lambda: RoutingEnv(DepotRoutes(), [MaximumLoad(), LinehaulFirst(), LinehaulOnEachRoute()]),
        drawn(Demands(), Backhauls(share=0.5)),
    ),
    "vrptw-vehicles": Problem(
        "the VRPTW with as few vehicles as possible, and then as little distance",
        lambda: RoutingEnv(DepotRoutes(), [Capacity(), TimeWindows()], VehiclesFirst()),
        drawn(Demands(), Windows()),
    ),
    "mtvrp": Problem(
        "all single-depot variants of RouteFinder at once, mixed in a batch",
        lambda: compose(MIXED),
        drawn(
            Demands(),
            Sometimes(Backhauls(mixed=None)),
            Sometimes(LengthLimits()),
            Sometimes(Windows()),
            Sometimes(OpenEnds()),
        ),
    ),
    "mdmtvrp": Problem(
        "all variants of RouteFinder with several depots at once, mixed in a batch",
        lambda: compose(MIXED | {"depots"}),
        drawn(
            Demands(),
            Sometimes(Backhauls(mixed=None)),
            Sometimes(LengthLimits()),
            Sometimes(Windows()),
            Sometimes(OpenEnds()),
            depots=3,
        ),
    ),
    "anyvrp": Problem(
        "the MDMTVRP, with one commodity and limited fleets among its variants",
        lambda: RoutingEnv(
            FleetRoutes(),
            [
                MixedLoad(),
                LinehaulFirst(),
                DistanceLimit(),
                TimeWindows(ahead=True),
                OpenRoutes(),
                Fleet(),
            ],
        ),
        drawn(
            Demands(),
            Sometimes(Backhauls(mixed=None)),
            Sometimes(OneGood()),
            Sometimes(LengthLimits()),
            Sometimes(Windows()),
            Sometimes(WideWindows(), 0.3),
            Sometimes(OpenEnds()),
            VehicleCounts(5),
            depots=3,
        ),
    ),
}
_ROWS |= {name: row for name, row in VARIANTS.items() if name not in _ROWS}
PROBLEMS: Registry[str, Problem] = Registry("problem", _ROWS)


# Other names of the same rows.
ALIASES = {"mtsp-minsum": "mtsp", "hcvrp-minmax": "hcvrp", "site-dependent": "sdvrptw"}


def row_of(name: str) -> Problem:
    """
    The row of a named problem: of the table `PROBLEMS`, or composed of letters.

    Parameters
    ----------
    name
        A name of the table, of `ALIASES`, or one composed of letters, see
        `nco.envs.problems.naming`; in upper or lower case.

    Raises
    ------
    InputError
        The name is unknown.
    """
    known = name if name in PROBLEMS else canonical(ALIASES.get(name.lower(), name.lower()))
    if known in PROBLEMS:
        return PROBLEMS[known]
    if letters(known) is None:
        nearest = ", ".join(get_close_matches(name.lower(), PROBLEMS, 3, 0))
        raise InputError(f"problem {name!r} is unknown, the nearest names are {nearest}")
    return variant(known)


def problem(name: str, published: bool = False, instance: TensorDict | None = None) -> RoutingEnv:
    """
    The environment of a named problem.

    Parameters
    ----------
    name
        See `row_of`.
    published
        In the arithmetic of published weights where that differs (to reproduce published costs).
    instance
        What is to be solved: a composed problem gets the rules of all that it says beyond the
        name, such as a limited fleet.

    Raises
    ------
    InputError
        The name is unknown, or the instance says what none of the problem's rules is about.
    """
    row = row_of(name)
    if published and row.published is not None:
        return row.published()
    if instance is None:
        return row.build()
    if row.stated is None:
        env = row.build()
        refuse_unread(env, instance, name)
        return env
    return compose(row.stated | says(instance))
