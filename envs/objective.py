"""The base class of what is minimised."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.routes import Route
from nco.envs.visits.base import Visits


class Objective(ABC):
    """
    What is minimised.

    Parameters
    ----------
    node_dim
        Size of `node_features`.
    maximised
        Whether people state minus the cost: a prize that is collected.
    reads
        Attributes of the instance that it cannot do without, beside the distances.
    """

    reads: tuple[str, ...] = ()
    node_dim: int = 0
    maximised: bool = False

    def node_features(self, instance: TensorDict) -> Tensor | None:
        """What a node is worth, for the encoder, normalised: ``[B, N, node_dim]``."""
        return None

    @abstractmethod
    def cost(self, instance: TensorDict, visits: Visits, actions: Tensor) -> Tensor:
        """Cost of complete rollouts ``actions [B, R, T]``, shape ``[B, R]``."""

    @abstractmethod
    def routes_cost(self, instance: TensorDict, routes: Sequence[Route]) -> float:
        """Cost of finished routes of one instance (batch size 1), in double precision."""
