"""The base class of every rule."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import ClassVar, Literal, Self

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView
from nco.envs.component import Component
from nco.envs.state import State

Scope = Literal["route", "fleet", "solution"]


class Constraint(Component, ABC):
    """
    One rule; owns its part of the state, the mask, the features and the check.

    `violations` judges finished routes with plain numbers and shares no code with `feasible`.
    A part's names are its own: prefix them with the constraint's name if they could clash.

    Parameters
    ----------
    reads
        Attributes of the instance that the rule cannot do without.
    stated_by
        Attributes any of which asks for the rule where problems are composed of what instances
        state: see `asked`.
    scope
        What the rule speaks of: each ``route`` by itself; the ``fleet``, how many routes leave
        from each depot node; or the whole ``solution``. Where no rule speaks of the solution,
        some of its routes are a solution of their customers: see `nco.decoding.subproblems`.
        Every rule states it.
    yields
        Whether it is lifted where all rules together leave no move: see `nco.envs.constraints`.
    trips
        Whether the routes of a depot node are trips of one vehicle, one after the other.
    aboard
        Shipments that may be aboard at the same time where lengths or times are bounded; 0 for
        rules without shipments.
    """

    stated_by: ClassVar[tuple[str, ...]] = ()
    scope: ClassVar[Scope]
    yields: bool = False
    trips: bool = False
    aboard: int = 0
    node_dim: int = 0
    vehicle_dim: int = 0
    context_dim: int = 0
    dynamic_dim: int = 0
    edge_dim: int = 0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not hasattr(cls, "scope"):
            raise TypeError(f"{cls.__name__}: no scope, expected route, fleet or solution")

    @classmethod
    def asked(cls, stated: Collection[str]) -> Self | None:
        """
        The rule as instances with the attributes ``stated`` ask for it; None where they do not.

        A rule whose settings follow from the attributes overrides this.
        """
        return cls() if set(cls.stated_by) & set(stated) else None

    @abstractmethod
    def reversible_on(self, instance: TensorDict) -> Tensor:
        """
        On which instances every route may be driven backwards too, ``[B]`` bool.

        Where legs are as long both ways; see `always`, `never` and `nco.data.neutral.is_neutral`.
        """

    def tables(self, instance: TensorDict) -> dict[str, Tensor]:
        """What the rule derives from the instances once, ``[B, ...]`` by name."""
        return {}

    @abstractmethod
    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        """The constraint's own state, ``[B, R, ...]`` by name."""

    @abstractmethod
    def feasible(self, state: State) -> Tensor:
        """Nodes that the rule allows next, bool, ``[B, R, N]`` (or broadcastable to it)."""

    @abstractmethod
    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        """The own parts after moving from ``state`` to ``action [B, R]``."""

    def unfinished(self, state: State, action: Tensor) -> Tensor | None:
        """
        Where the move from ``state`` leaves something to do at ``action [B, R]``, bool.

        The node then stays unvisited (split deliveries); None where no rule splits visits.
        """
        return None

    def broken(self, state: State) -> Tensor | None:
        """
        Which complete rollouts break the rule because it yielded, ``[B, R]`` bool.

        None where the mask never lets that happen.
        """
        return None

    def node_features(self, instance: TensorDict) -> Tensor | None:
        """Normalised features for the encoder, ``[B, N, node_dim]``."""
        return None

    def vehicle_features(self, instance: TensorDict) -> Tensor | None:
        """
        Normalised features of depot nodes, vehicles and the whole instance for the encoder.

        ``[B, V, vehicle_dim]``; what concerns the whole instance is the same at every depot node.
        """
        return None

    def edge_features(self, instance: TensorDict) -> Tensor | None:
        """Normalised features of ways for encoders that ask, ``[B, N, N, edge_dim]``."""
        return None

    def context(self, state: State) -> Tensor | None:
        """Normalised features for the decoder, ``[B, R, context_dim]``."""
        return None

    def dynamic(self, state: State) -> Tensor | None:
        """Normalised features of nodes that change on the way, ``[B, R, N, dynamic_dim]``."""
        return None

    @abstractmethod
    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        """What is wrong with finished routes; ``instance`` has batch size 1."""

    def impossible(self, instance: TensorDict) -> list[Violation]:
        """Why no solution can exist, on whatever routes; batch size 1."""
        return []

    def totals(self, plain: InstanceView) -> dict[str, tuple[float, list[float]]]:
        """Amounts of all customers by name, and what one route of each vehicle takes at most."""
        return {}

    def most_routes(self, plain: InstanceView) -> list[float] | None:
        """How many routes of each vehicle there are at most; None where the rule bounds none."""
        return None

    def loosened(self, instance: TensorDict, routes: Sequence[Route]) -> TensorDict | None:
        """
        An instance (batch size 1) whose bounds are just so wide that the rule accepts routes.

        None where no bound of the rule can be widened.
        """
        return None

    def refuses(self, plain: InstanceView, route: Route) -> Violation | None:
        """
        Why a vehicle cannot serve a node, on the route on which it does nothing else.

        ``route`` is `InstanceView.alone`: there and back, with the partner of a shipment.
        """
        return None

    def loads(self, plain: InstanceView, routes: Sequence[Route]) -> list[list[float]] | None:
        """
        What is aboard of every route on leaving the depot and each customer, for a schedule.

        None where the rule is not about loads. The routes have known nodes only.
        """
        return None


def always(instance: TensorDict) -> Tensor:
    """True for each instance, ``[B]``."""
    device = next(iter(instance.values())).device
    return torch.ones(len(instance), dtype=torch.bool, device=device)


def never(instance: TensorDict) -> Tensor:
    """False for each instance, ``[B]``."""
    return ~always(instance)
