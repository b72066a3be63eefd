"""What a vehicle carries on one route is bounded."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.base import Constraint, State
from nco.envs.routes import Route, Violation


class Capacity(Constraint):
    """
    The demands of a route sum to at most the capacity (CVRP).

    Instance: ``demand [B, N]`` and ``capacity [B]``, integers, compared exactly. State: ``load
    [B, R]``, the demand served since the depot. Features: demand / capacity of each node, the
    remaining share of the capacity in the decoder (Kool et al. 2019, appendix C.1).
    """

    reads = ("demand", "capacity")
    node_dim = 1
    context_dim = 1

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        demand = instance["demand"]
        return {"load": demand.new_zeros(demand.shape[0], rollouts)}

    def feasible(self, state: State) -> Tensor:
        room = state.instance["capacity"].unsqueeze(-1) - state.parts["load"]
        return state.instance["demand"].unsqueeze(1) <= room.unsqueeze(-1)

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        load = state.parts["load"] + state.instance["demand"].gather(1, action)
        return {"load": torch.where(action == 0, 0, load)}

    def node_features(self, instance: TensorDict) -> Tensor:
        return (instance["demand"] / instance["capacity"].unsqueeze(-1)).unsqueeze(-1).float()

    def context(self, state: State) -> Tensor:
        capacity = state.instance["capacity"].unsqueeze(-1)
        return (1 - state.parts["load"] / capacity).unsqueeze(-1).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        demand, capacity = instance["demand"][0].tolist(), int(instance["capacity"][0])
        found = []
        for k, route in enumerate(routes):
            load = sum(demand[node] for node in route.visits if 0 <= node < len(demand))
            if load > capacity:
                message = f"load {load}, capacity {capacity}"
                found.append(Violation("capacity", message, route=k))
        return found

    def impossible(self, instance: TensorDict) -> list[Violation]:
        capacity = int(instance["capacity"][0])
        return [
            Violation("capacity", f"demand {demand} of node {node}, capacity {capacity}", node=node)
            for node, demand in enumerate(instance["demand"][0].tolist())
            if demand > capacity
        ]
