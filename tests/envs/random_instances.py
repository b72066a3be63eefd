"""Small random instances of any composition, and random rollouts that its mask allows."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.generators.tsp_attributes import shortest
from nco.data.instance import num_depots, num_nodes, validate
from nco.data.metric import Metric, pairwise
from nco.envs import FleetRoutes, RoutingEnv
from nco.envs.constraints import (
    AllowedVehicles,
    Capacity,
    DistanceLimit,
    DurationLimit,
    Fleet,
    LinehaulFirst,
    LinehaulOnEachRoute,
    MaximumLoad,
    MinimumPrize,
    MinimumRoutes,
    MixedLoad,
    OneCommodity,
    OpenRoutes,
    PickupDelivery,
    SplitCapacity,
    TimeWindows,
    TripWindows,
)
from nco.envs.objectives import (
    Distance,
    Duration,
    FleetCost,
    Makespan,
    Penalty,
    Preference,
    Prize,
    Total,
    VehiclesFirst,
)
from nco.envs.state import State

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


def _load(rule: MaximumLoad, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Deliveries and pickups, or shipments of 1 to 4, or all of them."""
    if not rule.shipments:
        return _two_ways(rule, instance, rng)
    fields = _two_ways(rule, instance, rng)
    paired = instance["delivery"] > 0
    paired |= torch.zeros_like(paired).scatter(1, instance["delivery"], paired)
    for name in ("demand", "backhaul"):  # the other customers'
        fields[name] = _customers(instance, fields[name] * ~paired)
    amount = _integers(1, 4, _shape(instance), rng)
    fields["shipment"] = torch.where(instance["delivery"] > 0, amount, 0)
    return fields


