"""From the attributes that instances state to the rules that they mean."""

from collections.abc import Collection

import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import SCHEMA, num_depots, num_nodes
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
    TimeWindows,
    TripWindows,
)
from nco.envs.env import RoutingEnv
from nco.envs.objective import Objective
from nco.envs.objectives import Distance, FleetCost, Penalty, Total
from nco.envs.visits.depot_routes import DepotRoutes
from nco.envs.visits.fleet_routes import FleetRoutes

# What no rule is for: where things are, and what only other rules look at.
GEOMETRY = {"locs", "view", "metric", "distance", "duration"}
DETAILS = {"service_time", "speed"}
COSTS = {"fixed_cost", "unit_cost", "penalty"}


def compose(
    stated: Collection[str], trips: bool = False, objective: Objective | None = None
) -> RoutingEnv:
    """
    The environment whose rules are those of the attributes, and no others.

    Parameters
    ----------
    stated
        Attributes of the schema that say something.
    trips
        Whether the routes of a depot node are trips of one vehicle.
    objective
        What is minimised; by default the distance, or the fleet's cost where vehicles have one, and
        the penalties of what is left out.
    """
    rules: list[Constraint] = []
    release = "release_time" in stated
    if "delivery" in stated:
        rules.append(PickupDelivery())
    if "capacity" in stated:
        shipments = "shipment" in stated
        both_ways = shipments or "backhaul" in stated
        if "one_commodity" in stated:
            rules.append(MixedLoad())
        else:
            rules.append(MaximumLoad(shipments) if both_ways else Capacity())
    if "linehaul_first" in stated:
        rules.append(LinehaulFirst())
    if "distance_limit" in stated:
        rules.append(DistanceLimit())
    if "time_windows" in stated:
        rules.append(TripWindows(release) if trips else TimeWindows(release))
    if "duration_limit" in stated:
        rules.append(DurationLimit(release))
    if "open_route" in stated:
        rules.append(OpenRoutes())
    if "allowed" in stated:
        rules.append(AllowedVehicles())
    if "vehicle_count" in stated and not trips:
        rules.append(Fleet())
    if "min_routes" in stated:
        rules.append(MinimumRoutes())
    optional = "penalty" in stated
    visits = FleetRoutes(optional) if optional or "depots" in stated else DepotRoutes()
    if objective is None:
        objective = FleetCost(trips) if {"fixed_cost", "unit_cost"} & set(stated) else Distance()
        if optional:
            objective = Total(objective, Penalty())
    return RoutingEnv(visits, rules, objective)


def says(instance: TensorDict) -> set[str]:
    """The attributes by which some of the instances ``[B]`` differ from a plain routing problem."""
    found = set()
    for name, value in instance.items():
        neutral = SCHEMA[name].neutral
        if name in GEOMETRY | DETAILS:
            continue
        if name == "depots":
            differs = num_depots(instance) > 1
        elif name == "vehicle_count":
            customers = num_nodes(instance) - num_depots(instance)
            differs = bool((value < customers).any())
        else:
            plain = torch.as_tensor(neutral if neutral is not None else torch.nan)
            differs = bool((value != plain.to(value.device)).any())
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
    parts: list[Constraint | Objective] = [*env.constraints, env.objective]
    read = {attribute for part in parts for attribute in part.reads}
    if isinstance(env.visits, FleetRoutes):
        read.add("depots")
    for attribute in sorted(says(instance) - read - {"stochastic_prize"}):
        raise InputError(f"instance: {attribute} is no rule of the problem {name}")
