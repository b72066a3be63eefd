"""What a vehicle carries on one route is bounded, and a demand may be served in parts."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Self

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView
from nco.envs.constraint import Constraint, never
from nco.envs.constraints.capacity import capacities, unloading
from nco.envs.state import State


class SplitCapacity(Constraint):
    """
    Deliveries of a route sum to at most the capacity; a customer may be on several routes (SDVRP).

    Instance: ``demand [B, N]`` and ``capacity [B]``, integers, compared exactly; a demand may
    exceed the capacity. State: ``load [B, R]``, served since the depot, and ``remaining
    [B, R, N]``, what is still to deliver. A visit serves as much as it can: the smaller of the
    remaining demand and the room left. So a visit that leaves something behind is the last one of
    its route, which can exclude every optimal solution (one that serves a part in mid-route).

    Features: demand / capacity of each node, the remaining share of the capacity in the decoder,
    and as dynamic feature remaining demand / capacity (Kool et al. 2019, appendix C).
    """

    reads = ("demand", "capacity")
    scope = "solution"
    node_dim = 1
    context_dim = 1
    dynamic_dim = 1

    @classmethod
    def asked(cls, stated: Collection[str]) -> Self | None:
        return cls() if {"capacity", "split"} <= set(stated) else None

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return never(instance)  # what a visit serves follows from the visits before

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        demand = instance["demand"]
        return {
            "load": demand.new_zeros(demand.shape[0], rollouts),
            "remaining": demand.unsqueeze(1).expand(-1, rollouts, -1),
        }

    def feasible(self, state: State) -> Tensor:
        return (state.parts["remaining"] == 0) | (self._room(state) > 0).unsqueeze(-1)

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        remaining, node = state.parts["remaining"], action.unsqueeze(-1)
        left = remaining.gather(-1, node).squeeze(-1)
        served = torch.minimum(left, self._room(state))
        return {
            "load": torch.where(action == 0, 0, state.parts["load"] + served),
            "remaining": remaining.scatter(-1, node, (left - served).unsqueeze(-1)),
        }

    def unfinished(self, state: State, action: Tensor) -> Tensor:
        left = state.parts["remaining"].gather(-1, action.unsqueeze(-1)).squeeze(-1)
        return left > self._room(state)

    def _room(self, state: State) -> Tensor:
        """What the vehicle can still carry, ``[B, R]``."""
        return state.instance["capacity"].unsqueeze(-1) - state.parts["load"]

    def node_features(self, instance: TensorDict) -> Tensor:
        return (instance["demand"] / instance["capacity"].unsqueeze(-1)).unsqueeze(-1).float()

    def context(self, state: State) -> Tensor:
        capacity = state.instance["capacity"].unsqueeze(-1)
        return (1 - state.parts["load"] / capacity).unsqueeze(-1).float()

    def dynamic(self, state: State) -> Tensor:
        capacity = state.instance["capacity"][:, None, None]
        return (state.parts["remaining"] / capacity).unsqueeze(-1).float()

    def totals(self, plain: InstanceView) -> dict[str, tuple[float, list[float]]]:
        return {"demand": (sum(plain.demand), capacities(plain))}

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        """
        Whether amounts exist that serve every demand within every capacity.

        Routes say who is visited, not how much is delivered, and are feasible if and only if a
        flow from the vehicles to the customers on their routes delivers everything. Where a
        single route exceeds its capacity without any split customer, it is named.
        """
        demand, capacity = instance["demand"][0].tolist(), int(instance["capacity"][0])
        stops = [set(route.visits) & set(range(len(demand))) for route in routes]
        vehicles = Counter(node for nodes in stops for node in nodes)
        found = []
        for k, nodes in enumerate(stops):
            load = sum(demand[node] for node in nodes if vehicles[node] == 1)
            if load > capacity:
                message = f"load {load} for customers on no other route, capacity {capacity}"
                found.append(Violation("capacity", message, route=k))
        if not found:
            wanted = sum(demand[node] for node in vehicles)
            delivered = sum(map(sum, deliveries(demand, capacity, routes)))
            if delivered < wanted:
                message = f"capacity {capacity} lets {delivered} of {wanted} be delivered"
                found.append(Violation("capacity", message))
        return found

    def loads(self, plain: InstanceView, routes: Sequence[Route]) -> list[list[float]] | None:
        demand = [int(amount) for amount in plain.demand]
        capacity = int(plain.of_vehicle("capacity", 0))
        return [unloading(amounts) for amounts in deliveries(demand, capacity, routes)]


def deliveries(
    demand: Sequence[int], capacity: int, routes: Sequence[Route]
) -> list[tuple[int, ...]]:
    """
    Amounts that split deliveries may have: for each route one amount per visit, in its order.

    As much as possible is delivered altogether, within the capacity of each route and the demand
    of each customer (maximum flow, exact in integers). Unknown nodes get nothing.
    """
    import networkx as nx  # here: a quarter of a second, for split deliveries alone

    graph = nx.DiGraph()
    graph.add_nodes_from(["depot", "served"])
    for k, route in enumerate(routes):
        graph.add_edge("depot", ("route", k), capacity=capacity)
        for node in route.visits:
            if node in range(len(demand)):
                graph.add_edge(("route", k), node, capacity=capacity)
                graph.add_edge(node, "served", capacity=demand[node])
    _, flow = nx.maximum_flow(graph, "depot", "served")
    amounts = []
    for k, route in enumerate(routes):
        left = dict(flow.get(("route", k), {}))  # a node that comes twice is served the first time
        amounts.append(tuple(left.pop(node, 0) for node in route.visits))
    return amounts