def _either_load(rule: MixedLoad, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Pickups by either rule, instance by instance."""
    flag = _integers(0, 1, (len(instance),), rng)
    return {**_two_ways(rule, instance, rng), "one_commodity": flag}


def _pairs(rule: PickupDelivery, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Pairs at random places in the node order, sometimes fewer than there could be."""
    depots, (batch, nodes) = num_depots(instance), _shape(instance)
    delivery = torch.zeros(batch, nodes, dtype=torch.long)
    for b in range(batch):
        order = (depots + torch.randperm(nodes - depots, generator=rng)).tolist()
        most = len(order) // 2
        pairs = most if b % 2 else int(_integers(0, most, (), rng))
        for k in range(pairs):
            delivery[b, order[2 * k]] = order[2 * k + 1]
    return {"delivery": delivery}


def _fleet(rule: Fleet, instance: TensorDict, rng: torch.Generator) -> Fields:
    """One to three vehicles at each depot node."""
    return {"vehicle_count": _integers(1, 3, (len(instance), num_depots(instance)), rng)}


def _minimum_routes(rule: MinimumRoutes, instance: TensorDict, rng: torch.Generator) -> Fields:
    """No more routes than customers, nor than vehicles."""
    customers = num_nodes(instance) - num_depots(instance)
    most = torch.full((len(instance),), customers)
    if "vehicle_count" in instance.keys():
        most = most.minimum(instance["vehicle_count"].sum(-1))
    return {"min_routes": (most * torch.rand(len(instance), generator=rng)).round().long()}


def _allowed(rule: AllowedVehicles, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Half of the vehicles for every node, and one for all of them."""
    depots, (batch, nodes) = num_depots(instance), _shape(instance)
    allowed = _integers(0, 1, (batch, depots, nodes), rng)
    allowed[:, int(_integers(0, depots - 1, (), rng))] = 1
    return {"allowed": allowed}


def _of_vehicles(names: dict[str, tuple[float, float]]) -> Draw:
    """Uniform attributes of the vehicles."""

    def fields(part: object, instance: TensorDict, rng: torch.Generator) -> Fields:
        shape = (len(instance), num_depots(instance))
        return {
            name: low + (high - low) * torch.rand(shape, generator=rng)
            for name, (low, high) in names.items()
        }

    return fields


def _preference(part: Preference, instance: TensorDict, rng: torch.Generator) -> Fields:
    shape = (len(instance), num_depots(instance), num_nodes(instance))
    return {"preference": torch.rand(shape, generator=rng)}


def _linehaul_first(rule: LinehaulFirst, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Two instances of three are told that deliveries come first."""
    return {"linehaul_first": _integers(0, 2, (len(instance),), rng).clamp_max(1)}


def _across(instance: TensorDict) -> tuple[Tensor, Tensor]:
    """Where the last stop of the route for each node alone is, and the way there, ``[B, N]``."""
    nodes = torch.arange(num_nodes(instance)).expand(len(instance), -1)
    if "delivery" not in instance.keys():
        return nodes, torch.zeros(nodes.shape, dtype=torch.double)
    last = torch.where(instance["delivery"] > 0, instance["delivery"], nodes)
    return last, pairwise(instance).double().gather(2, last.unsqueeze(-1)).squeeze(-1)


def _reach(instance: TensorDict) -> Tensor:
    """The longest route for one customer or pair, of the depot where it is shortest, ``[B]``."""
    legs, depots = pairwise(instance).double(), num_depots(instance)
    last, across = _across(instance)
    back = legs.mT[:, :depots].gather(2, last.unsqueeze(1).expand(-1, depots, -1))
    ways = legs[:, :depots] + across.unsqueeze(1) + back
    return ways[..., depots:].amax(-1).amin(-1)


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
    node = torch.arange(nodes)

    def amount(low: float, high: float) -> Tensor:
        value = scale * (low + (high - low) * torch.rand(batch, nodes, generator=rng).double())
        return value.round() if whole else value

    service = _customers(instance, amount(0, 0.3))
    begin = there + amount(-1, 3)
    end = torch.maximum(begin, there) + amount(-0.5, 0.5).clamp_min(0)
    last, across = _across(instance)
    ready = torch.maximum(begin, there) + service + across
    ready = torch.zeros_like(end).scatter(1, torch.where(last == node, 0, last), ready)
    ready[:, :depots] = 0
    begin = torch.where(amount(-1, 1) > 0, torch.maximum(begin, ready - amount(0, 1)), begin)
    end = torch.maximum(torch.maximum(end, ready), begin)
    horizon = (end + service + back).amax(-1)
    windows = torch.stack([begin.clamp_min(0), end], -1)
    windows[:, :depots, 0], windows[:, :depots, 1] = 0, horizon.unsqueeze(-1)
    fields = {"time_windows": windows, "service_time": service}
    if rule.release:
        fields["release_time"] = _customers(instance, (end - there) * (amount(-1, 1) > 0))
    return fields


def _trip_windows(rule: TripWindows, instance: TensorDict, rng: torch.Generator) -> Fields:
    """The same, depots open for longer by a random factor, and loading that takes time."""
    fields, depots = _windows(rule, instance, rng), num_depots(instance)
    fields["time_windows"][:, :depots, 1] *= 1 + 2 * torch.rand(len(instance), 1, generator=rng)
    fields["time_windows"][:, depots:, 1] *= 1 + 2 * torch.rand(len(instance), 1, generator=rng)
    fields["service_time"][:, :depots] = 0.1 * torch.rand(len(instance), depots, generator=rng)
    if "metric" in instance.keys():
        fields = {name: value.round() for name, value in fields.items()}
    return fields


def _duration_limit(rule: DurationLimit, instance: TensorDict, rng: torch.Generator) -> Fields:
    """Limits from just enough for every customer on its own."""
    longest = 2 * instance["service_time"].amax(-1) if "service_time" in instance.keys() else 0
    alone = _reach(instance) + longest
    if "time_windows" in instance.keys():  # a pair may have to wait
        alone = alone + instance["time_windows"].amax((1, 2)) * ("delivery" in instance.keys())
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
    MaximumLoad: _load,
    PickupDelivery: _pairs,
    Fleet: _fleet,
    MinimumRoutes: _minimum_routes,
    AllowedVehicles: _allowed,
    OneCommodity: _two_ways,
    MixedLoad: _either_load,
    LinehaulFirst: _linehaul_first,
    LinehaulOnEachRoute: lambda *_: {},
    DistanceLimit: _distance_limit,
    TimeWindows: _windows,
    TripWindows: _trip_windows,
    DurationLimit: _duration_limit,
    OpenRoutes: lambda rule, instance, rng: {"open_route": _integers(0, 1, (len(instance),), rng)},
    MinimumPrize: _minimum_prize,
    Distance: lambda *_: {},
    Penalty: _amounts("penalty"),
    Prize: _amounts("prize"),
    Total: _total,
    FleetCost: _of_vehicles({"fixed_cost": (0, 2), "unit_cost": (0.5, 2)}),
    Preference: _preference,
    Duration: lambda *_: {},
    Makespan: lambda *_: {},
    VehiclesFirst: lambda *_: {},
}


def _fields(part: object, instance: TensorDict, rng: torch.Generator) -> Fields:
    if type(part) not in DRAW:
        pytest.fail(f"tests/envs/random_instances.py: no row for {type(part).__name__} in DRAW")
    return DRAW[type(part)](part, instance, rng)


def draw(
    env: RoutingEnv,
    batch: int,
    nodes: int,
    seed: int,
    lattice: bool = False,
    detours: bool = False,
) -> TensorDict:
    """
    Random instances of a composition, every part of which adds its attributes.

    Parameters
    ----------
    lattice
        Coordinates on a coarse grid and distances rounded to integers: many ties, some nodes at
        the same place. Else they are uniform in the unit square, and for every third seed the
        distances a matrix that is not symmetric.
    detours
        Matrices of whole numbers without any triangle inequality, limits and windows too tight for
        many direct ways, and for every other seed some legs missing.
    """
    rng = torch.Generator().manual_seed(seed)
    instance = TensorDict({"locs": torch.rand(batch, nodes, 2, generator=rng)}, batch_size=[batch])
    if detours:
        instance = TensorDict({"distance": _integers(1, 9, (batch, nodes, nodes), rng).double()})
        instance.batch_size = torch.Size([batch])
        instance["distance"].diagonal(dim1=1, dim2=2).zero_()
        if seed % 3 == 2:
            instance["duration"] = _integers(0, 9, (batch, nodes, nodes), rng).double()
            instance["duration"].diagonal(dim1=1, dim2=2).zero_()
    elif lattice:
        instance["locs"] = (instance["locs"] * 4).round()
        instance["metric"] = torch.full((batch,), int(Metric.EUC_2D))
    elif seed % 3 == 2:
        detour = 1 + torch.rand(batch, nodes, nodes, generator=rng).double()
        instance["distance"] = shortest(pairwise(instance) * detour)
    if isinstance(env.visits, FleetRoutes):
        depots = 1 + seed % min(3, nodes - 1)
        instance["depots"] = torch.arange(depots).expand(batch, -1).clone()
    for part in (*env.constraints, env.objective):
        scarce = isinstance(part, DistanceLimit) and env.visits.optional
        instance.update((_scarce_limit if scarce else _fields)(part, instance, rng))
    if detours:
        _tighten(instance, rng)
        if seed % 2:
            lost = torch.rand(batch, nodes, nodes, generator=rng) < 0.2
            lost.diagonal(dim1=1, dim2=2).zero_()
            instance["distance"][lost] = torch.inf
    validate(instance)
    return instance


def _tighten(instance: TensorDict, rng: torch.Generator) -> None:
    """Makes limits and windows shorter, in place, by a factor of their own each, in whole units."""
    for name in ("distance_limit", "duration_limit"):
        if name in instance.keys():
            share = 0.3 + 0.7 * torch.rand(instance[name].shape, generator=rng)
            instance[name] = (instance[name] * share).ceil()
    if "time_windows" in instance.keys():
        begin, end = instance["time_windows"].unbind(-1)
        share = 0.3 + 0.9 * torch.rand(end.shape, generator=rng)
        begin = begin.round()
        instance["time_windows"] = torch.stack([begin, (end * share).ceil().maximum(begin)], -1)
    for name in ("service_time", "release_time"):
        if name in instance.keys():
            instance[name] = instance[name].round()


def final(env: RoutingEnv, states: list[State], actions: Tensor) -> State:
    """Where the rollouts of `rollout` end; they have at least one step."""
    return env.step(states[-1], actions[..., -1])


def broken(env: RoutingEnv, instance: TensorDict, actions: Tensor) -> Tensor:
    """Which rollouts ``actions [B, R, T]`` a rule that yields gave up, ``[B, R]`` bool."""
    state = env.reset(instance, actions.shape[1])
    for action in actions.unbind(-1):
        state = env.step(state, action)
    return env.broken(state)


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
