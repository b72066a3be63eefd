"""The prize that is collected."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.routes import Route
from nco.envs.objective import Objective
from nco.envs.visits.base import Visits


class Prize(Objective):
    """
    Minus the prizes of all visited nodes (OP).

    Instance: ``prize [B, N]``. Feature: the prize of each node, as it is where no prize exceeds 1
    (Kool et al. 2019, appendix D), else divided by the largest.
    """

    reads = ("prize",)
    additive = True
    reversible = True
    node_dim = 1
    maximised = True

    def node_features(self, instance: TensorDict) -> Tensor:
        prize = instance["prize"]
        return (prize / prize.amax(-1, keepdim=True).clamp_min(1)).unsqueeze(-1).float()

    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        prize = instance["prize"].unsqueeze(1)
        return -torch.where(visited(actions, prize.shape[-1]), prize, 0).sum(-1)

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        prize = instance["prize"][0].tolist()
        return 0.0 - sum(prize[node] for node in customers(routes))


def visited(actions: Tensor, nodes: int) -> Tensor:
    """Which of ``nodes`` nodes the actions ``[B, R, T]`` visit, ``[B, R, nodes]`` bool."""
    none = torch.zeros(*actions.shape[:2], nodes, dtype=torch.bool, device=actions.device)
    return none.scatter(-1, actions, True)


def customers(routes: Sequence[Route]) -> set[int]:
    """All customers on the routes."""
    return {node for route in routes for node in route.visits}
