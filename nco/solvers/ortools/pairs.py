"""How OR-Tools' routing model expresses shipments."""

from nco.envs.constraints import PickupDelivery
from nco.solvers.ortools.model import Draft, Model, amounts

ORDER = "order"


def pickup_delivery(draft: Draft, rule: PickupDelivery) -> None:
    """Both on one vehicle, and the delivery at a later place of its route."""
    pairs = {pickup: node for pickup, node in enumerate(amounts(draft, "delivery")) if node}
    draft.first_solution = "PARALLEL_CHEAPEST_INSERTION"  # of pairs

    def add(model: Model) -> None:
        routing, solver = model.routing, model.routing.solver()
        size = len(draft.distance) + 1
        routing.AddConstantDimension(1, size, True, ORDER)
        place = routing.GetDimensionOrDie(ORDER)
        for pickup, delivery in pairs.items():
            begin, end = model.manager.NodeToIndex(pickup), model.manager.NodeToIndex(delivery)
            routing.AddPickupAndDelivery(begin, end)
            solver.Add(routing.VehicleVar(begin) == routing.VehicleVar(end))
            solver.Add(place.CumulVar(begin) <= place.CumulVar(end))

    draft.steps.append(add)
