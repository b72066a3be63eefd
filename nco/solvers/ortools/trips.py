"""
How OR-Tools' routing model expresses trips: stops to reload at, that a vehicle may make or not.

Each is a copy of a depot node for its one vehicle. Their number bounds the trips: enough for any
solution of a small instance, of larger ones three times what the loads ask for.
"""

import math
from collections.abc import Iterator

from nco.solvers.model.terms import Given, Term, Vehicles
from nco.solvers.ortools.model import Add, Model, Reloads

FEW = 12  # customers that might all have trips of their own


def reload(given: Given) -> Iterator[Term]:
    """One vehicle of each kind, with stops to reload at."""
    count = min(1, given.shape.vehicles)
    customers = len(given.shape.customers)
    most = customers - 1
    if customers > FEW and "capacity" in given.instance.keys():
        total, capacities = sum(given.of_nodes("demand")), given.of_vehicles("capacity")
        # Loads that do not split, spread over the vehicles: thrice an even share, and two more.
        share = total / max(1.0, sum(capacities))
        most = min(most, 2 + math.ceil(3 * share))

    def add(model: Model) -> None:
        routing = model.routing
        for kind, index in model.again():
            routing.AddDisjunction([index], 0)
            routing.VehicleVar(index).SetValues([-1, model.vehicles.index(kind)])

    yield Vehicles((count,) * given.kinds)
    yield Reloads((max(0, most) * count,) * given.kinds)
    yield Add(add)
