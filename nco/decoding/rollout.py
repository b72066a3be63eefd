"""Driving an environment with a policy, and replaying what was driven."""

from dataclasses import dataclass
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.decoding.strategies import Strategy
from nco.envs import Context, RoutingEnv
from nco.policies import Policy, Trajectory

CHECK_EVERY = 8  # steps between looks at whether all rollouts are done: each look waits for a GPU


@dataclass(frozen=True)
class Rollouts:
    """
    Complete rollouts of B instances.

    Parameters
    ----------
    actions
        ``[B, R, T]``; a rollout that ends early repeats its last node.
    cost
        ``[B, R]``, by the instance's metric.
    """

    actions: Tensor
    cost: Tensor

    def best(self) -> tuple[Tensor, Tensor]:
        """Actions ``[B, T]`` and cost ``[B]`` of the cheapest rollout of each instance."""
        cost, index = self.cost.min(-1)
        rows = torch.arange(len(index), device=index.device)
        return self.actions[rows, index], cost


@torch.no_grad()
def rollout(
    env: RoutingEnv,
    policy: Policy,
    instance: TensorDict,
    strategy: Strategy,
    rollouts: int = 1,
    first: Tensor | None = None,
    rng: torch.Generator | None = None,
    embeddings: Any = None,
) -> Rollouts:
    """
    Builds ``rollouts`` solutions of each instance, without gradients.

    Parameters
    ----------
    env, policy, instance
        What drives what; the policy is used in the mode (train or eval) that it is in.
    strategy
        Picks the next node.
    rollouts
        Rollouts R of each instance.
    first
        Imposed first moves ``[B, R]`` (multi-start).
    rng
        Source of randomness of the strategy.
    embeddings
        Of these instances, where the caller has them already.
    """
    if embeddings is None:
        embeddings = policy.encode(env.features(instance))
    state = env.reset(instance, rollouts)
    memory: tuple[Tensor, ...] = ()
    actions: list[Tensor] = []
    for step in range(env.max_steps(instance)):
        if step == 0 and first is not None:
            action = first
        else:
            log_probs, memory = policy.step(embeddings, env.context(state), memory)
            action = strategy(log_probs, rng)
        actions.append(action)
        state = env.step(state, action)
        if step % CHECK_EVERY == CHECK_EVERY - 1 and bool(env.done(state).all()):
            break
    driven = torch.stack(actions, dim=-1)
    return Rollouts(actions=driven, cost=env.cost(instance, driven))


@torch.no_grad()
def replay(env: RoutingEnv, instance: TensorDict, actions: Tensor, forced: int = 0) -> Trajectory:
    """
    What a policy would have seen along given rollouts, for `Policy.evaluate`.

    Parameters
    ----------
    env, instance
        The problem and its instances ``[B]``.
    actions
        Complete rollouts ``[B, R, T]`` that the mask allows.
    forced
        Number of first moves that were imposed, not chosen.
    """
    state = env.reset(instance, actions.shape[1])
    contexts: list[Context] = []
    free: list[Tensor] = []
    for step, action in enumerate(actions.unbind(-1)):
        contexts.append(env.context(state))
        chosen = ~env.done(state)
        free.append(chosen if step >= forced else torch.zeros_like(chosen))
        state = env.step(state, action)
    return Trajectory(stack_contexts(contexts), actions, torch.stack(free, dim=-1))


def stack_contexts(contexts: list[Context]) -> Context:
    """The contexts of T steps as one of ``R * T`` rollouts, step the faster index."""

    def joined(name: str) -> Tensor:
        return torch.stack([getattr(context, name) for context in contexts], dim=2).flatten(1, 2)

    return Context(nodes=joined("nodes"), scalars=joined("scalars"), mask=joined("mask"))
