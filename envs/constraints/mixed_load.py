"""The loads of vehicles by one of two rules, instance by instance."""

from collections.abc import Collection, Sequence
from typing import Self

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView
from nco.envs.component import Component
from nco.envs.constraint import Constraint
from nco.envs.constraints.maximum_load import MaximumLoad
from nco.envs.constraints.one_commodity import OneCommodity
from nco.envs.state import State


class MixedLoad(Constraint):
    """
    `MaximumLoad`, or `OneCommodity` where the instance says so: both in one batch.

    Instance: that of the two rules, and the flag ``one_commodity [B]``.

    Features: those of the two, which have the same meanings, and the flag for the encoder.
    """

    reads = ("capacity", "demand", "backhaul", "one_commodity")
    scope = "route"
    node_dim = 2
    vehicle_dim = 1
    context_dim = 2

    def __init__(self) -> None:
        self.usual, self.exchanged = MaximumLoad(), OneCommodity()

    @classmethod
    def asked(cls, stated: Collection[str]) -> Self | None:
        return cls() if {"capacity", "one_commodity"} <= set(stated) else None

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return self.usual.reversible_on(instance) | _flag(instance)

    def serves(self, other: Component) -> dict[str, int] | None:
        if isinstance(other, OneCommodity):
            return {"one_commodity": 1}
        return super().serves(other) if self.usual.serves(other) is None else {}

    def tables(self, instance: TensorDict) -> dict[str, Tensor]:
        return self.usual.tables(instance)

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        return self.usual.reset(instance, rollouts) | self.exchanged.reset(instance, rollouts)

    def feasible(self, state: State) -> Tensor:
        usual, exchanged = self.usual.feasible(state), self.exchanged.feasible(state)
        return torch.where(_flag(state.instance)[:, None, None], exchanged, usual)

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        return self.usual.update(state, action) | self.exchanged.update(state, action)

    def node_features(self, instance: TensorDict) -> Tensor:
        return self.usual.node_features(instance)

    def vehicle_features(self, instance: TensorDict) -> Tensor:
        flag = _flag(instance).float()[:, None, None]
        return flag.expand(-1, num_depots(instance), -1)

    def context(self, state: State) -> Tensor:
        usual, exchanged = self.usual.context(state), self.exchanged.context(state)
        return torch.where(_flag(state.instance)[:, None, None], exchanged, usual)

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        return self._rule(instance).violations(instance, routes)

    def refuses(self, plain: InstanceView, route: Route) -> Violation | None:
        return self._rule(plain.instance).refuses(plain, route)

    def loads(self, plain: InstanceView, routes: Sequence[Route]) -> list[list[float]]:
        return self._rule(plain.instance).loads(plain, routes)

    def _rule(self, instance: TensorDict) -> MaximumLoad | OneCommodity:
        return self.exchanged if bool(_flag(instance)[0]) else self.usual


def _flag(instance: TensorDict) -> Tensor:
    flag: Tensor = instance["one_commodity"].bool()
    return flag
