"""Routes may end at their last customer."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.data.neutral import is_neutral
from nco.envs.checking.routes import Route, Violation
from nco.envs.constraint import Constraint
from nco.envs.state import State


class OpenRoutes(Constraint):
    """
    On instances that say so, no way back to the depot is driven (OVRP).

    Instance: the flag ``open_route [B]``. What it means for legs and routes is up to the
    visits, which also check where routes end; what it means for lengths and times that of their
    rules. Here is what a policy sees of it, and what tells a solver.

    Features: the flag, for the encoder and in the decoder.
    """

    reads = ("open_route",)
    stated_by = ("open_route",)
    scope = "route"
    vehicle_dim = 1
    context_dim = 1

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return is_neutral(instance, "open_route")

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        return {}

    def feasible(self, state: State) -> Tensor:
        return torch.ones((), dtype=torch.bool, device=state.current.device)

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        return {}

    def vehicle_features(self, instance: TensorDict) -> Tensor:
        flag = instance["open_route"].float()[:, None, None]
        return flag.expand(-1, num_depots(instance), -1)

    def context(self, state: State) -> Tensor:
        flag = state.instance["open_route"].float()[:, None, None]
        return flag.expand(-1, state.current.shape[1], -1)

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        return []
