"""One closed tour without a depot."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_nodes
from nco.envs.checking.routes import Route, Violation
from nco.envs.state import State, one_hot
from nco.envs.visits.base import Legs, Visits, each_once, start_state


class Tour(Visits):
    """One closed tour through all nodes, without a depot (TSP)."""

    parts = "paths"
    num_depots = 0
    num_context_nodes = 2

    def reset(self, instance: TensorDict, rollouts: int) -> State:
        return start_state(instance, rollouts, -1)

    def feasible(self, state: State) -> Tensor:
        # A complete tour waits where it stands, so that no rollout is ever without a move.
        here = one_hot(state.current, state.visited.shape[-1])
        return ~state.visited | (here & self.done(state).unsqueeze(-1))

    def step(self, state: State, action: Tensor) -> State:
        first = torch.where(state.first < 0, action, state.first)
        return replace(state.visit(action), current=action, first=first)

    def done(self, state: State) -> Tensor:
        return state.unvisited == 0

    def max_steps(self, instance: TensorDict) -> int:
        return num_nodes(instance)

    def context_nodes(self, state: State) -> Tensor:
        return torch.stack([state.first, state.current], dim=-1)

    def routes(self, instance: TensorDict, actions: Sequence[int]) -> tuple[Route, ...]:
        return (Route(tuple(actions), start=None, end=None),)

    def actions(self, instance: TensorDict, routes: Sequence[Route]) -> list[int]:
        (route,) = routes
        return list(route.visits)

    def legs(self, instance: TensorDict, actions: Tensor) -> Legs:
        return Legs(actions, actions.roll(-1, dims=-1), torch.zeros_like(actions))

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        if len(routes) != 1:
            return [Violation("one tour", f"{len(routes)} routes, expected one tour")]
        return each_once(routes, range(num_nodes(instance)))

    def shuffled(self, actions: Tensor, reversible: Tensor, rng: torch.Generator) -> Tensor:
        batch, rollouts, length = actions.shape
        shape, device = (batch, rollouts, 1), actions.device
        steps = torch.arange(length, device=device)
        begin = torch.randint(length, shape, generator=rng, device=device)
        sign = 2 * torch.randint(2, shape, generator=rng, device=device) - 1
        sign = torch.where(reversible[:, None, None], sign, 1)
        return actions.gather(-1, (begin + sign * steps) % length)

    def answers(self, instance: TensorDict, actions: Tensor, reversible: Tensor) -> Tensor:
        nodes = num_nodes(instance)
        right = one_hot(actions, nodes)
        right[..., 0, :] = True  # a tour may begin anywhere ...
        other = one_hot(actions[..., -1:], nodes) & reversible[:, None, None, None]
        right[..., 1:2, :] |= other  # ... and leave in either direction
        return right
