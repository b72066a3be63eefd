"""
The capacity rules as the Attention Model's code computes them, to reproduce published figures.

Kool et al. (2019) keep loads as shares of the capacity and add them in single precision. Vehicles
that are exactly full often add up to slightly more than 1 (0.3 + 0.3 + 0.4, say), and are refused;
split deliveries leave crumbs of 1e-8 that cost another visit. Nothing infeasible is ever allowed.
Their published CVRP and SDVRP costs depend on it: with the published weights for n=20, greedy
decoding gives 6.403 and 6.394 by this arithmetic, as published, but 6.377 and 6.337 by exact sums.
"""

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.constraints.capacity import Capacity
from nco.envs.constraints.split_capacity import SplitCapacity
from nco.envs.state import State


class SinglePrecisionCapacity(Capacity):
    """
    `Capacity` with float32 shares: ``load [B, R]`` and demands are parts of the capacity.

    Checked exactly, as `Capacity` is.
    """

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        return {"load": _empty(instance, rollouts)}

    def feasible(self, state: State) -> Tensor:
        share = self.node_features(state.instance).mT  # [B, 1, N]
        return share + state.parts["load"].unsqueeze(-1) <= 1

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        share = self.node_features(state.instance).squeeze(-1).gather(1, action)
        return {"load": torch.where(action == 0, 0, state.parts["load"] + share)}

    def context(self, state: State) -> Tensor:
        return (1 - state.parts["load"]).unsqueeze(-1)


class SinglePrecisionSplitCapacity(SplitCapacity):
    """
    `SplitCapacity` with float32 shares: ``load`` and ``remaining`` are parts of the capacity.

    Checked exactly, as `SplitCapacity` is.
    """

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        share = self.node_features(instance).mT
        return {"load": _empty(instance, rollouts), "remaining": share.expand(-1, rollouts, -1)}

    def _room(self, state: State) -> Tensor:
        return 1 - state.parts["load"]

    def context(self, state: State) -> Tensor:
        return self._room(state).unsqueeze(-1)

    def dynamic(self, state: State) -> Tensor:
        return state.parts["remaining"].unsqueeze(-1)


def _empty(instance: TensorDict, rollouts: int) -> Tensor:
    capacity = instance["capacity"]
    return capacity.new_zeros(len(capacity), rollouts, dtype=torch.float)
