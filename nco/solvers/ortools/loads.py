"""How OR-Tools' routing model expresses what vehicles carry."""

from nco.envs.constraints import (
    Capacity,
    LinehaulFirst,
    LinehaulOnEachRoute,
    MaximumLoad,
    OneCommodity,
)
from nco.solvers.ortools.model import Draft, Model, amounts


def capacity(draft: Draft, rule: Capacity) -> None:
    """
    A dimension of what was delivered since the depot.

    Where vehicles reload, their capacity is taken off there, or as much of it as there is.
    """
    demand = amounts(draft, "demand")

    def add(model: Model) -> None:
        if not model.again():
            load_dimension(model, "load", demand, True)
            return
        each = [int(amount) for amount in draft.per_vehicle("capacity")]
        # A depot to reload at has the depot's entry: its vehicle's capacity comes off.
        takes = [-each[node] if node < len(each) else demand[node] for node in model.stops]
        transit = model.routing.RegisterUnaryTransitVector(takes)
        bounds = [each[kind] for kind in model.vehicles]
        model.routing.AddDimensionWithVehicleCapacity(transit, max(each), bounds, False, "load")
        load = model.routing.GetDimensionOrDie("load")
        for _, index in model.customers():
            load.SlackVar(index).SetValue(0)
        for vehicle, kind in enumerate(model.vehicles):
            # The start has the depot's entry, too: full, so that the vehicle leaves with nothing.
            start = model.routing.Start(vehicle)
            load.CumulVar(start).SetValue(each[kind])
            load.SlackVar(start).SetValue(0)

    draft.steps.append(add)


def maximum_load(draft: Draft, rule: MaximumLoad) -> None:
    """
    Two dimensions: what is aboard, and what is still to be delivered from the depot.

    Both begin with all deliveries of the route. The second ends with nothing. Where nothing is
    delivered after a pickup, deliveries and pickups each have to fit, and that is all.
    """
    deliver, collect = amounts(draft, "demand"), amounts(draft, "backhaul")
    change = [p - d for d, p in zip(deliver, collect, strict=True)]
    if rule.shipments:
        for node, target in enumerate(amounts(draft, "delivery")):
            if target:
                amount = amounts(draft, "shipment")[node]
                change[node] += amount
                change[target] -= amount
    if not rule.shipments and (_linehauls_lead(draft) or not any(collect)):
        draft.steps.append(lambda model: load_dimension(model, "load", deliver, True))
        draft.steps.append(lambda model: load_dimension(model, "collected", collect, True))
        return
    if draft.counts.sum() > 1:
        draft.first_solution = "PARALLEL_CHEAPEST_INSERTION"  # savings know no loads that change

    def add(model: Model) -> None:
        routing = model.routing
        load_dimension(model, "load", change, False)
        load = routing.GetDimensionOrDie("load")
        if not any(deliver):
            for vehicle in range(len(model.vehicles)):
                load.CumulVar(routing.Start(vehicle)).SetValue(0)
            return
        load_dimension(model, "to deliver", [-amount for amount in deliver], False)
        rest = routing.GetDimensionOrDie("to deliver")
        for vehicle in range(len(model.vehicles)):
            start, end = routing.Start(vehicle), routing.End(vehicle)
            rest.CumulVar(end).SetValue(0)
            routing.solver().Add(load.CumulVar(start) == rest.CumulVar(start))

    draft.steps.append(add)


def _linehauls_lead(draft: Draft) -> bool:
    """Whether nothing is delivered after a pickup."""
    ruled = any(type(rule) is LinehaulFirst for rule in draft.env.constraints)
    return ruled and bool(draft.instance["linehaul_first"][0])


def one_commodity(draft: Draft, rule: OneCommodity) -> None:
    """A dimension of the load whose start is free."""
    pairs = zip(amounts(draft, "demand"), amounts(draft, "backhaul"), strict=True)
    change = [collected - delivered for delivered, collected in pairs]
    draft.steps.append(lambda model: load_dimension(model, "load", change, False))


def linehaul_first(draft: Draft, rule: LinehaulFirst) -> None:
    """A dimension of 0 up to the last delivery and 1 from the first pickup on."""
    if not bool(draft.instance["linehaul_first"][0]):
        return
    deliver, collect = amounts(draft, "demand"), amounts(draft, "backhaul")
    both = [int(d > 0 and p > 0) for d, p in zip(deliver, collect, strict=True)]

    def add(model: Model) -> None:
        transit = model.vector(both)
        model.routing.AddDimension(transit, 1, 1, False, "phase")
        phase = model.routing.GetDimensionOrDie("phase")
        for node in draft.shape.customers:
            moment = phase.CumulVar(model.manager.NodeToIndex(node))
            if deliver[node]:
                moment.SetMax(0)
            elif collect[node]:
                moment.SetMin(1)

    draft.steps.append(add)


def linehaul_on_each_route(draft: Draft, rule: LinehaulOnEachRoute) -> None:
    """
    A dimension counts the customers that are no mere pickups: every vehicle that drives has one.
    """
    deliver, collect = amounts(draft, "demand"), amounts(draft, "backhaul")
    other = [0] * len(deliver)
    for node in draft.shape.customers:
        other[node] = int(deliver[node] > 0 or collect[node] == 0)

    def add(model: Model) -> None:
        routing = model.routing
        transit = model.vector(other)
        routing.AddDimension(transit, 0, sum(other), True, "deliveries")
        count = routing.GetDimensionOrDie("deliveries")
        for vehicle in range(len(model.vehicles)):
            drives = routing.ActiveVehicleVar(vehicle)
            routing.solver().Add(count.CumulVar(routing.End(vehicle)) >= drives)

    draft.steps.append(add)


def load_dimension(model: Model, name: str, change: list[int], empty: bool) -> None:
    """What each vehicle carries: changed by every node, from nothing or from any load on."""
    capacity = model.draft.per_vehicle("capacity")
    each = [int(capacity[kind]) for kind in model.vehicles]
    transit = model.vector(change)
    model.routing.AddDimensionWithVehicleCapacity(transit, 0, each, empty, name)
