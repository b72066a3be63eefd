"""Routes from the depot that may serve a customer in parts."""

from collections import Counter
from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_nodes
from nco.envs.checking.routes import Route, Violation
from nco.envs.state import one_hot
from nco.envs.visits.depot_routes import DepotRoutes


class SplitRoutes(DepotRoutes):
    """
    Routes from one depot (node 0) that visit every customer at least once (SDVRP).

    Belongs with the constraint `SplitCapacity`, which says how much a visit serves. A customer
    may be on several routes, once on each; ``visited`` says that it is served completely. Routes
    carry no amounts: see `SplitCapacity.violations`.
    """

    parts = None  # what a visit serves follows from the routes before

    def max_steps(self, instance: TensorDict) -> int:
        # A visit serves what is left of a customer, or fills the vehicle and ends its route.
        full = -(-instance["demand"].sum(-1) // instance["capacity"])
        return 2 * (num_nodes(instance) - 1 + int(full.max()))

    def shuffled(self, actions: Tensor, reversible: Tensor, rng: torch.Generator) -> Tensor:
        return actions  # what a visit serves follows from the visits before

    def answers(self, instance: TensorDict, actions: Tensor, reversible: Tensor) -> Tensor:
        return one_hot(actions, num_nodes(instance))

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        found = []
        seen: set[int] = set()
        for k, route in enumerate(routes):
            if (route.start, route.end) != (0, 0):
                message = f"from {route.start} to {route.end}, expected depot 0"
                found.append(Violation("depot", message, route=k))
            for node, times in Counter(route.visits).items():
                if not 0 < node < num_nodes(instance):
                    message = f"node {node} is no customer"
                    found.append(Violation("unknown node", message, route=k, node=node))
                elif times > 1:
                    message = f"node {node} is visited {times} times, expected once a route"
                    found.append(Violation("visited twice", message, route=k, node=node))
                seen.add(node)
        for node in range(1, num_nodes(instance)):
            if node not in seen:
                found.append(Violation("not visited", f"node {node} is on no route", node=node))
        return found
