"""Beam search."""

from dataclasses import dataclass

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.decoding.rollout import Rollouts, due, finished
from nco.decoding.search import Search
from nco.envs import RoutingEnv
from nco.policies import Policy


@dataclass(frozen=True)
class Beam(Search):
    """
    Keeps the most probable partial solutions of each instance at every step.

    The mask holds for the first move too. The greedy rollout is run beside the beam (pruning may
    drop it), so that the best is never worse than greedy.

    Parameters
    ----------
    width
        Partial solutions kept.
    """

    width: int = 10

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"beam width: {self.width}, expected 1 or more")

    @torch.no_grad()
    def __call__(
        self,
        env: RoutingEnv,
        policy: Policy,
        instance: TensorDict,
        rng: torch.Generator | None = None,
        deadline: float | None = None,
    ) -> Rollouts:
        embeddings = policy.encode(env.features(instance))
        # Rollout 0 is the greedy one, the others are the beam; all start from the same state.
        state = env.reset(instance, 1 + self.width)
        batch, rollouts = state.current.shape
        memory: tuple[Tensor, ...] = ()
        actions = state.current.new_zeros(batch, rollouts, 0)
        score = torch.full((batch, self.width), -torch.inf, device=actions.device)
        score[:, 0] = 0  # one live beam: copies of it would fill the width with one solution
        for step in range(env.max_steps(instance)):
            log_probs, memory = policy.step(embeddings, env.context(state), memory)
            # A finished solution keeps its score: waiting is its only move, of probability one.
            total = (score.unsqueeze(-1) + log_probs[:, 1:]).flatten(1)
            score, flat = total.topk(self.width, dim=-1)
            nodes = log_probs.shape[-1]
            dead = score == -torch.inf
            parent = torch.where(dead, 0, 1 + flat // nodes)
            chosen = torch.where(dead, 0, flat % nodes)
            # Where there are fewer partial solutions than beams, the spare ones follow greedy.
            greedy = log_probs[:, 0].argmax(-1, keepdim=True)
            parent = torch.cat([torch.zeros_like(greedy), parent], dim=-1)
            action = torch.cat([greedy, torch.where(dead, greedy, chosen)], dim=-1)
            state = env.step(state.select(parent), action)
            memory = tuple(_select(part, parent) for part in memory)
            actions = torch.cat([_select(actions, parent), action.unsqueeze(-1)], dim=-1)
            if due(step, deadline) and finished(env, state, deadline):
                break
        return Rollouts(actions, env.cost(instance, actions), broken=env.broken(state))


def _select(value: Tensor, index: Tensor) -> Tensor:
    tail = value.shape[2:]
    return value.gather(1, index.view(*index.shape, *(1,) * len(tail)).expand(-1, -1, *tail))
