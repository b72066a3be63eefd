"""The base class of what is minimised."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.routes import Route
from nco.envs.component import Component
from nco.envs.visits.base import Visits


class Objective(Component, ABC):
    """
    What is minimised.

    Parameters
    ----------
    additive
        Whether it is a sum over routes and over customers left out, so that a change of some
        routes changes it by as much in an instance of their customers alone. Every objective
        states it.
    of_legs
        Whether it is the sum of the lengths of all legs and nothing else.
    reversible
        Whether routes cost as much backwards, where legs are as long both ways.
    trips
        Whether the routes of a depot node are trips of one vehicle.
    node_dim
        Size of `node_features`.
    maximised
        Whether people state minus the cost: a prize that is collected.
    reads
        Attributes of the instance that it cannot do without, beside the distances.
    """

    additive: bool
    of_legs: bool = False
    reversible: bool = False
    trips: bool = False
    node_dim: int = 0
    maximised: bool = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not hasattr(cls, "additive"):
            raise TypeError(f"{cls.__name__}: additive is missing, expected True or False")

    def node_features(self, instance: TensorDict) -> Tensor | None:
        """What a node is worth, for the encoder, normalised: ``[B, N, node_dim]``."""
        return None

    @abstractmethod
    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        """Cost of complete rollouts ``actions [B, R, T]``, shape ``[B, R]``."""

    @abstractmethod
    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        """Cost of finished routes of one instance (batch size 1), in double precision."""
