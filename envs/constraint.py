"""The base class of every rule."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView
from nco.envs.state import State


class Constraint(ABC):
    """
    One rule; owns its part of the state, the mask, the features and the check.

    `violations` judges finished routes with plain numbers and shares no code with `feasible`.
    A part's names are its own: prefix them with the constraint's name if they could clash.
    ``reads`` names the attributes of the instance that the rule cannot do without. A rule that
    ``yields`` is lifted where all rules together leave no move: see `nco.envs.constraints`. A rule
    is ``reversible`` if it allows every route backwards too, where legs are as long both ways.
    """

    reads: tuple[str, ...] = ()
    yields: bool = False
    reversible: bool = False
    node_dim: int = 0
    vehicle_dim: int = 0
    context_dim: int = 0
    dynamic_dim: int = 0

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
