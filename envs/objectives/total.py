"""Several objectives added up."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.routes import Route
from nco.envs.objective import Objective
from nco.envs.visits.base import Visits


class Total(Objective):
    """
    The weighted sum of several objectives, such as distance and penalties (PCTSP).

    Parameters
    ----------
    terms
        What is added up; their node features follow one another in this order.
    weights
        What each is multiplied by, 1 by default.

    Raises
    ------
    ValueError
        There is not one weight for each term.
    """

    def __init__(self, *terms: Objective, weights: Sequence[float] | None = None):
        self.terms = terms
        self.weights = tuple(weights) if weights is not None else (1.0,) * len(terms)
        if len(self.weights) != len(terms):
            raise ValueError(f"{len(self.weights)} weights for {len(terms)} terms")
        self.reads = tuple(name for term in terms for name in term.reads)
        self.node_dim = sum(term.node_dim for term in terms)

    @property
    def additive(self) -> bool:  # type: ignore[override]
        return all(term.additive for term in self.terms)

    @property
    def reversible(self) -> bool:  # type: ignore[override]
        return all(term.reversible for term in self.terms)

    @property
    def trips(self) -> bool:  # type: ignore[override]
        return any(term.trips for term in self.terms)

    def node_features(self, instance: TensorDict) -> Tensor | None:
        columns = [f for term in self.terms if (f := term.node_features(instance)) is not None]
        return torch.cat(columns, dim=-1) if columns else None

    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        costs = [term.cost(instance, visits, actions) for term in self.terms]
        return torch.stack([w * c for w, c in zip(self.weights, costs, strict=True)]).sum(0)

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        costs = [term.routes_cost(instance, routes) for term in self.terms]
        return sum(w * c for w, c in zip(self.weights, costs, strict=True))
