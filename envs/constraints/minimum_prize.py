"""A tour may end only when enough prize is collected."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.routes import Route, Violation
from nco.envs.constraint import Constraint, never
from nco.envs.state import State


class MinimumPrize(Constraint):
    """
    The collected prizes sum to at least a minimum, or every customer is visited (PCTSP).

    Instance: ``prize [B, N]`` and ``min_prize [B]``. State: ``collected [B, R]``. The sum is taken
    in double precision in the order of the visits and compared as it is, by mask and check alike.

    Features: prize / minimum of each node, the share still to collect in the decoder (Kool et al.
    2019, appendix E, where the minimum is 1).

    Parameters
    ----------
    collected
        The attribute that a visit collects. ``stochastic_prize`` makes it the SPCTSP: a policy
        sees the expected ``prize`` of each node, and the real one only in what it has collected.
    """

    node_dim = 1
    scope = "solution"
    context_dim = 1

    def __init__(self, collected: str = "prize"):
        self.reads = ("min_prize", "prize", collected)
        self.collected = collected

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return never(instance)  # sums of real numbers depend on their order

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        minimum = instance["min_prize"]
        return {"collected": minimum.new_zeros(len(minimum), rollouts, dtype=torch.double)}

    def feasible(self, state: State) -> Tensor:
        enough = state.parts["collected"] >= state.instance["min_prize"].unsqueeze(-1)
        depot = (enough | state.visited[..., 1:].all(-1)).unsqueeze(-1)
        return torch.cat([depot, torch.ones_like(state.visited[..., 1:])], dim=-1)

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        gain = state.instance[self.collected].double().gather(1, action)
        return {"collected": state.parts["collected"] + torch.where(action == 0, 0, gain)}

    def node_features(self, instance: TensorDict) -> Tensor:
        return (instance["prize"] / _scale(instance)).unsqueeze(-1).float()

    def context(self, state: State) -> Tensor:
        left = state.instance["min_prize"].unsqueeze(-1) - state.parts["collected"]
        return (left.clamp_min(0) / _scale(state.instance)).unsqueeze(-1).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        prize, minimum = instance[self.collected][0].tolist(), float(instance["min_prize"][0])
        customers = range(1, len(prize))
        visited = [node for route in routes for node in route.visits if node in customers]
        total = 0.0
        for node in dict.fromkeys(visited):
            total += prize[node]
        if total >= minimum or set(visited) == set(customers):
            return []
        return [Violation("minimum prize", f"prize {total}, minimum {minimum}")]


def _scale(instance: TensorDict) -> Tensor:
    """The minimum prize ``[B, 1]``, or 1 where there is none to divide by."""
    minimum = instance["min_prize"].unsqueeze(-1)
    return torch.where(minimum > 0, minimum, 1)
