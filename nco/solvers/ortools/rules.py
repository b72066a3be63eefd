"""
How OR-Tools' routing model expresses each rule of a problem. A new rule is one more row.

A row is called with the draft of the model, and may change the vehicles there. What needs the
model itself goes into ``draft.steps``, which run once the vehicles are settled: OR-Tools fixes
them before anything can be added.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nco.data.errors import InputError
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
    MinimumPrize,
    MinimumRoutes,
    MixedLoad,
    OneCommodity,
    OpenRoutes,
    PickupDelivery,
    TimeWindows,
    TripWindows,
)
from nco.solvers.model.length_limits import length_bounds
from nco.solvers.model.scaling import bounding_scaling, steps
from nco.solvers.ortools.loads import (
    capacity,
    linehaul_first,
    linehaul_on_each_route,
    maximum_load,
    one_commodity,
)
from nco.solvers.ortools.model import Draft, Model, amounts
from nco.solvers.ortools.optional import minimum_prize
from nco.solvers.ortools.pairs import pickup_delivery
from nco.solvers.ortools.times import duration_limit, time_windows

FINE = 2**40  # units of the largest leg: sums of 2^22 of them fit an int64


def _open_routes(draft: Draft, rule: OpenRoutes) -> None:
    """The shape has no way back."""


def _distance_limit(draft: Draft, rule: DistanceLimit) -> None:
    """
    A dimension bounds the length of each route.

    Exact for whole numbers of steps (`nco.solvers.model.scaling.steps`). Other lengths are rounded
    up, and limits down, so that what is found is not too long: see
    `nco.solvers.model.length_limits`.
    """
    nodes = len(draft.distance)
    limit = np.array(draft.per_vehicle("distance_limit"))
    if np.isinf(limit).all():
        return
    scaling = bounding_scaling(draft.distance, limit, FINE, steps(draft.instance))
    legs = scaling.at_least(draft.distance)
    pairs = {node: target for node, target in enumerate(amounts(draft, "delivery")) if target}
    bounds = length_bounds(scaling, draft.distance, limit, draft.shape.depots, pairs)
    bounds = np.minimum(bounds, nodes * int(legs.max(initial=0)))

    def add(model: Model) -> None:
        each = [int(bounds[kind]) for kind in model.vehicles]
        transit = model.matrix(legs)
        model.routing.AddDimensionWithVehicleCapacity(transit, 0, each, True, "length")

    draft.steps.append(add)


def _fleet(draft: Draft, rule: Fleet) -> None:
    count = draft.instance["vehicle_count"][0].cpu().numpy()
    draft.counts = np.minimum(draft.counts, count)


def _minimum_routes(draft: Draft, rule: MinimumRoutes) -> None:
    """So many vehicles do not drive straight home: the first ones where they are all alike."""
    least = int(draft.instance["min_routes"][0])

    def add(model: Model) -> None:
        routing = model.routing
        if len(set(model.vehicles)) == 1 or least == len(model.vehicles):
            for vehicle in range(min(least, len(model.vehicles))):
                routing.NextVar(routing.Start(vehicle)).RemoveValue(routing.End(vehicle))
            return
        drives = [routing.ActiveVehicleVar(vehicle) for vehicle in range(len(model.vehicles))]
        routing.solver().Add(routing.solver().Sum(drives) >= least)

    draft.first_solution = "PARALLEL_CHEAPEST_INSERTION"  # savings merge all they can
    draft.steps.append(add)


def _allowed_vehicles(draft: Draft, rule: AllowedVehicles) -> None:
    allowed = draft.instance["allowed"][0].cpu().numpy().astype(bool)

    def add(model: Model) -> None:
        kinds = np.array(model.vehicles)
        for node, index in model.customers():
            if not allowed[:, node].all():
                vehicles = np.flatnonzero(allowed[kinds, node]).tolist()
                model.routing.VehicleVar(index).SetValues([-1, *vehicles])

    draft.first_solution = "PARALLEL_CHEAPEST_INSERTION"
    draft.steps.append(add)


def _flexible_load(draft: Draft, rule: MixedLoad) -> None:
    if bool(draft.instance["one_commodity"][0]):
        one_commodity(draft, rule.exchanged)
    else:
        maximum_load(draft, rule.usual)


def without_trips(row: Callable[[Draft, Any], None]) -> Callable[[Draft, Any], None]:
    """A row for routes that are no trips of one vehicle."""

    def checked(draft: Draft, rule: Constraint) -> None:
        if draft.costs.trips:
            raise InputError(
                f"ortools cannot express {type(rule).__name__}, expected vehicles without trips"
            )
        row(draft, rule)

    return checked


CONSTRAINTS: dict[type[Constraint], Callable[[Draft, Any], None]] = {
    Capacity: capacity,
    MaximumLoad: without_trips(maximum_load),
    OneCommodity: without_trips(one_commodity),
    MixedLoad: without_trips(_flexible_load),
    LinehaulFirst: without_trips(linehaul_first),
    LinehaulOnEachRoute: without_trips(linehaul_on_each_route),
    PickupDelivery: without_trips(pickup_delivery),
    DistanceLimit: without_trips(_distance_limit),
    DurationLimit: without_trips(duration_limit),
    TimeWindows: without_trips(time_windows),
    TripWindows: time_windows,
    OpenRoutes: without_trips(_open_routes),
    Fleet: without_trips(_fleet),
    MinimumRoutes: without_trips(_minimum_routes),
    AllowedVehicles: _allowed_vehicles,
    MinimumPrize: without_trips(minimum_prize),
}
