"""What adds up along a route and is bounded: lengths and times, tested with the way home."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.envs.constraint import Constraint, Scope
from nco.envs.resources.detours import may_be_shorter, shortest_home
from nco.envs.resources.travel import (
    Kind,
    at_depot,
    column,
    pick_rows,
    row,
    single,
    stays_out,
    travel_tables,
)
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
    customer is allowed if the route may end after it. That never gets a rollout stuck, nor does it
    forbid any route where the direct way home is the shortest. Where a detour is shorter (rounded
    distances, matrices), the table ``PART home [B, V, N]`` has the shortest ways, and a customer is
    allowed if the route might end by those: see `nco.envs.resources.detours`.

    Parameters
    ----------
    parts
        Names of the amounts in the state, each ``[B, R]``.
    """

    scope: ClassVar[Scope] = "route"
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

    def stops(self, instance: TensorDict) -> Tensor | None:
        """What a stop adds to the leg, ``[B, N]``; None where legs are bare and of no speed."""
        return None

    @property
    def home_table(self) -> str:
        """Name of the table of shortest ways home, where they differ from the direct ones."""
        return f"{self.parts[0]} home"

    def tables(self, instance: TensorDict) -> dict[str, Tensor]:
        kind = self.kind(instance)
        tables = {**travel_tables(instance, kind), **self.bounds(instance)}
        if may_be_shorter(instance, kind):
            found = shortest_home(instance, tables, kind, self.stops(instance))
            if found is not None:
                tables[self.home_table], tables[f"{self.home_table} shorter"] = found
        return tables

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
        fits = there & self.may_end(state, amounts, home_from_every(state, self.home_table))
        fits[..., : num_depots(state.instance)] = True  # the way home was tested on the way out
        return fits

    def returns(self, state: State) -> Tensor:
        """Whether the running route may end now, ``[B, R]`` bool."""
        move = home_from_one(state, state.current)
        return self.may_end(state, self.now(state), move).squeeze(-1)

    def keeps(self, state: State, action: Tensor) -> Tensor:
        """Whether moves to customers ``action [B, R]`` are within the bounds, bool."""
        _, there = self.extend(state, self.now(state), to_one(state, state.current, action))
        return there.squeeze(-1)

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


def home_from_every(state: State, table: str) -> Move:
    """From every node to the depot node of the running route, by a table of ways if there is."""
    home, ways = state.first.clamp_min(0), state.tables.get(table)
    return Move(
        lambda kind: column(state, kind, home) if ways is None else pick_rows(ways, home),
        lambda value: value.gather(1, home).unsqueeze(-1),
    )


def home_from_one(state: State, origin: Tensor) -> Move:
    """From single nodes ``[B, R]`` to the depot node of the running route."""
    return to_one(state, origin, state.first.clamp_min(0))
