"""Several objectives added up."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.base import Objective, Visits
from nco.envs.routes import Route


class Total(Objective):
    """
    The sum of several objectives, such as distance and penalties (PCTSP).

    Parameters
    ----------
    terms
        What is added up; their node features follow one another in this order.
    """

    def __init__(self, *terms: Objective):
        self.terms = terms
        self.reads = tuple(name for term in terms for name in term.reads)
        self.node_dim = sum(term.node_dim for term in terms)

    def node_features(self, instance: TensorDict) -> Tensor | None:
        columns = [f for term in self.terms if (f := term.node_features(instance)) is not None]
        return torch.cat(columns, dim=-1) if columns else None

    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        return torch.stack([term.cost(instance, visits, actions) for term in self.terms]).sum(0)

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        return sum(term.routes_cost(instance, routes) for term in self.terms)
