"""Small random instances of any composition, and random rollouts that its mask allows."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import make_instance
from nco.data.metric import Metric
from nco.envs import RoutingEnv
from nco.envs.base import State
from nco.envs.constraints import Capacity, DistanceLimit, MinimumPrize, SplitCapacity
from nco.envs.objectives import Distance, Penalty, Prize, Total

Fields = dict[str, Tensor]


def _integers(low: int, high: int, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    return torch.randint(low, high + 1, shape, generator=rng)


def _customers(values: Tensor) -> Tensor:
    """Values per node, with nothing at the depot."""
    values[:, 0] = 0
    return values


def _capacity(rule: Capacity, batch: int, nodes: int, rng: torch.Generator) -> Fields:
    """Demands of 0 to 4 and capacities of 4 to 9: full vehicles and exact fits are common."""
    return {
        "demand": _customers(_integers(0, 4, (batch, nodes), rng)),
        "capacity": _integers(4, 9, (batch,), rng),
    }


def _split_capacity(rule: SplitCapacity, batch: int, nodes: int, rng: torch.Generator) -> Fields:
    """Demands of 1 to 6 and capacities of 3 to 5: some demands exceed their vehicle."""
    return {
        "demand": _customers(_integers(1, 6, (batch, nodes), rng)),
        "capacity": _integers(3, 5, (batch,), rng),
    }


def _distance_limit(rule: DistanceLimit, batch: int, nodes: int, rng: torch.Generator) -> Fields:
    """Limits up to the diagonal there and back: some customers are out of reach."""
    return {"distance_limit": 3 * torch.rand(batch, generator=rng)}


def _minimum_prize(rule: MinimumPrize, batch: int, nodes: int, rng: torch.Generator) -> Fields:
    """Minima around the half of what there is, sometimes more than all of it."""
    prizes = {"prize", rule.collected}
    drawn = {name: _customers(torch.rand(batch, nodes, generator=rng)) for name in sorted(prizes)}
    return {**drawn, "min_prize": nodes / 2 * torch.rand(batch, generator=rng)}


def _penalty(objective: Penalty, batch: int, nodes: int, rng: torch.Generator) -> Fields:
    return {"penalty": _customers(torch.rand(batch, nodes, generator=rng))}


def _prize(objective: Prize, batch: int, nodes: int, rng: torch.Generator) -> Fields:
    return {"prize": _customers(torch.rand(batch, nodes, generator=rng))}


def _total(objective: Total, batch: int, nodes: int, rng: torch.Generator) -> Fields:
    fields: Fields = {}
    for term in objective.terms:
        fields |= _fields(term, batch, nodes, rng)
    return fields


DRAW: dict[type, Callable[[Any, int, int, torch.Generator], Fields]] = {
    Capacity: _capacity,
    SplitCapacity: _split_capacity,
    DistanceLimit: _distance_limit,
    MinimumPrize: _minimum_prize,
    Distance: lambda *_: {},
    Penalty: _penalty,
    Prize: _prize,
    Total: _total,
}


def _fields(part: object, batch: int, nodes: int, rng: torch.Generator) -> Fields:
    if type(part) not in DRAW:
        pytest.fail(f"tests/envs/random_instances.py: no row for {type(part).__name__} in DRAW")
    return DRAW[type(part)](part, batch, nodes, rng)


def draw(env: RoutingEnv, batch: int, nodes: int, seed: int, lattice: bool = False) -> TensorDict:
    """
    Random instances of a composition, every part of which adds its attributes.

    Parameters
    ----------
    lattice
        Coordinates on a coarse grid and distances rounded to integers: many ties, some nodes at
        the same place. Else they are uniform in the unit square.
    """
    rng = torch.Generator().manual_seed(seed)
    fields: Fields = {"locs": torch.rand(batch, nodes, 2, generator=rng)}
    if lattice:
        fields["locs"] = (fields["locs"] * 4).round()
        fields["metric"] = torch.full((batch,), int(Metric.EUC_2D))
    for part in (*env.constraints, env.objective):
        fields |= _fields(part, batch, nodes, rng)
    return make_instance(**fields)


def pick(mask: Tensor, rng: torch.Generator) -> Tensor:
    """One allowed node of each rollout ``[B, R, N]``, uniformly."""
    return torch.multinomial(mask.flatten(0, 1).float(), 1, generator=rng).view(mask.shape[:2])


def rollout(
    env: RoutingEnv, instance: TensorDict, rollouts: int, seed: int
) -> tuple[Tensor, list[State]]:
    """
    Actions ``[B, R, T]`` of random rollouts to their end, and the states before each of them.

    Fails where a mask leaves no move, or where the bound on the steps is not enough.
    """
    rng = torch.Generator().manual_seed(seed)
    state = env.reset(instance, rollouts)
    states, actions = [], []
    for _ in range(env.max_steps(instance)):
        if bool(env.done(state).all()):
            break
        mask = env.mask(state)
        assert bool(mask.any(-1).all()), "a rollout has no move"
        action = pick(mask, rng)
        states.append(state)
        actions.append(action)
        state = env.step(state, action)
    assert bool(env.done(state).all()), "not complete within max_steps"
    empty = torch.zeros(len(instance), rollouts, 0, dtype=torch.long)
    return torch.stack(actions, -1) if actions else empty, states
