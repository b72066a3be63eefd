"""
Parts of a solution as problems of their own: which problems allow it, and how it is done.

Improving a few routes of a large solution needs an instance with their customers alone. What it
finds fits into the solution again wherever every rule speaks of one route at a time, or of how many
routes there are (POPMUSIC: Taillard and Voss 2002; CL-LNS: Feijen et al. 2024, "Learning-enhanced
neighborhood selection for the vehicle routing problem with time windows").
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from tensordict import TensorDict

from nco.data.instance import num_depots
from nco.data.subinstance import selected
from nco.envs import Route, RoutingEnv
from nco.envs.constraint import Constraint
from nco.envs.constraints import (
    AllowedVehicles,
    Capacity,
    DistanceLimit,
    DurationLimit,
    Fleet,
    LinehaulFirst,
    LinehaulOnEachRoute,
    MaximumLoad,
    OneCommodity,
    OpenRoutes,
    PickupDelivery,
    TimeWindows,
)
from nco.envs.objective import Objective
from nco.envs.objectives import Distance, FleetCost, Penalty, Total
from nco.envs.visits.base import Visits
from nco.envs.visits.depot_routes import DepotRoutes
from nco.envs.visits.fleet_routes import FleetRoutes

SHAPES: set[type[Visits]] = {DepotRoutes, FleetRoutes}
# Rules of one route each, and of the number of routes that leave from a depot node.
RULES: set[type[Constraint]] = {
    AllowedVehicles,
    Capacity,
    DistanceLimit,
    DurationLimit,
    Fleet,
    LinehaulFirst,
    LinehaulOnEachRoute,
    MaximumLoad,
    OneCommodity,
    OpenRoutes,
    PickupDelivery,
    TimeWindows,
}
# Sums over routes and customers.
SUMS: set[type[Objective]] = {Distance, FleetCost, Penalty, Total}


def separable(env: RoutingEnv, instance: TensorDict) -> bool:
    """Whether parts of a solution can be solved on their own, by what the problem is made of."""
    objective = env.objective
    terms = objective.terms if isinstance(objective, Total) else (objective,)
    return (
        "locs" in instance.keys()
        and type(env.visits) in SHAPES
        and all(type(rule) in RULES for rule in env.constraints)
        and all(type(term) in SUMS for term in terms)
        and not any(getattr(term, "trips", False) for term in terms)
    )


def nodes_of(instance: TensorDict, customers: Sequence[int]) -> list[int]:
    """The nodes of the instance of a part: all depot nodes, then customers."""
    return [*range(num_depots(instance)), *customers]


def restrict(
    instance: TensorDict, nodes: Sequence[int], away: Mapping[int, int] | None = None
) -> TensorDict:
    """
    The instance of a part.

    Parameters
    ----------
    instance
        Batch size 1.
    nodes
        Nodes of the part in order, see `nodes_of`; with the pickup of a shipment its delivery.
    away
        Vehicles of each depot node that drive routes of the rest.
    """
    device = next(iter(instance.values())).device
    row = torch.zeros(1, dtype=torch.long, device=device)
    part = selected(instance, row, torch.tensor([list(nodes)], device=device))
    if "delivery" in part.keys():
        place = {node: k for k, node in enumerate(nodes)}
        targets = part["delivery"][0].tolist()
        part["delivery"] = torch.tensor([[place.get(node, 0) for node in targets]])
    if "vehicle_count" in part.keys():
        count = part["vehicle_count"]
        gone = torch.tensor([(away or {}).get(v, 0) for v in range(count.shape[1])])
        part["vehicle_count"] = (count - gone).clamp_min(0)
    return part


def vehicles_away(
    instance: TensorDict,
    mine: Sequence[Route],
    others: Sequence[Route],
    share: tuple[int, int] | None,
) -> dict[int, int]:
    """
    Vehicles of each depot node that a part may not use.

    Parameters
    ----------
    instance
        Batch size 1.
    mine, others
        Routes of the part, and of the rest.
    share
        Of the unused vehicles: (k, m) for the k-th of m parts that are solved at once,
        None for nothing. The shares of all parts are all of these vehicles, and never more.
    """
    away = Counter(route.vehicle for route in others)
    if "vehicle_count" not in instance.keys():
        return dict(away)
    driven = Counter(route.vehicle for route in mine)
    for vehicle, count in enumerate(instance["vehicle_count"][0].tolist()):
        spare = max(0, count - driven[vehicle] - away[vehicle])
        away[vehicle] += spare - (0 if share is None else len(range(share[0], spare, share[1])))
    return dict(away)


def into_part(routes: Sequence[Route], nodes: Sequence[int]) -> tuple[Route, ...]:
    """Routes of the whole instance in the nodes of a part."""
    place = {node: k for k, node in enumerate(nodes)}
    return tuple(replace(r, visits=tuple(place[node] for node in r.visits)) for r in routes)


def out_of_part(routes: Sequence[Route], nodes: Sequence[int]) -> tuple[Route, ...]:
    """The inverse of `into_part`."""
    return tuple(replace(r, visits=tuple(nodes[k] for k in r.visits)) for r in routes)
