"""
How PyVRP's data model expresses each part of a problem. A new rule is one more row.

A row is called with the draft of the data and adds to the keyword arguments of its clients,
depots and vehicle types (see PyVRP's ``Client``, ``Depot`` and ``VehicleType``). The data are
built when every rule has spoken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvrp
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.envs.base import Constraint, Objective
from nco.envs.constraints import Capacity
from nco.envs.objectives import Distance
from nco.solvers.scaling import Scaling
from nco.solvers.shapes import Shape

Arguments = dict[str, Any]


@dataclass
class Draft:
    """
    What is known of the data before they can be built.

    Parameters
    ----------
    instance
        One instance (batch size 1). Its nodes are PyVRP's locations.
    shape
        Depots and customers, in the order of PyVRP's.
    distance
        ``[N, N]`` in the unit of the instance.
    scaling
        How costs become integers.
    clients, depots, vehicle_types
        Keyword arguments of each, in PyVRP's units.
    """

    instance: TensorDict
    shape: Shape
    distance: NDArray[np.float64]
    scaling: Scaling
    clients: list[Arguments]
    depots: list[Arguments]
    vehicle_types: list[Arguments]

    def build(self) -> pyvrp.ProblemData:
        """The data that all rules together ask for."""
        distance: Any = self.scaling.integers(self.distance)
        # Only plots look at the coordinates; distances come from the matrix alone.
        locations = [pyvrp.Location(0, 0) for _ in distance]
        return pyvrp.ProblemData(
            locations=locations,
            clients=[pyvrp.Client(**arguments) for arguments in self.clients],
            depots=[pyvrp.Depot(**arguments) for arguments in self.depots],
            vehicle_types=[pyvrp.VehicleType(**arguments) for arguments in self.vehicle_types],
            distance_matrices=[distance],
            duration_matrices=[np.zeros_like(distance)],
        )


def _capacity(draft: Draft, rule: Capacity) -> None:
    demand = draft.instance["demand"][0].tolist()
    for client in draft.clients:
        client.setdefault("delivery", []).append(demand[client["location"]])
    for vehicle_type in draft.vehicle_types:
        vehicle_type.setdefault("capacity", []).append(int(draft.instance["capacity"][0]))


def _distance(draft: Draft, objective: Distance) -> None:
    for vehicle_type in draft.vehicle_types:
        vehicle_type["unit_distance_cost"] = 1


CONSTRAINTS: dict[type[Constraint], Callable[[Draft, Any], None]] = {
    Capacity: _capacity,
}

OBJECTIVES: dict[type[Objective], Callable[[Draft, Any], None]] = {
    Distance: _distance,
}
