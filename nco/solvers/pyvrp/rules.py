"""
How PyVRP's data model expresses each rule. A new rule is one more row.

A row is called with the draft of the data (`nco.solvers.pyvrp.draft.Draft`) and adds to it. The
data are built when every rule has spoken.
"""

from collections.abc import Callable
from typing import Any

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
from nco.solvers.model.times import require_windows
from nco.solvers.pyvrp.draft import Draft


def _capacity(draft: Draft, rule: Capacity) -> None:
    nothing = [0] * len(draft.distance)
    draft.loads.append((_amounts(draft, "demand"), nothing, _per_vehicle(draft, "capacity")))
    draft.shipped.append(nothing)


def _maximum_load(draft: Draft, rule: MaximumLoad) -> None:
    """PyVRP's own rule: deliveries are aboard from the start, pickups to the end."""
    amounts = _amounts(draft, "demand"), _amounts(draft, "backhaul")
    draft.loads.append((*amounts, _per_vehicle(draft, "capacity")))
    draft.shipped.append(_amounts(draft, "shipment" if rule.shipments else ""))


def _flexible_load(draft: Draft, rule: MixedLoad) -> None:
    """
    See `_maximum_load`.

    Raises
    ------
    InputError
        The instance has one commodity.
    """
    if bool(draft.instance["one_commodity"][0]):
        raise InputError("pyvrp cannot express one commodity, expected deliveries and pickups")
    _maximum_load(draft, rule.usual)


def _pickup_delivery(draft: Draft, rule: PickupDelivery) -> None:
    """
    Shipments of PyVRP's, which have no amounts but the shipment's.

    Raises
    ------
    InputError
        There are amounts for the depot as well, or goods that are released at a time.
    """
    delivery = _amounts(draft, "delivery")
    draft.pairs = {pickup: target for pickup, target in enumerate(delivery) if target}
    paired = [*draft.pairs, *draft.pairs.values()]
    for name in ("demand", "backhaul", "release_time"):
        amounts = _amounts(draft, name)
        for node in paired:
            if amounts[node]:
                raise InputError(
                    f"pyvrp cannot express PickupDelivery, expected no {name} at node {node} of a "
                    f"shipment, found {amounts[node]:.10g}"
                )


def _linehaul_first(draft: Draft, rule: LinehaulFirst) -> None:
    """No leg leads from a pickup to a delivery."""
    if not bool(draft.instance["linehaul_first"][0]):
        return
    deliver, collect = _linehauls(draft, rule)
    draft.forbid(collect[:, None] & deliver[None, :])


def _linehaul_on_each_route(draft: Draft, rule: LinehaulOnEachRoute) -> None:
    """No leg leads from a depot to a customer who only has a pickup."""
    if not any(isinstance(other, LinehaulFirst) for other in draft.env.constraints):
        raise InputError("pyvrp cannot express LinehaulOnEachRoute, expected LinehaulFirst with it")
    if not bool(draft.instance["linehaul_first"][0]):
        raise InputError(
            "pyvrp cannot express LinehaulOnEachRoute, expected linehaul_first to be 1"
        )
    deliver, collect = _linehauls(draft, rule)
    legs = np.zeros_like(draft.distance, dtype=bool)
    legs[list(draft.shape.depots)] = collect & ~deliver
    draft.forbid(legs)


def _linehauls(draft: Draft, rule: Constraint) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """
    Who gets a delivery and who gives a pickup, ``[N]`` each.

    Raises
    ------
    InputError
        A customer has neither, so that legs alone do not tell what came before.
    """
    deliver, collect = (np.array(_amounts(draft, name)) > 0 for name in ("demand", "backhaul"))
    for node in draft.shape.customers:
        if not deliver[node] and not collect[node]:
            raise InputError(
                f"pyvrp cannot express {type(rule).__name__}, expected a delivery or a pickup at "
                f"every customer, found neither at node {node}"
            )
    return deliver, collect


def _distance_limit(draft: Draft, rule: DistanceLimit) -> None:
    _refuse_trips(draft, rule)
    limit = draft.instance["distance_limit"][0].double().cpu().numpy()
    draft.limit = np.broadcast_to(limit, (len(draft.shape.depots),))


