"""
How PyVRP's data model expresses each rule. A new rule is one more row.

A row gives the terms of a rule, see `nco.solvers.model.terms` and `nco.solvers.pyvrp.data_model`,
and changes nothing.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

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
    MixedLoad,
    OpenRoutes,
    PickupDelivery,
    TimeWindows,
    TripWindows,
)
from nco.solvers.model.terms import ROWS, Forbidden, Given, Load, Term, TermRow, Timed, Vehicles
from nco.solvers.model.times import require_windows
from nco.solvers.pyvrp.data_model import DurationLimits, LengthLimit, Shipments


def _capacity(given: Given, rule: Capacity) -> Iterator[Term]:
    yield given.load("load", given.of_nodes("demand"), given.of_vehicles("capacity"))


def _maximum_load(given: Given, rule: MaximumLoad) -> Iterator[Term]:
    """PyVRP's own rule: deliveries are aboard from the start, pickups to the end."""
    amounts = given.of_nodes("demand"), given.of_nodes("backhaul")
    shipped = given.of_nodes("shipment" if rule.shipments else "")
    yield Load("load", *amounts, given.of_vehicles("capacity"), shipped)


def _mixed_load(given: Given, rule: MixedLoad) -> Iterable[Term]:
    """
    See `_maximum_load`.

    Raises
    ------
    InputError
        The instance has one commodity.
    """
    if bool(given.instance["one_commodity"][0]):
        raise InputError("pyvrp cannot express one commodity, expected deliveries and pickups")
    return _maximum_load(given, rule.usual)


def _pickup_delivery(given: Given, rule: PickupDelivery) -> Iterator[Term]:
    """
    Shipments of PyVRP's, which have no amounts but the shipment's.

    Raises
    ------
    InputError
        There are amounts for the depot as well, or goods that are released at a time.
    """
    pairs = {node: target for node, target in enumerate(given.of_nodes("delivery")) if target}
    paired = [*pairs, *pairs.values()]
    for name in ("demand", "backhaul", "release_time"):
        amounts = given.of_nodes(name)
        for node in paired:
            if amounts[node]:
                raise InputError(
                    f"pyvrp cannot express PickupDelivery, expected no {name} at node {node} of a "
                    f"shipment, found {amounts[node]:.10g}"
                )
    yield Shipments(pairs)


def _linehaul_first(given: Given, rule: LinehaulFirst) -> Iterator[Term]:
    """No leg leads from a pickup to a delivery."""
    if not bool(given.instance["linehaul_first"][0]):
        return
    deliver, collect = _linehauls(given, rule)
    yield Forbidden(collect[:, None] & deliver[None, :])


def _linehaul_on_each_route(given: Given, rule: LinehaulOnEachRoute) -> Iterator[Term]:
    """No leg leads from a depot to a customer who only has a pickup."""
    if not any(isinstance(other, LinehaulFirst) for other in given.env.constraints):
        raise InputError("pyvrp cannot express LinehaulOnEachRoute, expected LinehaulFirst with it")
    if not bool(given.instance["linehaul_first"][0]):
        raise InputError(
            "pyvrp cannot express LinehaulOnEachRoute, expected linehaul_first to be 1"
        )
    deliver, collect = _linehauls(given, rule)
    legs = np.zeros_like(given.distance, dtype=bool)
    legs[list(given.shape.depots)] = collect & ~deliver
    yield Forbidden(legs)


def _linehauls(given: Given, rule: Constraint) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """
    Who gets a delivery and who gives a pickup, ``[N]`` each.

    Raises
    ------
    InputError
        A customer has neither, so that legs alone do not tell what came before.
    """
    deliver, collect = (np.array(given.of_nodes(name)) > 0 for name in ("demand", "backhaul"))
    for node in given.shape.customers:
        if not deliver[node] and not collect[node]:
            raise InputError(
                f"pyvrp cannot express {type(rule).__name__}, expected a delivery or a pickup at "
                f"every customer, found neither at node {node}"
            )
    return deliver, collect


def _distance_limit(given: Given, rule: DistanceLimit) -> Iterator[Term]:
    _refuse_trips(given, rule)
    yield LengthLimit(given.of_vehicles("distance_limit"))


def _time_windows(given: Given, rule: TimeWindows) -> Iterator[Term]:
    yield Timed(rule.release)


def _trip_windows(given: Given, rule: TripWindows) -> Iterator[Term]:
    """Trips come of the objective or this rule, see `reload`. PyVRP loads for the first, too."""
    for node, amount in zip(given.shape.depots, given.of_nodes("service_time"), strict=False):
        if amount:
            raise InputError(
                "pyvrp cannot express TripWindows, expected no service time at a depot, "
                f"found {amount:.10g} at node {node}"
            )
    yield Timed(rule.release)


def _fleet(given: Given, rule: Fleet) -> Iterator[Term]:
    _refuse_trips(given, rule)
    yield Vehicles(given.of_vehicles("vehicle_count"))


def _allowed_vehicles(given: Given, rule: AllowedVehicles) -> Iterator[Term]:
    """No leg of the vehicle leads to a node that it may not visit."""
    allowed = given.instance["allowed"][0].cpu().numpy().astype(bool).copy()
    allowed[:, list(given.shape.depots)] = True
    for kind, row in enumerate(allowed):
        yield Forbidden(np.broadcast_to(~row, given.distance.shape), kind)


def reload(given: Given) -> Iterator[Term]:
    """One vehicle of each kind, which may come back to its depot for another trip."""
    if given.costs.trips:
        yield Vehicles((1,) * given.kinds)


def _refuse_trips(given: Given, rule: Constraint) -> None:
    if given.costs.trips:
        raise InputError(
            f"pyvrp cannot express {type(rule).__name__}, expected vehicles without trips"
        )


def _duration_limit(given: Given, rule: DurationLimit) -> Iterator[Term]:
    """Of a route that leaves as late as it may; waiting for windows is part of it."""
    _refuse_trips(given, rule)
    require_windows(given.env, given.instance, rule, "pyvrp")
    yield Timed(rule.release)
    yield DurationLimits()


def wait(given: Given) -> Iterator[Term]:
    """Times, where the objective alone asks for them."""
    if given.costs.time and "time_windows" in given.instance.keys():
        require_windows(given.env, given.instance, given.env.objective, "pyvrp")
        yield Timed(given.costs.release)


def _open_routes(given: Given, rule: OpenRoutes) -> Iterable[Term]:
    """The shape has no way back."""
    return ()


CONSTRAINTS = ROWS["pyvrp"]
OWN: dict[type[Constraint], TermRow] = {
    Capacity: _capacity,
    MaximumLoad: _maximum_load,
    MixedLoad: _mixed_load,
    LinehaulFirst: _linehaul_first,
    LinehaulOnEachRoute: _linehaul_on_each_route,
    PickupDelivery: _pickup_delivery,
    DistanceLimit: _distance_limit,
    DurationLimit: _duration_limit,
    TimeWindows: _time_windows,
    TripWindows: _trip_windows,
    OpenRoutes: _open_routes,
    Fleet: _fleet,
    AllowedVehicles: _allowed_vehicles,
}
CONSTRAINTS.own(OWN)
