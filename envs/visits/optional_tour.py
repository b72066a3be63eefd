"""A tour from the depot that leaves customers out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_nodes
from nco.envs.checking.routes import Route, Violation
from nco.envs.state import State
from nco.envs.visits.base import Legs, Visits
from nco.envs.visits.depot_routes import depot_legs, is_open


class OptionalTour(Visits):
    """
    One closed route from the depot (node 0) that visits each customer at most once (OP, PCTSP).

    Moving to the depot ends the tour, at any time and even before it began, as far as the
    constraints allow; rollouts that ended wait there. ``visited`` of the depot says that it has
    ended.
    """

    num_depots = 1
    num_context_nodes = 1
    optional = True

    def reset(self, instance: TensorDict, rollouts: int) -> State:
        batch, device = instance.batch_size[0], next(iter(instance.values())).device
        nodes = torch.zeros(batch, rollouts, dtype=torch.long, device=device)
        visited = torch.zeros(batch, rollouts, num_nodes(instance), dtype=torch.bool, device=device)
        return State(instance, nodes, nodes, visited, {}, optional=True)

    def feasible(self, state: State) -> Tensor:
        free = ~(state.visited | state.visited[..., :1])
        return torch.cat([torch.ones_like(free[..., :1]), free[..., 1:]], dim=-1)

    def step(self, state: State, action: Tensor) -> State:
        visited = state.visited.scatter(-1, action.unsqueeze(-1), True)
        return replace(state, current=action, visited=visited)

    def done(self, state: State) -> Tensor:
        return state.visited[..., 0]

    def max_steps(self, instance: TensorDict) -> int:
        return num_nodes(instance)

    def context_nodes(self, state: State) -> Tensor:
        return state.current.unsqueeze(-1)

    def routes(self, instance: TensorDict, actions: Sequence[int]) -> tuple[Route, ...]:
        visits = []
        for action in actions:
            if action == 0:
                break
            visits.append(action)
        end = None if is_open(instance) else 0
        return (Route(tuple(visits), end=end),) if visits else ()

    def actions(self, instance: TensorDict, routes: Sequence[Route]) -> list[int]:
        return [*(node for route in routes for node in route.visits), 0]

    def legs(self, instance: TensorDict, actions: Tensor) -> Legs:
        return depot_legs(instance, actions)

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        found = []
        if len(routes) > 1:
            found.append(Violation("one tour", f"{len(routes)} routes, expected at most one"))
        counts: Counter[int] = Counter()
        end = None if is_open(instance) else 0
        expected = "depot 0" if end == 0 else "depot 0 and an open end"
        for k, route in enumerate(routes):
            if (route.start, route.end) != (0, end):
                message = f"from {route.start} to {route.end}, expected {expected}"
                found.append(Violation("depot", message, route=k))
            counts.update(route.visits)
        for node, times in sorted(counts.items()):
            if not 0 < node < num_nodes(instance):
                message = f"node {node} is no customer"
                found.append(Violation("unknown node", message, node=node))
            elif times > 1:
                message = f"node {node} is visited {times} times, expected at most once"
                found.append(Violation("visited twice", message, node=node))
        return found
