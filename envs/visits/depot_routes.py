"""Routes from one depot."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_nodes
from nco.envs import native
from nco.envs.checking.routes import Route, Violation
from nco.envs.state import State, one_hot
from nco.envs.visits.base import Legs, Parts, Visits, each_once, start_state


class DepotRoutes(Visits):
    """
    Any number of routes from one depot (node 0) that visit every customer once (CVRP).

    Where the instance has ``open_route [B]`` and it is set, routes end at their last customer: the
    way back to the depot is not driven (OVRP).
    """

    parts: ClassVar[Parts] = "routes"
    num_depots = 1
    num_context_nodes = 1

    def reset(self, instance: TensorDict, rollouts: int) -> State:
        return start_state(instance, rollouts, 0)

    def feasible(self, state: State) -> Tensor:
        # From the depot only to a customer, until all are served: an empty route is no move.
        count = state.count
        if count is not None and native.fits(state.visited, count, state.current):
            return native.routes_open(state.visited, count, state.current)
        free = ~state.visited
        free[..., 0] = (state.current != 0) | _all_served(state)
        return free

    def step(self, state: State, action: Tensor) -> State:
        return replace(state.visit(action), current=action)

    def done(self, state: State) -> Tensor:
        return _all_served(state) & (state.current == 0)

    def max_steps(self, instance: TensorDict) -> int:
        return 2 * (num_nodes(instance) - 1)

    def context_nodes(self, state: State) -> Tensor:
        return state.current.unsqueeze(-1)

    def routes(self, instance: TensorDict, actions: Sequence[int]) -> tuple[Route, ...]:
        end = None if is_open(instance) else 0
        routes: list[Route] = []
        visits: list[int] = []
        for action in (*actions, 0):
            if action:
                visits.append(action)
            elif visits:
                routes.append(Route(tuple(visits), end=end))
                visits = []
        return tuple(routes)

    def actions(self, instance: TensorDict, routes: Sequence[Route]) -> list[int]:
        return [node for route in routes if route.visits for node in (*route.visits, 0)]

    def legs(self, instance: TensorDict, actions: Tensor) -> Legs:
        return depot_legs(instance, actions)

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        end = None if is_open(instance) else 0
        expected = "depot 0" if end == 0 else "depot 0 and an open end"
        found = [
            Violation("depot", f"from {r.start} to {r.end}, expected {expected}", route=k)
            for k, r in enumerate(routes)
            if (r.start, r.end) != (0, end)
        ]
        return found + each_once(routes, range(1, num_nodes(instance)))

    def shuffled(self, actions: Tensor, reversible: Tensor, rng: torch.Generator) -> Tensor:
        home = actions == 0
        route = home.cumsum(-1) - home.long()  # the closing depot belongs to its route
        return shuffled_blocks(actions, home, route, False, reversible, rng)

    def answers(self, instance: TensorDict, actions: Tensor, reversible: Tensor) -> Tensor:
        nodes = num_nodes(instance)
        right = one_hot(actions, nodes)
        home = actions == 0
        depot = torch.ones_like(home[..., :1])
        leaves = torch.cat([depot, home[..., :-1]], -1) & ~home  # first customers of routes
        arrives = torch.cat([home[..., 1:], depot], -1) & ~home  # last customers
        arrives = arrives & reversible[:, None, None]
        ends = right & (leaves | arrives).unsqueeze(-1)
        ahead = ends.flip(-2).cumsum(-2).flip(-2) > 0
        return torch.where(leaves.unsqueeze(-1), ahead, right)


def shuffled_blocks(
    actions: Tensor,
    home: Tensor,
    block: Tensor,
    opens: bool,
    reversible: Tensor,
    rng: torch.Generator,
) -> Tensor:
    """
    Blocks of actions in another order, the customers of each in either direction, drawn at random.

    Parameters
    ----------
    actions, home, block
        Nodes, which of them are depots, and the number of the block, ``[B, R, T]``. Blocks without
        customers, such as waiting at the depot, stay at the end.
    opens
        Whether the depot of a block comes first in it, or last.
    reversible
        Where the direction is free, ``[B]``.
    rng
        Source of randomness.
    """
    shape, device = actions.shape, actions.device
    served = torch.zeros_like(actions).scatter_add(-1, block, (~home).long())
    key = torch.rand(shape, generator=rng, device=device) + 2 * (served == 0).float()
    order = key.argsort(dim=-1).argsort(dim=-1)  # ranks: of two equal keys too, one comes first
    sign = 2 * torch.randint(2, shape, generator=rng, device=device) - 1
    sign = torch.where(reversible[:, None, None], sign, 1)
    steps = torch.arange(shape[-1], device=device).expand(shape)
    edge = -shape[-1] if opens else shape[-1]
    within = torch.where(home, edge, sign.gather(-1, block) * steps)
    first = within.argsort(dim=-1, stable=True)
    second = order.gather(-1, block).gather(-1, first).argsort(dim=-1, stable=True)
    return actions.gather(-1, first.gather(-1, second))


def depot_legs(instance: TensorDict, actions: Tensor) -> Legs:
    """Legs of routes from node 0; no leg home on open routes. See `Visits.legs`."""
    depot = actions.new_zeros(*actions.shape[:-1], 1)
    origin, target = torch.cat([depot, actions], -1), torch.cat([actions, depot], -1)
    if "open_route" in instance.keys():
        stays = (target == 0) & instance["open_route"].bool()[:, None, None]
        target = torch.where(stays, origin, target)
    return Legs(origin, target, torch.zeros_like(origin))


def is_open(instance: TensorDict) -> bool:
    """Whether routes of an instance (batch size 1) end at their last customer."""
    return "open_route" in instance.keys() and bool(instance["open_route"][0])


def _all_served(state: State) -> Tensor:
    """Whether all customers of the only depot are visited, bool ``[B, R]``."""
    return state.unvisited == (~state.visited[..., 0]).long()
