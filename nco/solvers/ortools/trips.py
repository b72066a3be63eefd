"""
How OR-Tools' routing model expresses trips: stops to reload at, that a vehicle may make or not.

Each is a copy of a depot node for its one vehicle. Their number bounds the trips: enough for any
solution of a small instance, of larger ones three times what the loads ask for.
"""

import math

import numpy as np

from nco.solvers.ortools.model import Draft, Model, amounts

FEW = 12  # customers that might all have trips of their own


def reload(draft: Draft) -> None:
    """One vehicle of each kind, with stops to reload at."""
    draft.counts = np.minimum(draft.counts, 1)
    customers = len(draft.shape.customers)
    most = customers - 1
    if customers > FEW and "capacity" in draft.instance.keys():
        total, capacities = sum(amounts(draft, "demand")), draft.per_vehicle("capacity")
        # Loads that do not split, spread over the vehicles: thrice an even share, and two more.
        share = total / max(1.0, sum(capacities))
        most = min(most, 2 + math.ceil(3 * share))
    draft.reloads = np.where(draft.counts > 0, max(0, most), 0)

    def add(model: Model) -> None:
        routing = model.routing
        for kind, index in model.again():
            routing.AddDisjunction([index], 0)
            routing.VehicleVar(index).SetValues([-1, model.vehicles.index(kind)])

    draft.steps.append(add)
