"""How OR-Tools' routing model expresses what vehicles carry."""

from collections.abc import Callable, Iterator, Sequence

from nco.envs.constraints import (
    Capacity,
    LinehaulFirst,
    LinehaulOnEachRoute,
    MaximumLoad,
    OneCommodity,
)
from nco.solvers.model.terms import Given, Load, Term
from nco.solvers.ortools.model import Add, FirstSolution, Model


def capacity(given: Given, rule: Capacity) -> Iterator[Term]:
    """What is delivered from the depot."""
    yield given.load("load", given.of_nodes("demand"), given.of_vehicles("capacity"))


def maximum_load(given: Given, rule: MaximumLoad) -> Iterator[Term]:
    """Deliveries, pickups and shipments; each by itself where nothing is delivered after them."""
    deliver, collect = given.of_nodes("demand"), given.of_nodes("backhaul")
    each = given.of_vehicles("capacity")
    if not rule.shipments and (_linehauls_lead(given) or not any(collect)):
        yield given.load("load", deliver, each)
        yield given.load("collected", collect, each)
        return
    shipped = given.of_nodes("shipment" if rule.shipments else "")
    if given.kinds * given.shape.vehicles > 1:
        yield FirstSolution("PARALLEL_CHEAPEST_INSERTION")  # savings know no loads that change
    yield Load("load", deliver, collect, each, shipped)


def _linehauls_lead(given: Given) -> bool:
    """Whether nothing is delivered after a pickup."""
    ruled = any(type(rule) is LinehaulFirst for rule in given.env.constraints)
    return ruled and bool(given.instance["linehaul_first"][0])


def one_commodity(given: Given, rule: OneCommodity) -> Iterator[Term]:
    """A dimension of the load whose start is free."""
    pairs = zip(given.of_nodes("demand"), given.of_nodes("backhaul"), strict=True)
    change = [collected - delivered for delivered, collected in pairs]
    each = given.of_vehicles("capacity")
    yield Add(lambda model: _dimension(model, "load", change, each, False))


def linehaul_first(given: Given, rule: LinehaulFirst) -> Iterator[Term]:
    """A dimension of 0 up to the last delivery and 1 from the first pickup on."""
    if not bool(given.instance["linehaul_first"][0]):
        return
    deliver, collect = given.of_nodes("demand"), given.of_nodes("backhaul")
    both = [int(d > 0 and p > 0) for d, p in zip(deliver, collect, strict=True)]

    def add(model: Model) -> None:
        transit = model.vector(both)
        model.routing.AddDimension(transit, 1, 1, False, "phase")
        phase = model.routing.GetDimensionOrDie("phase")
        for node, index in model.customers():
            if deliver[node]:
                phase.CumulVar(index).SetMax(0)
            elif collect[node]:
                phase.CumulVar(index).SetMin(1)

    yield Add(add)


def linehaul_on_each_route(given: Given, rule: LinehaulOnEachRoute) -> Iterator[Term]:
    """
    A dimension counts the customers that are no mere pickups: every vehicle that drives has one.
    """
    deliver, collect = given.of_nodes("demand"), given.of_nodes("backhaul")
    other = [0] * len(deliver)
    for node in given.shape.customers:
        other[node] = int(deliver[node] > 0 or collect[node] == 0)

    def add(model: Model) -> None:
        routing = model.routing
        transit = model.vector(other)
        routing.AddDimension(transit, 0, sum(other), True, "deliveries")
        count = routing.GetDimensionOrDie("deliveries")
        for vehicle in range(len(model.vehicles)):
            drives = routing.ActiveVehicleVar(vehicle)
            routing.solver().Add(count.CumulVar(routing.End(vehicle)) >= drives)

    yield Add(add)


def load(given: Given, term: Load) -> list[Callable[[Model], None]]:
    """
    The dimensions of a load.

    Of what is only delivered, or only collected, the sum since the depot. Else what is aboard, and
    what is still to be delivered from the depot: both begin with all deliveries of the route, and
    the second ends with nothing.
    """
    if not any(term.collect) and not any(term.shipped):
        return [lambda model: _delivered(model, term)]
    change = [p - d for d, p in zip(term.deliver, term.collect, strict=True)]
    targets = given.of_nodes("delivery")
    for node, amount in enumerate(term.shipped):
        change[node] += amount
        change[targets[node]] -= amount

    def add(model: Model) -> None:
        routing = model.routing
        _dimension(model, term.name, change, term.capacity, False)
        aboard = routing.GetDimensionOrDie(term.name)
        if not any(term.deliver):
            for vehicle in range(len(model.vehicles)):
                aboard.CumulVar(routing.Start(vehicle)).SetValue(0)
            return
        due = f"{term.name} to deliver"
        _dimension(model, due, [-amount for amount in term.deliver], term.capacity, False)
        rest = routing.GetDimensionOrDie(due)
        for vehicle in range(len(model.vehicles)):
            start, end = routing.Start(vehicle), routing.End(vehicle)
            rest.CumulVar(end).SetValue(0)
            routing.solver().Add(aboard.CumulVar(start) == rest.CumulVar(start))

    return [add]


def _delivered(model: Model, term: Load) -> None:
    """
    A dimension of what was delivered since the depot.

    Where vehicles reload, their capacity is taken off there, or as much of it as there is.
    """
    if not model.again():
        _dimension(model, term.name, term.deliver, term.capacity, True)
        return
    each = [int(amount) for amount in term.capacity]
    # A depot to reload at has the depot's entry: its vehicle's capacity comes off.
    takes = [-each[node] if node < len(each) else term.deliver[node] for node in model.stops]
    transit = model.routing.RegisterUnaryTransitVector(takes)
    bounds = [each[kind] for kind in model.vehicles]
    model.routing.AddDimensionWithVehicleCapacity(transit, max(each), bounds, False, term.name)
    carried = model.routing.GetDimensionOrDie(term.name)
    for _, index in model.customers():
        carried.SlackVar(index).SetValue(0)
    for vehicle, kind in enumerate(model.vehicles):
        # The start has the depot's entry, too: full, so that the vehicle leaves with nothing.
        start = model.routing.Start(vehicle)
        carried.CumulVar(start).SetValue(each[kind])
        carried.SlackVar(start).SetValue(0)


def _dimension(
    model: Model, name: str, change: Sequence[int], capacity: Sequence[int], empty: bool
) -> None:
    """What each vehicle carries: changed by every node, from nothing or from any load on."""
    each = [int(capacity[kind]) for kind in model.vehicles]
    transit = model.vector(change)
    model.routing.AddDimensionWithVehicleCapacity(transit, 0, each, empty, name)
