"""The shapes that a solution can have: one closed tour, or routes from a depot."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_nodes
from nco.envs.base import State, Visits
from nco.envs.routes import Route, Violation


class Tour(Visits):
    """One closed tour through all nodes, without a depot (TSP)."""

    num_depots = 0
    num_context_nodes = 2

    def reset(self, instance: TensorDict, rollouts: int) -> State:
        return _start(instance, rollouts, -1)

    def feasible(self, state: State) -> Tensor:
        # A complete tour waits where it stands, so that no rollout is ever without a move.
        return ~state.visited | (_one_hot(state) & self.done(state).unsqueeze(-1))

    def step(self, state: State, action: Tensor) -> State:
        first = torch.where(state.first < 0, action, state.first)
        visited = state.visited.scatter(-1, action.unsqueeze(-1), True)
        return replace(state, current=action, first=first, visited=visited)

    def done(self, state: State) -> Tensor:
        return state.visited.all(-1)

    def max_steps(self, instance: TensorDict) -> int:
        return num_nodes(instance)

    def context_nodes(self, state: State) -> Tensor:
        return torch.stack([state.first, state.current], dim=-1)

    def routes(self, actions: Sequence[int]) -> tuple[Route, ...]:
        return (Route(tuple(actions), start=None, end=None),)

    def actions(self, routes: Sequence[Route]) -> list[int]:
        (route,) = routes
        return list(route.visits)

    def legs(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        return actions, actions.roll(-1, dims=-1)

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        if len(routes) != 1:
            return [Violation("one tour", f"{len(routes)} routes, expected one tour")]
        return _each_once(routes, range(num_nodes(instance)))


class DepotRoutes(Visits):
    """Any number of routes from one depot (node 0) that visit every customer once (CVRP)."""

    num_depots = 1
    num_context_nodes = 1

    def reset(self, instance: TensorDict, rollouts: int) -> State:
        return _start(instance, rollouts, 0)

    def feasible(self, state: State) -> Tensor:
        served = state.visited[..., 1:]
        # From the depot only to a customer, until all are served: an empty route is no move.
        depot = (state.current != 0) | served.all(-1)
        return torch.cat([depot.unsqueeze(-1), ~served], dim=-1)

    def step(self, state: State, action: Tensor) -> State:
        visited = state.visited.scatter(-1, action.unsqueeze(-1), True)
        return replace(state, current=action, visited=visited)

    def done(self, state: State) -> Tensor:
        return state.visited[..., 1:].all(-1) & (state.current == 0)

    def max_steps(self, instance: TensorDict) -> int:
        return 2 * (num_nodes(instance) - 1)

    def context_nodes(self, state: State) -> Tensor:
        return state.current.unsqueeze(-1)

    def routes(self, actions: Sequence[int]) -> tuple[Route, ...]:
        routes: list[Route] = []
        visits: list[int] = []
        for action in (*actions, 0):
            if action:
                visits.append(action)
            elif visits:
                routes.append(Route(tuple(visits)))
                visits = []
        return tuple(routes)

    def actions(self, routes: Sequence[Route]) -> list[int]:
        return [node for route in routes if route.visits for node in (*route.visits, 0)]

    def legs(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        depot = actions.new_zeros(*actions.shape[:-1], 1)
        return torch.cat([depot, actions], -1), torch.cat([actions, depot], -1)

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        found = [
            Violation("depot", f"from {r.start} to {r.end}, expected depot 0", route=k)
            for k, r in enumerate(routes)
            if (r.start, r.end) != (0, 0)
        ]
        return found + _each_once(routes, range(1, num_nodes(instance)))


def _start(instance: TensorDict, rollouts: int, node: int) -> State:
    batch, device = instance.batch_size[0], instance.device
    device = device or next(iter(instance.values())).device
    nodes = torch.full((batch, rollouts), node, dtype=torch.long, device=device)
    visited = torch.zeros(batch, rollouts, num_nodes(instance), dtype=torch.bool, device=device)
    return State(instance=instance, current=nodes, first=nodes, visited=visited, parts={})


def _one_hot(state: State) -> Tensor:
    nodes = torch.arange(state.visited.shape[-1], device=state.visited.device)
    return nodes == state.current.unsqueeze(-1)


def _each_once(routes: Sequence[Route], expected: range) -> list[Violation]:
    """Every expected node exactly once over all routes, and no other."""
    found: list[Violation] = []
    counts = Counter(node for route in routes for node in route.visits)
    for k, route in enumerate(routes):
        found += [
            Violation("unknown node", f"node {node} is no customer", route=k, node=node)
            for node in route.visits
            if node not in expected
        ]
    for node in expected:
        if counts[node] == 0:
            found.append(Violation("not visited", f"node {node} is on no route", node=node))
        elif counts[node] > 1:
            message = f"node {node} is visited {counts[node]} times, expected once"
            found.append(Violation("visited twice", message, node=node))
    return found
