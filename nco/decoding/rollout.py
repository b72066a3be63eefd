"""Driving an environment with a policy, and replaying what was driven."""

import time
from dataclasses import dataclass, fields
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.decoding.strategies import Greedy, Strategy
from nco.envs import Context, RoutingEnv, State, native_rules
from nco.policies import NativeRollout, OutOfTime, Plan, Policy, Trajectory
from nco.policies.base import not_finite

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
    trajectory
        For `Policy.evaluate`, if it was asked for.
    broken
        Which of them break a rule, ``[B, R]``: see `RoutingEnv.broken`; None where none can.
    """

    actions: Tensor
    cost: Tensor
    trajectory: Trajectory | NativeRollout | None = None
    broken: Tensor | None = None

    @property
    def solved(self) -> Tensor:
        """Instances of which some rollout breaks no rule, ``[B]`` bool."""
        if self.broken is None:
            return torch.ones_like(self.cost[:, 0], dtype=torch.bool)
        return ~self.broken.all(-1)

    def best(self) -> tuple[Tensor, Tensor]:
        """
        Actions ``[B, T]`` and cost ``[B]`` of the cheapest rollout of each instance.

        One that breaks a rule is best only where all do.
        """
        cost = self.cost
        if self.broken is not None:
            hidden = cost.masked_fill(self.broken, torch.inf)
            cost = torch.where(self.solved.unsqueeze(-1), hidden, cost)
        index = cost.argmin(-1, keepdim=True)
        rows = index.unsqueeze(-1).expand(-1, -1, self.actions.shape[-1])
        return self.actions.gather(1, rows).squeeze(1), self.cost.gather(1, index).squeeze(1)


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
    record: bool = False,
    deadline: float | None = None,
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
    record
        Keeps the trajectory, for `Policy.evaluate`.
    deadline
        Value of `time.perf_counter` at which to give up.

    Raises
    ------
    OutOfTime
        The deadline passed.
    FloatingPointError
        The policy's logits are not finite.
    """
    if embeddings is None:
        embeddings = policy.encode(env.features(instance))
    temperature, simple = strategy.plain_temperature, native_rules(env, instance)
    if temperature is not None and simple is not None:
        plan = Plan(simple, rollouts, env.max_steps(instance), temperature, first, deadline)
        if (driven := policy.drive(embeddings, plan, rng)) is not None:
            cost, seen_again = env.cost(instance, driven.actions), None
            if record and not driven.differentiable:
                seen_again = replay(env, instance, driven.actions, forced=int(first is not None))
            return Rollouts(driven.actions, cost, (seen_again or driven) if record else None)
    state = env.reset(instance, rollouts)
    memory: tuple[Tensor, ...] = ()
    actions: list[Tensor] = []
    seen: list[tuple[Context, Tensor]] = []
    lost: dict[int, Tensor] = {}
    for step in range(env.max_steps(instance)):
        imposed = step == 0 and first is not None
        if record or policy.recurrent or not imposed:
            context = env.context(state)
        if record:
            done = env.done(state)
            seen.append((context, torch.zeros_like(done) if imposed else ~done))
        if policy.recurrent or not imposed:
            log_probs, memory = policy.step(embeddings, context, memory)
            lost[step] = without_numbers(log_probs, context.mask)
            if lost[step].device.type == "cpu":  # elsewhere each look waits for the device
                require_numbers(lost)
        action = strategy(log_probs, rng) if first is None or step > 0 else first
        actions.append(action)
        state = env.step(state, action)
        if due(step, deadline) and finished(env, state, deadline, lost):
            break
    require_numbers(lost)
    taken = torch.stack(actions, dim=-1)
    trajectory = _trajectory(taken, seen) if record else None
    return Rollouts(taken, env.cost(instance, taken), trajectory, env.broken(state))


def without_numbers(log_probs: Tensor, mask: Tensor) -> Tensor:
    """Rollouts ``[B, R]`` with a move but no number for it: a NaN makes its whole row NaN."""
    lost = log_probs[..., 0].isnan()
    if lost.device.type == "cpu" and not bool(lost.any()):
        return lost  # spares the look at the mask
    return lost & mask.any(-1)


def require_numbers(lost: dict[int, Tensor]) -> None:
    """
    Ends a decoding loop whose policy computes no numbers; forgets the steps that were looked at.

    Raises
    ------
    FloatingPointError
        There are lost rollouts ``[B, R]`` at a step.
    """
    if lost and bool(torch.stack(list(lost.values())).any()):
        step, rows = next((step, rows) for step, rows in lost.items() if bool(rows.any()))
        raise not_finite(int(rows.any(-1).nonzero()[0]), step)
    lost.clear()


def due(step: int, deadline: float | None) -> bool:
    """
    Whether to look after a step if the rollouts are complete: once in a while, and once the
    deadline has passed, for a single step of many rollouts may take long.
    """
    late = deadline is not None and step >= CHECK_EVERY and time.perf_counter() > deadline
    return late or step % CHECK_EVERY == CHECK_EVERY - 1


def finished(
    env: RoutingEnv,
    state: State,
    deadline: float | None,
    lost: dict[int, Tensor] | None = None,
) -> bool:
    """
    Whether all rollouts are complete: one wait for the device.

    Parameters
    ----------
    lost
        Rollouts without numbers since the last look, see `require_numbers`; forgotten by it.

    Raises
    ------
    OutOfTime
        They are not, and the deadline has passed.
    FloatingPointError
        There are lost rollouts.
    """
    done = env.done(state).all()
    stop = done | torch.stack(list(lost.values())).any() if lost else done
    if bool(stop):
        require_numbers(lost or {})
        return True
    if lost:
        lost.clear()
    if deadline is not None and time.perf_counter() > deadline:
        raise OutOfTime
    return False


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
    seen: list[tuple[Context, Tensor]] = []
    for step, action in enumerate(actions.unbind(-1)):
        done = env.done(state)
        seen.append((env.context(state), ~done if step >= forced else torch.zeros_like(done)))
        state = env.step(state, action)
    return _trajectory(actions, seen)


@torch.no_grad()
def broken(env: RoutingEnv, instance: TensorDict, actions: Tensor) -> Tensor | None:
    """
    Which complete rollouts ``actions [B, R, T]`` break a rule, ``[B, R]``; None if none can.

    See `RoutingEnv.broken`.
    """
    if not env.may_break(instance):
        return None
    state = env.reset(instance, actions.shape[1])
    for action in actions.unbind(-1):
        state = env.step(state, action)
    return env.broken(state)


def _trajectory(actions: Tensor, seen: list[tuple[Context, Tensor]]) -> Trajectory:
    """Joins what was seen at T steps: rollouts and steps in one dimension, step the faster one."""

    columns = {
        field.name: torch.stack(values, dim=2).flatten(1, 2)
        for field in fields(Context)
        if (values := [getattr(context, field.name) for context, _ in seen])[0] is not None
    }
    free = torch.stack([free for _, free in seen], dim=-1)
    return Trajectory(Context(**columns), actions, free)


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
        if due(step, deadline) and finished(env, state, deadline):
            break
    return torch.stack(actions, dim=-1), state


def pick_rollouts(value: Tensor, index: Tensor) -> Tensor:
    """The rollouts ``index [B, S]`` of ``value [B, R, ...]``: see `State.select`."""
    tail = value.shape[2:]
    return value.gather(1, index.view(*index.shape, *(1,) * len(tail)).expand(-1, -1, *tail))
