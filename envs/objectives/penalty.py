"""The penalties of what is left out."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.routes import Route
from nco.envs.normalisation import length_unit
from nco.envs.objective import Objective
from nco.envs.objectives.prize import customers, visited
from nco.envs.visits.base import Visits


class Penalty(Objective):
    """
    Sum of the penalties of all nodes that are not visited (PCTSP, beside the distance).

    Instance: ``penalty [B, N]``, in the unit of distances and 0 at a depot. Feature: the penalty
    of each node in the unit of the policy's coordinates (Kool et al. 2019, appendix E).
    """

    reads = ("penalty",)
    additive = True
    reversible = True
    node_dim = 1

    def node_features(self, instance: TensorDict) -> Tensor:
        return (instance["penalty"] / length_unit(instance).unsqueeze(-1)).unsqueeze(-1).float()

    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        penalty = instance["penalty"].unsqueeze(1)
        return torch.where(visited(actions, penalty.shape[-1]), 0, penalty).sum(-1)

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        penalty, seen = instance["penalty"][0].tolist(), customers(routes)
        return sum((amount for node, amount in enumerate(penalty) if node not in seen), 0.0)
