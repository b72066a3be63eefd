"""The parts that a routing environment is composed of: visits, constraints, an objective."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_nodes
from nco.envs import native
from nco.envs.plain import Plain
from nco.envs.routes import Route, Violation


@dataclass(frozen=True)
class State:
    """
    Where R rollouts of each of B instances stand. A record: every step returns a new one.

    Parameters
    ----------
    instance
        The instances, ``[B]``; shared by all rollouts, never copied.
    current
        Node of the vehicle, ``[B, R]``; -1 before the first node of a tour without depot.
    first
        Node where the tour began, with depots the one that the running route left, ``[B, R]``; -1
        before it has.
    visited
        Nodes that are served, ``[B, R, N]`` bool.
    parts
        What each constraint keeps, ``[B, R, ...]`` by name.
    tables
        What follows from the instances alone, ``[B, ...]`` by name; shared by all rollouts.
        ``startable [B, V, N]`` says which nodes a route from each depot node may visit first.
    optional
        Whether customers may be left out.
    count
        How many nodes are visited, ``[B, R]``, where the visits keep it up to date.
    """

    instance: TensorDict
    current: Tensor
    first: Tensor
    visited: Tensor
    parts: dict[str, Tensor]
    tables: dict[str, Tensor] = field(default_factory=dict)
    optional: bool = False
    count: Tensor | None = None

    def select(self, index: Tensor) -> "State":
        """The rollouts ``index [B, S]`` of each instance, as S rollouts (beam search, pruning)."""

        def rows(value: Tensor) -> Tensor:
            tail = value.shape[2:]
            wide = index.view(*index.shape, *(1,) * len(tail)).expand(*index.shape, *tail)
            return value.gather(1, wide)

        return replace(
            self,
            current=rows(self.current),
            first=rows(self.first),
            visited=rows(self.visited),
            parts={name: rows(value) for name, value in self.parts.items()},
            count=None if self.count is None else rows(self.count),
        )

    @property
    def unvisited(self) -> Tensor:
        """How many nodes are not, ``[B, R]``."""
        if self.count is not None:
            return self.visited.shape[-1] - self.count
        # On a CPU a sum of bytes is three times faster than one of truths, or than `all`.
        return self.visited.shape[-1] - self.visited.view(torch.uint8).sum(-1)

    def visit(self, node: Tensor) -> "State":
        """With nodes ``[B, R]`` visited."""
        count = self.count
        if count is not None and native.fits(self.visited, count, node):
            visited, count = native.visit(self.visited, count, node)
            return replace(self, visited=visited, count=count)
        index = node.unsqueeze(-1)
        if count is not None:
            count = count + ~self.visited.gather(-1, index).squeeze(-1)
        return replace(self, visited=self.visited.scatter(-1, index, True), count=count)


class Legs(NamedTuple):
    """
    Every leg that rollouts drive, each ``[B, R, L]``.

    Legs of no length (a finished rollout waiting at its depot) may be among them.

    Parameters
    ----------
    origin, target
        Nodes.
    vehicle
        Depot node of the route that the leg belongs to; 0 where there is no depot.
    """

    origin: Tensor
    target: Tensor
    vehicle: Tensor


class Visits(ABC):
    """
    The shape of a solution: which nodes are visited, from where, and when it is complete.

    Parameters
    ----------
    num_depots
        Depot nodes at the front of the node order that there are at least: see `depots`.
    num_context_nodes
        Nodes whose embeddings tell a decoder where it stands (see `context_nodes`).
    vehicle_dim
        Size of `vehicle_features`.
    optional
        Whether a customer may be left out.
    """

    num_depots: int
    num_context_nodes: int
    vehicle_dim: int = 0
    optional: bool = False

    def depots(self, instance: TensorDict) -> int:
        """Depot nodes at the front of the node order of an instance."""
        return self.num_depots

    @abstractmethod
    def reset(self, instance: TensorDict, rollouts: int) -> State:
        """The state before the first action, without the constraints' parts and tables."""

    @abstractmethod
    def feasible(self, state: State) -> Tensor:
        """Nodes that may come next as far as the visits are concerned, ``[B, R, N]`` bool."""

    @abstractmethod
    def step(self, state: State, action: Tensor) -> State:
        """The state after moving to ``action [B, R]``, constraints' parts untouched."""

    @abstractmethod
    def done(self, state: State) -> Tensor:
        """Which rollouts are complete, ``[B, R]`` bool."""

    @abstractmethod
    def max_steps(self, instance: TensorDict) -> int:
        """A bound on the number of actions of any rollout."""

    @abstractmethod
    def context_nodes(self, state: State) -> Tensor:
        """Nodes for the decoder's query, ``[B, R, num_context_nodes]``; -1 where there is none."""

    @abstractmethod
    def routes(self, instance: TensorDict, actions: Sequence[int]) -> tuple[Route, ...]:
        """The routes that a sequence of actions drives; ``instance`` has batch size 1."""

    @abstractmethod
    def actions(self, instance: TensorDict, routes: Sequence[Route]) -> list[int]:
        """A sequence of actions that drives the routes: the inverse of `routes`."""

    @abstractmethod
    def legs(self, instance: TensorDict, actions: Tensor) -> Legs:
        """Every leg that complete rollouts ``actions [B, R, T]`` drive."""

    @abstractmethod
    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        """What is wrong with the visits of finished routes: missing, repeated, unknown nodes."""

    def vehicle_features(self, instance: TensorDict) -> Tensor | None:
        """Normalised features of the depot nodes and their vehicles, ``[B, V, vehicle_dim]``."""
        return None

    def shuffled(self, actions: Tensor, reversible: Tensor, rng: torch.Generator) -> Tensor:
        """
        Another way to drive the same routes, drawn at random; ``actions [B, R, T]``.

        Order of the routes and starting point are free, and the direction of instances that are
        ``reversible [B]``. The default knows no freedom.
        """
        return actions

    def answers(self, instance: TensorDict, actions: Tensor, reversible: Tensor) -> Tensor:
        """
        Which nodes would continue the same routes at every step, ``[B, R, T, N]`` bool.

        At the depot that is the beginning of any route still to drive, or either end of it where
        the instance is ``reversible [B]``, not just the one that ``actions [B, R, T]`` happen to
        take. The default is the action alone.
        """
        return one_hot(actions, num_nodes(instance))


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
        """Why no solution can exist, whoever is visited by whom; batch size 1."""
        return []

    def refuses(self, plain: Plain, route: Route) -> Violation | None:
        """
        Why a vehicle cannot serve a node, on the route on which it does nothing else.

        ``route`` is `Plain.alone`: there and back, with the partner of a shipment.
        """
        return None


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
    """

    nodes: Tensor
    coords: Tensor | None = None
    distance: Tensor | None = None
    num_depots: int = 0
    vehicles: Tensor | None = None


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


def one_hot(nodes: Tensor, size: int) -> Tensor:
    """Bool ``[..., N]``, true at the node."""
    return nodes.unsqueeze(-1) == torch.arange(size, device=nodes.device)
