"""Small random instances of any composition, and random rollouts that its mask allows."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots, num_nodes, validate
from nco.data.metric import Metric, pairwise
from nco.envs import FleetRoutes, RoutingEnv
from nco.envs.base import State
from nco.envs.constraints import (
    Capacity,
    DistanceLimit,
    DurationLimit,
    LinehaulFirst,
    LinehaulOnEachRoute,
    MaximumLoad,
    MinimumPrize,
    OneCommodity,
    OpenRoutes,
    SplitCapacity,
    TimeWindows,
)
from nco.envs.objectives import Distance, Penalty, Prize, Total

Fields = dict[str, Tensor]
Draw = Callable[[Any, TensorDict, torch.Generator], Fields]


def _integers(low: int, high: int, shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    return torch.randint(low, high + 1, shape, generator=rng)


def _shape(instance: TensorDict) -> tuple[int, int]:
    return len(instance), num_nodes(instance)


def _customers(instance: TensorDict, values: Tensor) -> Tensor:
    """Values per node, with nothing at the depots."""
    values[:, : num_depots(instance)] = 0
    return values


def _capacity(rule: Capacity, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Demands of 0 to 4 and capacities of 4 to 9: full vehicles and exact fits are common."""
    return {
        "demand": _customers(instance, _integers(0, 4, _shape(instance), rng)),
        "capacity": _integers(4, 9, (len(instance),), rng),
    }


def _split_capacity(rule: SplitCapacity, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Demands of 1 to 6 and capacities of 3 to 5: some demands exceed their vehicle."""
    return {
        "demand": _customers(instance, _integers(1, 6, _shape(instance), rng)),
        "capacity": _integers(3, 5, (len(instance),), rng),
    }


def _two_ways(rule: object, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Demands and pickups of 0 to 4, some of both, some of neither."""
    return {
        **_capacity(Capacity(), instance, rng),
        "backhaul": _customers(instance, _integers(-3, 4, _shape(instance), rng).clamp_min(0)),
    }


def _linehaul_first(rule: LinehaulFirst, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Two instances of three are told that deliveries come first."""
    return {"linehaul_first": _integers(0, 2, (len(instance),), rng).clamp_max(1)}


def _reach(instance: TensorDict) -> Tensor:
    """There and back to the farthest customer of the depot for which that is nearest, ``[B]``."""
    legs, depots = pairwise(instance).double(), num_depots(instance)
    ways = legs[:, :depots, depots:] + legs.mT[:, :depots, depots:]
    return ways.amax(-1).amin(-1)


def _distance_limit(rule: DistanceLimit, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Limits from just enough for every customer."""
    reach = _reach(instance)
    slack = (torch.rand(len(instance), generator=rng) - 0.3).clamp_min(0)
    return {"distance_limit": reach * (1 + slack.double())}


def _scarce_limit(rule: DistanceLimit, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Limits up to the diagonal there and back: some customers are out of reach."""
    return {"distance_limit": 3 * torch.rand(len(instance), generator=rng)}


def _windows(rule: TimeWindows, instance: TensorDict, rng: torch.Generator) -> Fields:
    """
    Windows that every depot can keep, down to a single moment, and depots that close in time.

    Where distances are whole numbers so are times, and arrivals at the last moment are common.
    """
    depots, (batch, nodes) = num_depots(instance), _shape(instance)
    legs = pairwise(instance).double()
    there, back = legs[:, :depots].amax(1), legs[:, :, :depots].amax(2)
    whole = "metric" in instance.keys()
    scale = legs.amax((1, 2)).clamp_min(1e-3).unsqueeze(-1)

    def amount(low: float, high: float) -> Tensor:
        value = scale * (low + (high - low) * torch.rand(batch, nodes, generator=rng).double())
        return value.round() if whole else value

    service = _customers(instance, amount(0, 0.3))
    begin = there + amount(-1, 3)
    end = torch.maximum(begin, there) + amount(-0.5, 0.5).clamp_min(0)
    horizon = (end + service + back).amax(-1)
    windows = torch.stack([begin.clamp_min(0), end], -1)
    windows[:, :depots, 0], windows[:, :depots, 1] = 0, horizon.unsqueeze(-1)
    fields = {"time_windows": windows, "service_time": service}
    if rule.release:
        fields["release_time"] = _customers(instance, (end - there) * (amount(-1, 1) > 0))
    return fields


def _duration_limit(rule: DurationLimit, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Limits from just enough for every customer on its own."""
    alone = _reach(instance) + instance["service_time"].amax(-1)
    slack = (torch.rand(len(instance), generator=rng) - 0.3).clamp_min(0)
    return {"duration_limit": alone * (1 + slack.double())}


def _minimum_prize(rule: MinimumPrize, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Minima around the half of what there is, sometimes more than all of it."""
    prizes, (batch, nodes) = {"prize", rule.collected}, _shape(instance)
    drawn = {
        name: _customers(instance, torch.rand(batch, nodes, generator=rng))
        for name in sorted(prizes)
    }
    return {**drawn, "min_prize": nodes / 2 * torch.rand(batch, generator=rng)}


def _amounts(name: str) -> Draw:
    """Uniform amounts of one attribute, nothing at the depots."""
    return lambda part, instance, rng: {
        name: _customers(instance, torch.rand(*_shape(instance), generator=rng))
    }


def _total(objective: Total, instance: TensorDict, rng: torch.Generator) -> Fields:
    fields: Fields = {}
    for term in objective.terms:
        fields |= _fields(term, instance, rng)
    return fields


DRAW: dict[type, Draw] = {
    Capacity: _capacity,
    SplitCapacity: _split_capacity,
    MaximumLoad: _two_ways,
    OneCommodity: _two_ways,
    LinehaulFirst: _linehaul_first,
    LinehaulOnEachRoute: lambda *_: {},
    DistanceLimit: _distance_limit,
    TimeWindows: _windows,
    DurationLimit: _duration_limit,
    OpenRoutes: lambda rule, instance, rng: {"open_route": _integers(0, 1, (len(instance),), rng)},
    MinimumPrize: _minimum_prize,
    Distance: lambda *_: {},
    Penalty: _amounts("penalty"),
    Prize: _amounts("prize"),
    Total: _total,
}


def _fields(part: object, instance: TensorDict, rng: torch.Generator) -> Fields:
    if type(part) not in DRAW:
        pytest.fail(f"tests/envs/random_instances.py: no row for {type(part).__name__} in DRAW")
    return DRAW[type(part)](part, instance, rng)


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
    instance = TensorDict({"locs": torch.rand(batch, nodes, 2, generator=rng)}, batch_size=[batch])
    if lattice:
        instance["locs"] = (instance["locs"] * 4).round()
        instance["metric"] = torch.full((batch,), int(Metric.EUC_2D))
    if isinstance(env.visits, FleetRoutes):
        depots = 1 + seed % min(3, nodes - 1)
        instance["depots"] = torch.arange(depots).expand(batch, -1).clone()
    for part in (*env.constraints, env.objective):
        scarce = isinstance(part, DistanceLimit) and env.visits.optional
        instance.update((_scarce_limit if scarce else _fields)(part, instance, rng))
    validate(instance)
    return instance


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
