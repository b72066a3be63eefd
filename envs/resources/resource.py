"""What adds up along a route and is bounded: lengths and times, tested with the way home."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.envs.constraint import Constraint
from nco.envs.resources.travel import Kind, at_depot, column, row, single, stays_out, travel_tables
from nco.envs.state import State

Amounts = tuple[Tensor, ...]


@dataclass(frozen=True)
class Move:
    """
    Moves of R rollouts to X nodes each.

    Parameters
    ----------
    travel
        Length or travel time of the move, ``[B, R, X]``.
    at
        What the nodes moved to have of an attribute ``[B, N]``: broadcastable to ``[B, R, X]``.
    """

    travel: Callable[[Kind], Tensor]
    at: Callable[[Tensor], Tensor]


class Resource(Constraint):
    """
    A rule about amounts that grow along a route, and that the way home adds to.

    Mask, update and the look-ahead of pickups and deliveries all rest on `extend` and `home`. A
    customer is allowed if the route may end after it. That never gets a rollout stuck; it forbids
    only routes that are possible thanks to detours shorter than the direct way (where distances
    break the triangle inequality, as rounded ones do by a unit).

    Parameters
    ----------
    parts
        Names of the amounts in the state, each ``[B, R]``.
    """

    scope = "route"
    parts: tuple[str, ...]

    @abstractmethod
    def kind(self, instance: TensorDict) -> Kind:
        """What the moves cost."""

    @abstractmethod
    def begin(self, state: State, vehicle: Tensor) -> Amounts:
        """Amounts of routes that begin at depot nodes ``vehicle [B, R]``, each ``[B, R]``."""

    @abstractmethod
    def extend(self, state: State, amounts: Amounts, move: Move) -> tuple[Amounts, Tensor]:
        """Amounts after a move from ``amounts [B, R, X or 1]``, and whether it is possible."""

    @abstractmethod
    def home(self, state: State, amounts: Amounts, move: Move) -> Tensor:
        """Whether a route may end by this move to its own depot, bool ``[B, R, X]``."""

    @abstractmethod
    def bounds(self, instance: TensorDict) -> dict[str, Tensor]:
        """Tables of the rule's own, ``[B, ...]`` by name."""

    def tables(self, instance: TensorDict) -> dict[str, Tensor]:
        return {**travel_tables(instance, self.kind(instance)), **self.bounds(instance)}

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        batch, device = instance.batch_size[0], next(iter(instance.values())).device
        nodes = torch.zeros(batch, rollouts, dtype=torch.long, device=device)
        visited = torch.zeros(batch, rollouts, 0, dtype=torch.bool, device=device)
        blank = State(instance, nodes, nodes, visited, {}, self.bounds(instance))
        return dict(zip(self.parts, self.begin(blank, nodes), strict=True))

    def now(self, state: State) -> Amounts:
        """Amounts where the rollouts stand, each ``[B, R, 1]``."""
        return tuple(state.parts[name].unsqueeze(-1) for name in self.parts)

    def may_end(self, state: State, amounts: Amounts, move: Move) -> Tensor:
        """`home`, or True where routes are open."""
        back = self.home(state, amounts, move)
        stays = stays_out(state)
        return back if stays is None else back | stays

    def feasible(self, state: State) -> Tensor:
        amounts, there = self.extend(state, self.now(state), to_every(state, state.current))
        fits = there & self.may_end(state, amounts, home_from_every(state))
        fits[..., : num_depots(state.instance)] = True  # the way home was tested on the way out
        return fits

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        after, _ = self.extend(state, self.now(state), to_one(state, state.current, action))
        ends = at_depot(state, action)
        fresh = self.begin(state, torch.where(ends, action, 0))
        return {
            name: torch.where(ends, new, amount.squeeze(-1))
            for name, new, amount in zip(self.parts, fresh, after, strict=True)
        }


def to_every(state: State, origin: Tensor) -> Move:
    """From single nodes ``[B, R]`` to every node."""
    return Move(lambda kind: row(state, kind, origin), lambda value: value.unsqueeze(1))


def to_one(state: State, origin: Tensor, target: Tensor) -> Move:
    """From single nodes ``[B, R]`` to single nodes ``[B, R]``."""
    return Move(
        lambda kind: single(state, kind, origin, target).unsqueeze(-1),
        lambda value: value.gather(1, target).unsqueeze(-1),
    )


def home_from_every(state: State) -> Move:
    """From every node to the depot node of the running route."""
    home = state.first.clamp_min(0)
    return Move(
        lambda kind: column(state, kind, home), lambda value: value.gather(1, home).unsqueeze(-1)
    )


def home_from_one(state: State, origin: Tensor) -> Move:
    """From single nodes ``[B, R]`` to the depot node of the running route."""
    return to_one(state, origin, state.first.clamp_min(0))
