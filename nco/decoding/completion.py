"""Completing partial solutions."""

from typing import Any

import torch
from torch import Tensor

from nco.decoding.rollout import CHECK_EVERY, finished
from nco.decoding.strategies import Greedy, Strategy
from nco.envs import RoutingEnv, State
from nco.policies import Policy


@torch.no_grad()
def complete(
    env: RoutingEnv,
    policy: Policy,
    embeddings: Any,
    state: State,
    steps: int,
    memory: tuple[Tensor, ...] = (),
    strategy: Strategy | None = None,
    rng: torch.Generator | None = None,
    deadline: float | None = None,
) -> tuple[Tensor, State]:
    """
    Rolls partial solutions out to their end, without gradients.

    Parameters
    ----------
    env, policy, embeddings
        What drives what.
    state
        Where the rollouts ``[B, R]`` stand.
    steps
        A bound on the moves that are left, 1 or more.
    memory
        Of the policy, at that state.
    strategy, rng
        Pick the moves; greedy by default.
    deadline
        Value of `time.perf_counter` at which to give up.

    Returns
    -------
    tuple
        The moves ``[B, R, T]`` from there on, and the final state.

    Raises
    ------
    OutOfTime
        The deadline passed.
    """
    choose = strategy or Greedy()
    actions: list[Tensor] = []
    for step in range(steps):
        log_probs, memory = policy.step(embeddings, env.context(state), memory)
        action = choose(log_probs, rng)
        actions.append(action)
        state = env.step(state, action)
        if step % CHECK_EVERY == CHECK_EVERY - 1 and finished(env, state, deadline):
            break
    return torch.stack(actions, dim=-1), state


def pick_rollouts(value: Tensor, index: Tensor) -> Tensor:
    """The rollouts ``index [B, S]`` of ``value [B, R, ...]``: see `State.select`."""
    tail = value.shape[2:]
    return value.gather(1, index.view(*index.shape, *(1,) * len(tail)).expand(-1, -1, *tail))
