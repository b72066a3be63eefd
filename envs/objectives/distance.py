"""The total distance driven."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.metric import leg
from nco.envs.checking.routes import Route
from nco.envs.objective import Objective
from nco.envs.visits.base import Visits


class Distance(Objective):
    """Sum of all legs, by the instance's own metric and rounding."""

    additive = True
    of_legs = True
    reversible = True

    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        legs = visits.legs(instance, actions)
        return leg(instance, legs.origin, legs.target).sum(-1)

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        paths = [path(route) for route in routes if route.visits]
        if not paths:
            return 0.0
        origin = torch.tensor([node for nodes in paths for node in nodes[:-1]])
        target = torch.tensor([node for nodes in paths for node in nodes[1:]])
        return float(leg(instance, origin.unsqueeze(0), target.unsqueeze(0)).double().sum())


def path(route: Route) -> list[int]:
    """All nodes of a route in order, with its depots; a tour without depot is closed."""
    if route.start is None:
        return [*route.visits, route.visits[0]]
    return [route.start, *route.visits, *([] if route.end is None else [route.end])]
