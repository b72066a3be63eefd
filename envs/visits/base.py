"""The base class of the shapes that a solution can have."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from operator import index
from typing import ClassVar, Literal, NamedTuple

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.envs.checking.routes import Route, Violation
from nco.envs.component import Component
from nco.envs.state import State, one_hot

Parts = Literal["paths", "routes"] | None


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


class Visits(Component, ABC):
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
    parts
        What a solution falls into that may be solved anew apart: the ``paths`` of a tour, the
        ``routes`` of a fleet; None where it does not.
    """

    parts: ClassVar[Parts] = None
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

    def as_routes(
        self, instance: TensorDict, routes: Sequence[Route | Sequence[int]]
    ) -> list[Route]:
        """
        Routes that may be given as plain lists of nodes, with or without the depots at their ends.

        Where there are several depot nodes, a list has to begin with its own.

        Raises
        ------
        InputError
            A route is none, or does not tell its depot node; ``instance`` has batch size 1.
        """
        depots, found = self.depots(instance), []
        if isinstance(routes, Route):
            raise InputError("routes: a single route, expected a list of routes")
        for k, route in enumerate(routes):
            if isinstance(route, Route):
                found.append(route)
                continue
            try:
                nodes = [index(node) for node in route]
            except TypeError:
                what = f"routes[{k}]: {str(route)[:40]!r}"
                raise InputError(f"{what}, expected a list of whole numbers") from None
            if depots > 1 and nodes and nodes[0] >= depots:
                raise InputError(
                    f"routes[{k}]: begins with node {nodes[0]}, expected its depot node, "
                    f"0 to {depots - 1}, in front"
                )
            found += self.routes(instance, nodes)
        return found

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


def start_state(instance: TensorDict, rollouts: int, node: int) -> State:
    batch, device = instance.batch_size[0], instance.device
    device = device or next(iter(instance.values())).device
    nodes = torch.full((batch, rollouts), node, dtype=torch.long, device=device)
    visited = torch.zeros(batch, rollouts, num_nodes(instance), dtype=torch.bool, device=device)
    return State(instance, nodes, nodes, visited, {}, count=torch.zeros_like(nodes))


def each_once(routes: Sequence[Route], expected: range) -> list[Violation]:
    """Every expected node exactly once over all routes, and no other."""
    found: list[Violation] = []
    counts = Counter(node for route in routes for node in route.visits)
    for k, route in enumerate(routes):
        found += [
            Violation("unknown node", f"node {node} is no customer", route=k, node=node)
            for node in route.visits
            if node not in expected
        ]
    for node in expected:
        if counts[node] == 0:
            found.append(Violation("not visited", f"node {node} is on no route", node=node))
        elif counts[node] > 1:
            message = f"node {node} is visited {counts[node]} times, expected once"
            found.append(Violation("visited twice", message, node=node))
    return found
