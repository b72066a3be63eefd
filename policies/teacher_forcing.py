"""Teacher-forced likelihoods, a few instances at a time; on a CPU, no step without a choice."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nco.envs import Context, Features
from nco.policies.base import Trajectory
from nco.policies.decoder import PointerCache, PointerDecoder

Record = TypeVar("Record", Context, Features, PointerCache)
SCORES = 2**28  # attention scores at once on an accelerator: 1 GB of each intermediate result
ROWS = 2**13  # decisions at once: what they need then stays in the processor's caches


class Decisions(NamedTuple):
    """
    Those steps of rollouts of some instances that were choices, M of each instance.

    Parameters
    ----------
    context
        What the decoder saw, ``[B, M, ...]``.
    actions
        What was chosen, ``[B, M]``.
    rollout
        Whose choice it was, ``[B, M]``.
    counts
        Which are there because another instance has more, ``[B, M]`` bool: False.
    """

    context: Context
    actions: Tensor
    rollout: Tensor
    counts: Tensor


def evaluate_in_parts(
    decoder: PointerDecoder, cache: PointerCache, trajectory: Trajectory
) -> Tensor:
    """Log-likelihood ``[B, R]`` of the actions of given rollouts; see `Policy.evaluate`."""
    _, rollouts, steps = trajectory.actions.shape
    size = max(1, ROWS // (rollouts * steps))
    found = []
    for part, some in zip(_split_cache(cache, size), _split(trajectory, size), strict=True):
        few = decisions(some)
        scores = decoder(part, few.context)
        chosen = scores.gather(-1, few.actions.unsqueeze(-1)).squeeze(-1)
        chosen = torch.where(few.counts, chosen, 0)
        total = chosen.new_zeros(len(chosen), rollouts)
        found.append(total.scatter_add(1, few.rollout, chosen))
    return torch.cat(found)


def evaluate_in_memory(
    evaluate: Callable[[PointerCache, Trajectory], Tensor],
    cache: PointerCache,
    trajectory: Trajectory,
    heads: int,
) -> Tensor:
    """
    Log-likelihood ``[B, R]`` on an accelerator, as many instances at a time as `SCORES` allows.

    What a part needs for its gradient is computed again when that is asked for, so that memory
    does not grow with the batch; a batch that fits is one part and computed once.

    Parameters
    ----------
    evaluate
        Of some instances.
    heads
        Of the attention: every decision has one score for each node and head.
    """
    _, rollouts, steps = trajectory.actions.shape
    nodes = trajectory.context.mask.shape[-1]
    size = max(1, SCORES // (rollouts * steps * nodes * heads))
    if size >= len(trajectory.actions):
        return evaluate(cache, trajectory)
    parts = zip(_split_cache(cache, size), _split(trajectory, size), strict=True)
    return torch.cat(
        [
            checkpoint(evaluate, *part, use_reentrant=False, preserve_rng_state=False)
            for part in parts
        ]
    )


def decisions(trajectory: Trajectory) -> Decisions:
    """The steps at which there was more than one node to choose from."""
    _, _, steps = trajectory.actions.shape
    context = trajectory.context
    real = trajectory.free.flatten(1) & (context.mask.view(torch.uint8).sum(-1) > 1)
    number = real.sum(-1)
    width = max(1, int(number.max()))
    order = real.byte().argsort(dim=1, descending=True, stable=True)[:, :width]
    begin = torch.arange(len(order), device=order.device).unsqueeze(-1) * real.shape[1]
    flat = (order + begin).flatten()

    def rows(value: Tensor) -> Tensor:
        return value.flatten(0, 1).index_select(0, flat).view(*order.shape, *value.shape[2:])

    columns = {f.name: getattr(context, f.name) for f in fields(Context)}
    few = replace(context, **{k: rows(v) for k, v in columns.items() if v is not None})
    counts = torch.arange(width, device=order.device) < number.unsqueeze(-1)
    actions = trajectory.actions.flatten(1).gather(1, order)
    return Decisions(few, actions, order // steps, counts)


def _split(trajectory: Trajectory, size: int) -> list[Trajectory]:
    """Some instances each."""
    contexts = split_fields(trajectory.context, size)
    parts = zip(contexts, trajectory.actions.split(size), trajectory.free.split(size), strict=True)
    return [Trajectory(*part) for part in parts]


def _split_cache(cache: PointerCache, size: int) -> list[PointerCache]:
    """Some instances each."""
    parts = split_fields(cache, size, {"by_node": 1})
    if cache.near is None:
        return parts
    near = split_fields(cache.near, size)
    return [replace(part, near=one) for part, one in zip(parts, near, strict=True)]


def split_fields(
    record: Record, size: int, axes: Mapping[str, int] = MappingProxyType({})
) -> list[Record]:
    """
    A dataclass in parts of at most ``size`` instances, the first axis of its tensors.

    By `Tensor.split`, whose gradient joins all parts in one copy.

    Parameters
    ----------
    record
        What to split; what is no tensor goes into every part.
    size
        Of the parts.
    axes
        Of those fields whose batch is another one.
    """
    names = [f.name for f in fields(record) if isinstance(getattr(record, f.name), Tensor)]
    split = [getattr(record, name).split(size, dim=axes.get(name, 0)) for name in names]
    return [
        replace(record, **dict(zip(names, part, strict=True))) for part in zip(*split, strict=True)
    ]
