"""Where rollouts stand."""

from dataclasses import dataclass, field, replace

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs import native


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


def one_hot(nodes: Tensor, size: int) -> Tensor:
    """Bool ``[..., N]``, true at the node."""
    return nodes.unsqueeze(-1) == torch.arange(size, device=nodes.device)
