"""What keeps routes within lengths, times and the ways there are, where detours may be shorter."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nco.envs.resources.resource import Resource
from nco.envs.resources.travel import at_depot, pick_rows, stays_out
from nco.envs.state import State
from nco.envs.visits.base import Visits


class Bounds:
    """
    The masks of instances where the direct way home need not be the shortest, or is missing.

    A customer is allowed if the route might end after it by the shortest way over any customers,
    visited or not: no solution is forbidden, but a rollout may be left without a move. The
    environment then lifts this mask and keeps, in its own part ``astray [B, R]``, which rollouts
    made a move that breaks a bound.

    Parameters
    ----------
    visits
        The shape of a solution.
    resources
        The rules that bound routes.
    """

    def __init__(self, visits: Visits, resources: Sequence[Resource]):
        self.visits, self.resources = visits, tuple(resources)

    def may_fail(self, tables: Mapping[str, Tensor]) -> bool:
        """Whether a rollout may be left without a move: no where direct ways are the shortest."""
        return "ways" in tables or any(rule.home_table in tables for rule in self.resources)

    def concerned(self, tables: Mapping[str, Tensor]) -> Tensor:
        """For which instances ``[B]`` that is so, where it is for some."""
        names = [f"{rule.home_table} shorter" for rule in self.resources]
        found = [tables[name] for name in names if name in tables]
        if "ways" in tables:
            found.append(~tables["ways"].flatten(1).all(-1))
        return torch.stack(found).any(0)

    def within(self, state: State) -> Tensor:
        """Moves after which routes might end within bounds, and ends that are, ``[B, R, N]``."""
        fits = torch.ones_like(state.visited)
        for rule in self.resources:
            fits = fits & rule.feasible(state)
        if "ways" in state.tables:
            fits = fits & self._ways(state)
        if self.visits.num_depots:
            fits[..., : self.visits.depots(state.instance)] &= self._returns(state).unsqueeze(-1)
        return fits

    def keeps(self, state: State, action: Tensor) -> Tensor:
        """Whether moves ``action [B, R]`` break no bound and go by ways that there are, bool."""
        fits = torch.ones_like(action, dtype=torch.bool)
        for rule in self.resources:
            fits = fits & rule.keeps(state, action)
        if "ways" in state.tables:
            fits = fits & ((state.current < 0) | _way(state, state.current, action))
        if self.visits.num_depots:
            return torch.where(at_depot(state, action), self._returns(state), fits)
        ends = self.visits.done(self.visits.step(state, action))
        closes = _way(state, action, torch.where(state.first < 0, action, state.first))
        return (fits & (closes | ~ends)) | self.visits.done(state)

    def _ways(self, state: State) -> Tensor:
        """Nodes to which a way leads, and from there home over any others, ``[B, R, N]``."""
        ways = pick_rows(state.tables["ways"], state.current.clamp_min(0))
        if not self.visits.num_depots:
            return ways | (state.current < 0).unsqueeze(-1)
        home = pick_rows(state.tables["ways home"], state.first.clamp_min(0))
        if (stays := stays_out(state)) is not None:
            home = home | stays
        fits = ways & home
        fits[..., : self.visits.depots(state.instance)] = True
        return fits

    def _returns(self, state: State) -> Tensor:
        """Whether the running route may end now, ``[B, R]``."""
        fits = torch.ones_like(state.current, dtype=torch.bool)
        for rule in self.resources:
            fits = fits & rule.returns(state)
        if "ways" in state.tables:
            back = _way(state, state.current, state.first)
            stays = stays_out(state)
            fits = fits & (back if stays is None else back | stays.squeeze(-1))
        return fits | at_depot(state, state.current)


def _way(state: State, origin: Tensor, target: Tensor) -> Tensor:
    """Whether there is a way between nodes ``[B, R]``, bool."""
    ways = state.tables["ways"]
    entry = origin.clamp_min(0) * ways.shape[-1] + target.clamp_min(0)
    return ways.flatten(1).gather(1, entry)
