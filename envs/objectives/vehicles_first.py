"""As few vehicles as possible, and then as little distance."""

from collections.abc import Sequence

from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.data.metric import pairwise
from nco.envs.checking.routes import Route
from nco.envs.objective import Objective
from nco.envs.objectives.distance import Distance
from nco.envs.objectives.fleet_cost import departures
from nco.envs.visits.base import Visits


class VehiclesFirst(Objective):
    """
    The number of routes times more than any distance, plus the distance (Solomon, Li & Lim).

    A vehicle costs the smallest power of ten above what all customers one by one would, so that a
    person can read both numbers off the cost: 10828.94 is ten vehicles and a distance of 828.94.
    In double precision.
    """

    additive = False  # what a vehicle counts depends on the whole instance
    reversible = True

    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        distance = Distance().cost(instance, visits, actions).double()
        routes = departures(instance, visits.legs(instance, actions)).sum(-1)
        return routes * vehicle_worth(instance).unsqueeze(-1) + distance

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        used = sum(1 for route in routes if route.visits)
        distance = Distance().routes_cost(instance, routes)
        return used * float(vehicle_worth(instance)[0]) + distance


def vehicle_worth(instance: TensorDict) -> Tensor:
    """What a vehicle counts, ``[B]``: a power of ten above the length of any solution."""
    legs, depots = pairwise(instance).double(), num_depots(instance)
    # Leaving the largest leg from every node bounds any set of routes with at most one node each.
    longest = legs[:, :, depots:].amax(-1)[:, depots:].sum(-1)
    ways = (legs[:, :depots, depots:].amax(1) + legs.mT[:, :depots, depots:].amax(1)).sum(-1)
    return 10 ** (longest + ways).clamp_min(1e-9).log10().floor().add(1)