def _time_windows(draft: Draft, rule: TimeWindows) -> None:
    _clock(draft, rule.release)


def _trip_windows(draft: Draft, rule: TripWindows) -> None:
    """Trips come of the objective or this rule, see `reload`. PyVRP loads for the first, too."""
    for node, amount in zip(draft.shape.depots, _amounts(draft, "service_time"), strict=False):
        if amount:
            raise InputError(
                "pyvrp cannot express TripWindows, expected no service time at a depot, "
                f"found {amount:.10g} at node {node}"
            )
    _clock(draft, rule.release)


def _fleet(draft: Draft, rule: Fleet) -> None:
    _refuse_trips(draft, rule)
    draft.counts = np.minimum(draft.counts, _per_vehicle(draft, "vehicle_count"))


def _allowed_vehicles(draft: Draft, rule: AllowedVehicles) -> None:
    """No leg of the vehicle leads to a node that it may not visit."""
    allowed = draft.instance["allowed"][0].cpu().numpy().astype(bool).copy()
    allowed[:, list(draft.shape.depots)] = True
    for kind, row in enumerate(allowed):
        draft.forbid(np.broadcast_to(~row, draft.distance.shape), kind)


def reload(draft: Draft) -> None:
    """One vehicle of each kind, which may come back to its depot for another trip."""
    draft.counts = np.minimum(draft.counts, 1)
    for kind, arguments in enumerate(draft.vehicle_types):
        arguments["reload_depots"] = [kind]


def _refuse_trips(draft: Draft, rule: Constraint) -> None:
    if draft.costs.trips:
        raise InputError(
            f"pyvrp cannot express {type(rule).__name__}, expected vehicles without trips"
        )


def _duration_limit(draft: Draft, rule: DurationLimit) -> None:
    """Of a route that leaves as late as it may; waiting for windows is part of it."""
    _refuse_trips(draft, rule)
    require_windows(draft.env, draft.instance, rule, "pyvrp")
    _clock(draft, rule.release)

    def bound() -> None:
        for arguments, limit in zip(draft.vehicle_types, draft.times.limit, strict=True):
            if limit < draft.times.horizon:
                arguments["shift_duration"] = int(limit)

    draft.after.append(bound)


def _clock(draft: Draft, release: bool) -> None:
    """Adds windows and services, unless another rule has."""
    draft.released |= release
    if not draft.timed:
        draft.timed = True
        draft.after.append(lambda: _set_windows(draft))


def _set_windows(draft: Draft) -> None:
    times = draft.times
    for node, arguments in draft.nodes.items():
        arguments["service_duration"] = int(times.service[node])
        arguments |= _window(draft, node)
        if draft.released:
            arguments["release_time"] = int(times.release[node])
    for arguments in draft.depots:
        arguments |= _window(draft, arguments["location"])


def wait(draft: Draft) -> None:
    """Adds times where the objective alone asks for them."""
    if draft.costs.time and "time_windows" in draft.instance.keys():
        require_windows(draft.env, draft.instance, draft.env.objective, "pyvrp")
        _clock(draft, draft.costs.release)


def _window(draft: Draft, node: int) -> dict[str, int]:
    return {"tw_early": int(draft.times.open[node]), "tw_late": int(draft.times.close[node])}


def _open_routes(draft: Draft, rule: OpenRoutes) -> None:
    """The shape has no way back."""


def _amounts(draft: Draft, name: str) -> list[int]:
    """An amount of every node, 0 where it is absent."""
    if name not in draft.instance.keys():
        return [0] * len(draft.distance)
    amounts: list[int] = draft.instance[name][0].tolist()
    return amounts


def _per_vehicle(draft: Draft, name: str) -> list[int]:
    """What each vehicle type has of an attribute, whether it is given once or for each."""
    value = draft.instance[name][0]
    amounts: list[int] = value.expand(len(draft.shape.depots)).tolist()
    return amounts


CONSTRAINTS: dict[type[Constraint], Callable[[Draft, Any], None]] = {
    Capacity: _capacity,
    MaximumLoad: _maximum_load,
    MixedLoad: _flexible_load,
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
