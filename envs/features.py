"""What a policy sees of instances and of rollouts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor


@dataclass(frozen=True)
class Features:
    """
    All that a policy's encoder sees of a batch of instances.

    Parameters
    ----------
    nodes
        ``[B, N, F]``: normalised coordinates (when there are any), then each constraint's features,
        then the objective's.
    coords
        Normalised coordinates ``[B, N, 2]`` in the unit square, or None.
    distance
        Distances ``[B, N, N]`` in the unit of ``coords`` where a matrix is given, or None: then
        they are the Euclidean ones of ``coords``.
    num_depots
        Depot nodes V at the front of the node order.
    vehicles
        ``[B, V, G]``: what is particular to each depot node and its vehicles, and what concerns
        the whole instance; None where nothing is.
    make_edges
        Computes `edges`, when a policy asks for them.
    """

    nodes: Tensor
    coords: Tensor | None = None
    distance: Tensor | None = None
    num_depots: int = 0
    vehicles: Tensor | None = None
    make_edges: Callable[[], Tensor] | None = None

    @cached_property
    def edges(self) -> Tensor | None:
        """
        What is particular to the way from each node to each other, ``[B, N, N, E]``.

        Row = from, column = to: the distance and the travel time, in the unit of ``coords``, then
        each constraint's features. Computed when it is first asked for; None where an environment
        says nothing.
        """
        return None if self.make_edges is None else self.make_edges()


@dataclass(frozen=True)
class Context:
    """
    All that a policy's decoder sees of the state of the rollouts.

    Parameters
    ----------
    nodes
        ``[B, R, K]`` node indices, -1 where there is none; the last one is the current node.
    scalars
        ``[B, R, C]`` normalised numbers of the constraints.
    mask
        ``[B, R, N]`` bool, True = may come next.
    dynamic
        ``[B, R, N, D]`` normalised features of nodes that change on the way, or None.
    """

    nodes: Tensor
    scalars: Tensor
    mask: Tensor
    dynamic: Tensor | None = None


@dataclass(frozen=True)
class FeatureSpec:
    """
    The sizes from which a policy is built: see `Features` and `Context`.

    ``num_depots`` is 0 for tours without depot; else there is at least one depot node, and
    `Features.num_depots` of each instance says how many.
    """

    node_dim: int
    context_dim: int
    context_nodes: int
    num_depots: int
    dynamic_dim: int = 0
    vehicle_dim: int = 0
    edge_dim: int = 0
