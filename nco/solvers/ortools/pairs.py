"""How OR-Tools' routing model expresses shipments."""

from collections.abc import Iterator

from nco.envs.constraints import PickupDelivery
from nco.solvers.model.terms import Given, Term
from nco.solvers.ortools.model import Add, FirstSolution, Model

ORDER = "order"


def pickup_delivery(given: Given, rule: PickupDelivery) -> Iterator[Term]:
    """Both on one vehicle, and the delivery at a later place of its route."""
    pairs = {pickup: node for pickup, node in enumerate(given.of_nodes("delivery")) if node}
    yield FirstSolution("PARALLEL_CHEAPEST_INSERTION")  # of pairs

    def add(model: Model) -> None:
        routing, solver = model.routing, model.routing.solver()
        size = len(given.distance) + 1
        routing.AddConstantDimension(1, size, True, ORDER)
        place = routing.GetDimensionOrDie(ORDER)
        for pickup, delivery in pairs.items():
            begin, end = model.manager.NodeToIndex(pickup), model.manager.NodeToIndex(delivery)
            routing.AddPickupAndDelivery(begin, end)
            solver.Add(routing.VehicleVar(begin) == routing.VehicleVar(end))
            solver.Add(place.CumulVar(begin) <= place.CumulVar(end))

    yield Add(add)
