"""What single legs cost, as far as costs are known leg by leg."""

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.solvers.model.costs import Costs
from nco.solvers.model.times import service_times, travel_times
from nco.solvers.model.vehicles import VehicleModel


def leg_costs(
    costs: Costs,
    instance: TensorDict,
    shape: VehicleModel,
    distance: NDArray[np.float64],
    busy: bool,
) -> list[NDArray[np.float64]]:
    """
    Costs of legs ``[N, N]`` for each kind of vehicle; equal kinds share their matrix.

    Parameters
    ----------
    distance
        ``[N, N]``, nothing to the depots where routes end on the way.
    busy
        Whether the time of travel and of the service before it is among them.
    """
    travel = travel_times(instance, shape) if busy and costs.time else None
    service = service_times(instance)[:, None]
    known: dict[tuple[float, int, bytes], NDArray[np.float64]] = {}
    found = []
    for kind, weight in enumerate(costs.distance):
        visit = costs.visit[kind]
        key = (float(weight), 0 if travel is None else id(travel[kind]), visit.tobytes())
        if key not in known:
            legs = distance * weight if weight != 1 else distance.copy()
            if travel is not None:
                legs += costs.time * (travel[kind] + service)
            if visit.any():
                legs += visit
            np.fill_diagonal(legs, 0)
            known[key] = legs
        found.append(known[key])
    return found
