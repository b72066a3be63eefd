"""
How OR-Tools' routing model expresses each rule of a problem. A new rule is one more row.

A row gives the terms of a rule, see `nco.solvers.model.terms`, and changes nothing. What needs the
model itself is an `nco.solvers.ortools.model.Add`: it runs once the vehicles are settled.
"""

from collections.abc import Iterable, Iterator
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
from nco.solvers.model.scaling import FINEST, bounding_scaling, steps
from nco.solvers.model.terms import ROWS, Given, Term, TermRow, Vehicles
from nco.solvers.ortools.loads import (
    capacity,
    linehaul_first,
    linehaul_on_each_route,
    maximum_load,
    one_commodity,
)
from nco.solvers.ortools.model import Add, FirstSolution, Model
from nco.solvers.ortools.optional import minimum_prize
from nco.solvers.ortools.pairs import pickup_delivery
from nco.solvers.ortools.times import duration_limit, time_windows


def _open_routes(given: Given, rule: OpenRoutes) -> Iterable[Term]:
    """The shape has no way back."""
    return ()


def _distance_limit(given: Given, rule: DistanceLimit) -> Iterator[Term]:
    """
    A dimension bounds the length of each route.

    Exact for whole numbers of steps (`nco.solvers.model.scaling.steps`). Other lengths are rounded
    up, and limits down, so that what is found is not too long: see
    `nco.solvers.model.length_limits`.
    """
    nodes = len(given.distance)
    limit = np.array(given.of_vehicles("distance_limit"))
    if np.isinf(limit).all():
        return
    scaling = bounding_scaling(given.distance, limit, FINEST, steps(given.instance))
    legs = scaling.at_least(given.distance)
    pairs = {node: target for node, target in enumerate(given.of_nodes("delivery")) if target}
    bounds = length_bounds(scaling, given.distance, limit, given.shape.depots, pairs)
    bounds = np.minimum(bounds, nodes * int(legs.max(initial=0)))

    def add(model: Model) -> None:
        each = [int(bounds[kind]) for kind in model.vehicles]
        transit = model.matrix(legs)
        model.routing.AddDimensionWithVehicleCapacity(transit, 0, each, True, "length")

    yield Add(add)


def _fleet(given: Given, rule: Fleet) -> Iterator[Term]:
    yield Vehicles(given.of_vehicles("vehicle_count"))


def _minimum_routes(given: Given, rule: MinimumRoutes) -> Iterator[Term]:
    """So many vehicles do not drive straight home: the first ones where they are all alike."""
    least = int(given.instance["min_routes"][0])

    def add(model: Model) -> None:
        routing = model.routing
        if len(set(model.vehicles)) == 1 or least == len(model.vehicles):
            for vehicle in range(min(least, len(model.vehicles))):
                routing.NextVar(routing.Start(vehicle)).RemoveValue(routing.End(vehicle))
            return
        drives = [routing.ActiveVehicleVar(vehicle) for vehicle in range(len(model.vehicles))]
        routing.solver().Add(routing.solver().Sum(drives) >= least)

    yield FirstSolution("PARALLEL_CHEAPEST_INSERTION")  # savings merge all they can
    yield Add(add)


def _allowed_vehicles(given: Given, rule: AllowedVehicles) -> Iterator[Term]:
    allowed = given.instance["allowed"][0].cpu().numpy().astype(bool)

    def add(model: Model) -> None:
        kinds = np.array(model.vehicles)
        for node, index in model.customers():
            if not allowed[:, node].all():
                vehicles = np.flatnonzero(allowed[kinds, node]).tolist()
                model.routing.VehicleVar(index).SetValues([-1, *vehicles])

    yield FirstSolution("PARALLEL_CHEAPEST_INSERTION")
    yield Add(add)


def _mixed_load(given: Given, rule: MixedLoad) -> Iterator[Term]:
    if bool(given.instance["one_commodity"][0]):
        yield from one_commodity(given, rule.exchanged)
    else:
        yield from maximum_load(given, rule.usual)


def without_trips(row: TermRow) -> TermRow:
    """A row for routes that are no trips of one vehicle."""

    def checked(given: Given, rule: Any) -> Iterable[Term]:
        if given.costs.trips:
            raise InputError(
                f"ortools cannot express {type(rule).__name__}, expected vehicles without trips"
            )
        return row(given, rule)

    return checked


CONSTRAINTS = ROWS["ortools"]
OWN: dict[type[Constraint], TermRow] = {
    Capacity: capacity,
    MaximumLoad: without_trips(maximum_load),
    OneCommodity: without_trips(one_commodity),
    MixedLoad: without_trips(_mixed_load),
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
CONSTRAINTS.own(OWN)
