"""What vehicles cost: each one that is used, and the distance that it drives."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.data.metric import leg
from nco.envs.checking.routes import Route
from nco.envs.checking.view import InstanceView, stops_of
from nco.envs.objective import Objective
from nco.envs.visits.base import Legs, Visits


class FleetCost(Objective):
    """
    Fixed costs of all routes, and their lengths times the vehicle's cost of a unit (HFVRP, FSMF).

    Instance: ``fixed_cost [B, V]`` and ``unit_cost [B, V]``, 0 and 1 where they are absent.

    Parameters
    ----------
    trips
        Whether the routes of a depot node are trips of one vehicle, whose fixed cost counts once.
    """

    reversible = True

    def __init__(self, trips: bool = False):
        self.trips = trips

    @property
    def additive(self) -> bool:  # type: ignore[override]
        """Not where a vehicle's fixed cost counts once for all its trips."""
        return not self.trips

    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        legs = visits.legs(instance, actions)
        length = leg(instance, legs.origin, legs.target)
        if "unit_cost" in instance.keys():
            length = length * _of_vehicles(instance["unit_cost"], legs.vehicle)
        total = length.sum(-1)
        if "fixed_cost" in instance.keys():
            used = departures(instance, legs)
            if self.trips:
                used = used.clamp_max(1)
            total = total + (used * instance["fixed_cost"].unsqueeze(1)).sum(-1)
        return total

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        plain, total = InstanceView(instance), 0.0
        used: set[int] = set()
        for _, route in plain.known(routes):
            length = sum(plain.lengths(stops_of(route))) / plain.length_steps
            total += length * plain.of_vehicle("unit_cost", route.vehicle, 1)
            if not (self.trips and route.vehicle in used):
                total += plain.of_vehicle("fixed_cost", route.vehicle)
            used.add(route.vehicle)
        return total


def departures(instance: TensorDict, legs: Legs) -> Tensor:
    """Routes that are not empty, by depot node: ``[B, R, V]``."""
    depots = num_depots(instance)
    leaves = (legs.origin < depots) & (legs.target >= depots)
    count = leaves.new_zeros(*leaves.shape[:2], depots, dtype=torch.long)
    return count.scatter_add(-1, legs.vehicle, leaves.long())


def _of_vehicles(value: Tensor, vehicle: Tensor) -> Tensor:
    """Entries of ``value [B, V]`` at ``vehicle [B, R, L]``."""
    return value.gather(1, vehicle.flatten(1)).view(vehicle.shape)
