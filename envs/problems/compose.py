"""From the attributes that instances state to the rules that they mean."""

from collections.abc import Collection

from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import SCHEMA, num_depots, num_nodes
from nco.data.neutral import is_neutral
from nco.data.registry import Registry
from nco.envs.constraint import Constraint
from nco.envs.constraints import (
    AllowedVehicles,
    Capacity,
    DistanceLimit,
    DurationLimit,
    Fleet,
    LinehaulFirst,
    MaximumLoad,
    MinimumRoutes,
    MixedLoad,
    OpenRoutes,
    PickupDelivery,
    SplitCapacity,
    TimeWindows,
    TripWindows,
)
from nco.envs.env import RoutingEnv
from nco.envs.objective import Objective
from nco.envs.objectives import Distance, FleetCost, Penalty, Total
from nco.envs.visits.base import Visits
from nco.envs.visits.depot_routes import DepotRoutes
from nco.envs.visits.fleet_routes import FleetRoutes
from nco.envs.visits.split_routes import SplitRoutes

# Rules in the order of their features: `Constraint.asked` tells which of them instances ask for.
RULES: Registry[str, type[Constraint]] = Registry(
    "rule",
    {
        kind.__name__: kind
        for kind in (
            PickupDelivery,
            Capacity,
            MaximumLoad,
            MixedLoad,
            SplitCapacity,
            LinehaulFirst,
            DistanceLimit,
            TimeWindows,
            TripWindows,
            DurationLimit,
            OpenRoutes,
            AllowedVehicles,
            Fleet,
            MinimumRoutes,
        )
    },
)


def compose(stated: Collection[str], objective: Objective | None = None) -> RoutingEnv:
    """
    The environment whose rules are those of the attributes, and no others.

    Parameters
    ----------
    stated
        Attributes of the schema that say something.
    objective
        What is minimised; by default the distance, or the fleet's cost where vehicles have one, and
        the penalties of what is left out.
    """
    rules = [rule for kind in RULES.values() if (rule := kind.asked(stated)) is not None]
    optional, trips = "penalty" in stated, "trips" in stated
    visits: Visits = DepotRoutes()
    if optional or "depots" in stated:
        visits = FleetRoutes(optional)
    elif "split" in stated:
        visits = SplitRoutes()
    if objective is None:
        objective = FleetCost(trips) if {"fixed_cost", "unit_cost"} & set(stated) else Distance()
        if optional:
            objective = Total(objective, Penalty())
    return RoutingEnv(visits, rules, objective)


def says(instance: TensorDict) -> set[str]:
    """The attributes by which some of the instances ``[B]`` differ from a plain routing problem."""
    found = set()
    for name, value in instance.items():
        field = SCHEMA[name]
        if field.role == "geometry" or field.detail:
            continue
        if name == "depots":
            differs = num_depots(instance) > 1
        elif name == "vehicle_count":
            customers = num_nodes(instance) - num_depots(instance)
            differs = bool((value < customers).any())
        else:
            differs = not bool(is_neutral(instance, name).all())
        if differs or name in ("demand", "capacity"):
            found.add(name)
    return found


def refuse_unread(env: RoutingEnv, instance: TensorDict, name: str) -> None:
    """
    Whether a problem has a rule for all that instances say.

    Raises
    ------
    InputError
        It has none for an attribute.
    """
    read = set(env.reads)
    if isinstance(env.visits, FleetRoutes):
        read.add("depots")
    for attribute in sorted(says(instance) - read - {"stochastic_prize"}):
        raise InputError(f"instance: {attribute} is no rule of the problem {name}")
