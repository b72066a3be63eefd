"""What holds for every named problem, whatever it is composed of."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import SCHEMA, num_nodes
from nco.envs import PROBLEMS, Route, RoutingEnv, problem
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
from nco.envs.objectives.vehicles_first import vehicle_worth
from nco.envs.problems.naming import VARIANTS
from tests.envs.random_instances import draw, final, rollout

BATCH, ROLLOUTS = 3, 4
FEW = {"cvrp", "vrpb", "vrpmbl", "ovrptw", "mdcvrp", "mdovrpbltw", "pdptw", "mtvrptw"}
# The other variants are compositions of the same rules: see the end of this file.
every_problem = pytest.mark.parametrize(
    "name", [n for n in PROBLEMS if n not in VARIANTS or n in FEW]
)
random_cases = given(nodes=st.integers(2, 12), seed=st.integers(0, 2**31), lattice=st.booleans())
some = settings(max_examples=6)


def test_unknown_problems_are_refused() -> None:
    """A name that is not in the table is an error that tells the nearest three."""
    with pytest.raises(
        InputError, match="'vrpxyz' is unknown, the nearest names are vrpl, vrpb, pvrp"
    ):
        problem("vrpxyz")
    with pytest.raises(
        InputError, match=r"'CVRPWT' is unknown, the nearest names are cvrp, (\w+), "
    ):
        problem("CVRPWT")


def allowed_rollouts_are_feasible(env: RoutingEnv, instance: TensorDict, seed: int) -> None:
    actions, states = rollout(env, instance, ROLLOUTS, seed)
    if not states:
        return
    broken = env.broken(final(env, states, actions))
    for b in range(len(instance)):
        one = instance[b : b + 1]
        if env.impossible(one):
            continue
        for r in range(ROLLOUTS):
            found = env.check(one, env.visits.routes(one, actions[b, r].tolist()))
            assert bool(found) == bool(broken[b, r]), found


@every_problem
@some
@random_cases
def test_allowed_rollouts_are_feasible(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """
    What the mask allows is complete in time, never stuck, and flawless for the checker; save for
    rollouts that a rule with a packing problem in it gave up, which it knows.
    """
    env = problem(name)
    allowed_rollouts_are_feasible(env, draw(env, BATCH, nodes, seed, lattice), seed)


def loop_distance(instance: TensorDict, routes: Sequence[Route]) -> float:
    """Length of all routes by the plainest possible loop."""
    locs, rounded = instance["locs"][0].tolist(), "metric" in instance.keys()
    matrix = instance["distance"][0].tolist() if "distance" in instance.keys() else None
    total = 0.0
    for route in routes:
        if not route.visits:
            continue
        stops = list(route.visits)
        before = stops[-1] if route.start is None else route.start
        for node in stops if route.end is None else [*stops, route.end]:
            if matrix is not None:
                total += matrix[before][node]
            else:
                length = math.dist(locs[before], locs[node])
                total += math.floor(length + 0.5) if rounded else length
            before = node
    return total


def unvisited(instance: TensorDict, routes: Sequence[Route], field: str) -> float:
    """Sum of an attribute over the nodes that are on no route."""
    seen = {node for route in routes for node in route.visits}
    return sum(x for node, x in enumerate(instance[field][0].tolist()) if node not in seen)


def legs_of(instance: TensorDict, route: Route) -> list[float]:
    """Lengths of the legs of one route, one by one."""
    stops = [route.start, *route.visits, *([] if route.end is None else [route.end])]
    pairs = itertools.pairwise(stops)
    return [loop_distance(instance, [Route((b,), start=a, end=None)]) for a, b in pairs]


def least_time(instance: TensorDict, route: Route) -> float:
    """The shortest time of one route: every departure tried at which something changes."""
    speed = float(instance["speed"][0, route.vehicle]) if "speed" in instance.keys() else 1.0
    travel = [length / speed for length in legs_of(instance, route)]
    windows, service = [(0.0, math.inf)] * num_nodes(instance), [0.0] * num_nodes(instance)
    if "time_windows" in instance.keys():
        windows = [tuple(row) for row in instance["time_windows"][0].tolist()]
        service = instance["service_time"][0].tolist()

    def drive(leave: float) -> float:
        """How long the route takes that leaves then; infinite if it is late."""
        time = leave
        for node, leg in zip(route.visits, travel, strict=False):
            time = max(time + leg, windows[node][0])
            if time > windows[node][1] + 1e-9:
                return math.inf
            time += service[node]
        return time + sum(travel[len(route.visits) :]) - leave

    begin, way = windows[route.start or 0][0], 0.0
    moments = [begin]
    for node, leg in zip(route.visits, travel, strict=False):
        way += leg
        moments += [windows[node][0] - way, windows[node][1] - way]
        way += service[node]
    return min(drive(moment) for moment in moments if begin <= moment < math.inf)


def longest(makespan: Makespan, instance: TensorDict, routes: Sequence[Route]) -> float:
    """The longest time of a route, or of a vehicle with all its trips."""
    times: dict[int, float] = {}
    for k, route in enumerate(routes):
        key = route.vehicle if makespan.trips else k
        times[key] = times.get(key, 0.0) + least_time(instance, route)
    return max(times.values(), default=0.0)


def fleet_cost(_: FleetCost, instance: TensorDict, routes: Sequence[Route]) -> float:
    """Fixed cost and length times unit cost of every route."""
    fixed, unit = (instance[name][0].tolist() for name in ("fixed_cost", "unit_cost"))
    lengths = [(route.vehicle, loop_distance(instance, [route])) for route in routes]
    return sum(fixed[vehicle] + unit[vehicle] * length for vehicle, length in lengths)


ORACLES: dict[type, Callable[[Any, TensorDict, Sequence[Route]], float]] = {
    Distance: lambda _, instance, routes: loop_distance(instance, routes),
    Penalty: lambda _, instance, routes: unvisited(instance, routes, "penalty"),
    Prize: lambda _, instance, routes: (
        unvisited(instance, routes, "prize") - float(instance["prize"].sum())
    ),
    Total: lambda total, instance, routes: sum(
        weight * ORACLES[type(term)](term, instance, routes)
        for weight, term in zip(total.weights, total.terms, strict=True)
    ),
    Duration: lambda _, instance, routes: sum(least_time(instance, route) for route in routes),
    Makespan: longest,
    FleetCost: fleet_cost,
    Preference: lambda _, instance, routes: (
        -sum(float(instance["preference"][0, r.vehicle, node]) for r in routes for node in r.visits)
    ),
    VehiclesFirst: lambda _, instance, routes: (
        float(vehicle_worth(instance)) * len(routes) + loop_distance(instance, routes)
    ),
}


def costs_agree(env: RoutingEnv, instance: TensorDict, seed: int) -> None:
    actions, _ = rollout(env, instance, ROLLOUTS, seed)
    batched = env.cost(instance, actions)
    assert batched.shape == (len(instance), ROLLOUTS)
    for b in range(len(instance)):
        one = instance[b : b + 1]
        for r in range(ROLLOUTS):
            routes = env.visits.routes(one, actions[b, r].tolist())
            expected = ORACLES[type(env.objective)](env.objective, one, routes)
            assert env.routes_cost(one, routes) == pytest.approx(expected, rel=1e-5, abs=1e-5)
            assert float(batched[b, r]) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@every_problem
@some
@random_cases
def test_costs_agree(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """The batched cost, the cost of the routes, and a plain loop over them are the same number."""
    env = problem(name)
    costs_agree(env, draw(env, BATCH, nodes, seed, lattice), seed)


def routes_and_actions_are_inverse(env: RoutingEnv, instance: TensorDict, seed: int) -> None:
    actions, _ = rollout(env, instance, ROLLOUTS, seed)
    one, costs = instance[:1], env.cost(instance, actions)[0]
    for r in range(ROLLOUTS):
        routes = env.visits.routes(one, actions[0, r].tolist())
        again = env.visits.actions(one, routes)
        assert env.visits.routes(one, again) == routes
        cost = env.cost(one, torch.tensor([[again]]))
        torch.testing.assert_close(cost[0, 0], costs[r])


@every_problem
@some
@random_cases
def test_routes_and_actions_are_inverse(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """Actions turned into routes and back drive the same routes at the same cost."""
    env = problem(name)
    routes_and_actions_are_inverse(env, draw(env, BATCH, nodes, seed, lattice), seed)


def relabelled(instance: TensorDict, order: torch.Tensor) -> TensorDict:
    """The same instance with node ``k`` being what node ``order[k]`` was."""
    fields = {}
    for name, value in instance.items():
        for dim, symbol in enumerate(SCHEMA[name].shape, start=1):
            if symbol == "N":
                value = value.index_select(dim, order)
        fields[name] = value
    if "delivery" in fields:  # its values are nodes, too
        fields["delivery"] = order.argsort()[fields["delivery"]]
    return TensorDict(fields, batch_size=instance.batch_size)


def relabelling_customers_relabels_tours(env: RoutingEnv, instance: TensorDict, seed: int) -> None:
    depots = env.visits.depots(instance)
    shuffle = torch.randperm(
        num_nodes(instance) - depots, generator=torch.Generator().manual_seed(seed)
    )
    order = torch.cat([torch.arange(depots), shuffle + depots])
    new = order.argsort()  # new number of each old node
    other = relabelled(instance, order)
    here, there = env.features(other), env.features(instance)
    torch.testing.assert_close(here.nodes, there.nodes[:, order])
    torch.testing.assert_close(here.vehicles, there.vehicles)
    if here.distance is not None and there.distance is not None:
        torch.testing.assert_close(here.distance, there.distance[:, order][:, :, order])
    actions, states = rollout(env, instance, ROLLOUTS, seed)
    costs = env.cost(other, new[actions]), env.cost(instance, actions)
    torch.testing.assert_close(*costs, rtol=1e-6, atol=1e-6)
    state = env.reset(other, ROLLOUTS)
    for step, before in enumerate(states):
        assert torch.equal(env.mask(state), env.mask(before)[..., order])
        now, then = env.context(state), env.context(before)
        torch.testing.assert_close(now.scalars, then.scalars)
        if now.dynamic is not None and then.dynamic is not None:
            torch.testing.assert_close(now.dynamic, then.dynamic[..., order, :])
        state = env.step(state, new[actions[..., step]])


@every_problem
@some
@random_cases
def test_relabelling_customers_relabels_tours(
    name: str, nodes: int, seed: int, lattice: bool
) -> None:
    """With the customers renamed, masks, contexts, features and costs are the same, renamed."""
    env = problem(name)
    relabelling_customers_relabels_tours(env, draw(env, BATCH, nodes, seed, lattice), seed)


def batch_of_one_equals_its_row(env: RoutingEnv, instance: TensorDict, seed: int) -> None:
    actions, states = rollout(env, instance, ROLLOUTS, seed)
    b, r = seed % len(instance), seed % ROLLOUTS
    one = instance[b : b + 1]
    assert torch.equal(env.features(one).nodes, env.features(instance).nodes[b : b + 1])
    state = env.reset(one)
    for step, before in enumerate(states):
        here, there = env.context(state), env.context(before)
        assert torch.equal(here.mask[0, 0], there.mask[b, r])
        assert torch.equal(here.nodes[0, 0], there.nodes[b, r])
        assert torch.equal(here.scalars[0, 0], there.scalars[b, r])
        if here.dynamic is not None and there.dynamic is not None:
            assert torch.equal(here.dynamic[0, 0], there.dynamic[b, r])
        state = env.step(state, actions[b : b + 1, r : r + 1, step])
    cost = env.cost(one, actions[b : b + 1, r : r + 1])
    torch.testing.assert_close(cost[0, 0], env.cost(instance, actions)[b, r])


# A batch of shipments where detours are shorter in the first instance alone.
@every_problem
@example(nodes=8, seed=1, lattice=True)
@some
@random_cases
def test_batch_of_one_equals_its_row(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """An instance alone and a rollout alone fare exactly as in a larger batch."""
    env = problem(name)
    batch_of_one_equals_its_row(env, draw(env, BATCH, nodes, seed, lattice), seed)


def feature_sizes_are_as_stated(env: RoutingEnv, instance: TensorDict, seed: int) -> None:
    batch, nodes = len(instance), num_nodes(instance)
    features, context = env.features(instance), env.context(env.reset(instance, ROLLOUTS))
    assert features.nodes.shape == (batch, nodes, env.spec.node_dim)
    assert features.num_depots == env.visits.depots(instance) >= env.spec.num_depots
    assert (features.vehicles is None) == (env.spec.vehicle_dim == 0)
    if features.vehicles is not None:
        assert features.vehicles.shape == (batch, features.num_depots, env.spec.vehicle_dim)
        assert features.vehicles.isfinite().all()
    assert context.scalars.shape == (batch, ROLLOUTS, env.spec.context_dim)
    assert context.nodes.shape == (batch, ROLLOUTS, env.spec.context_nodes)
    assert context.mask.shape == (batch, ROLLOUTS, nodes)
    assert (context.dynamic is None) == (env.spec.dynamic_dim == 0)
    if context.dynamic is not None:
        assert context.dynamic.shape == (batch, ROLLOUTS, nodes, env.spec.dynamic_dim)
    assert features.nodes.isfinite().all() and context.scalars.isfinite().all()
    assert features.coords is not None
    assert features.coords.min() >= 0 and features.coords.max() <= 1
    assert (features.distance is None) == ("distance" not in instance.keys())
    if features.distance is not None:  # the unit of the coordinates: equal sums
        seen = (features.coords.unsqueeze(1) - features.coords.unsqueeze(2)).norm(dim=-1)
        torch.testing.assert_close(features.distance.sum((1, 2)), seen.sum((1, 2)))
        ratio = features.distance * instance["distance"].amax((1, 2), keepdim=True)
        scaled = instance["distance"] * features.distance.amax((1, 2), keepdim=True)
        torch.testing.assert_close(ratio.double(), scaled.double(), rtol=1e-5, atol=1e-6)


@every_problem
@some
@random_cases
def test_feature_sizes_are_as_stated(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """Features and context have the sizes of ``spec``, are finite, and coordinates lie in the unit
    square."""
    env = problem(name)
    feature_sizes_are_as_stated(env, draw(env, BATCH, nodes, seed, lattice), seed)


def starts_are_feasible_and_distinct(env: RoutingEnv, instance: TensorDict, seed: int) -> None:
    nodes, depots = num_nodes(instance), env.visits.depots(instance)
    mask = env.mask(env.reset(instance))[:, 0]
    for count in (1, nodes // 2, nodes, 2 * nodes):
        starts = env.starts(instance, count)
        assert starts.shape == (len(instance), count)
        assert bool(mask.gather(1, starts).all())
        for b in range(len(instance)):
            # With several depot nodes, the first move chooses one of them.
            first = mask[b] if depots > 1 else mask[b, depots:]
            assert len(set(starts[b].tolist())) == min(count, max(int(first.sum()), 1))


@every_problem
@some
@random_cases
def test_starts_are_feasible_and_distinct(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """Multi-start begins at allowed customers, at different ones while there are enough."""
    env = problem(name)
    starts_are_feasible_and_distinct(env, draw(env, BATCH, nodes, seed, lattice), seed)


def select_takes_whole_rollouts(env: RoutingEnv, instance: TensorDict, seed: int) -> None:
    actions, states = rollout(env, instance, ROLLOUTS, seed)
    if not states:
        return
    step = seed % len(states)
    rng = torch.Generator().manual_seed(seed)
    index = torch.randint(ROLLOUTS, (len(instance), 6), generator=rng)
    state = states[step].select(index)
    for t in range(step, len(states)):
        wide = index.unsqueeze(-1).expand(-1, -1, num_nodes(instance))
        assert torch.equal(env.mask(state), env.mask(states[t]).gather(1, wide))
        state = env.step(state, actions[..., t].gather(1, index))
    assert bool(env.done(state).all())


@every_problem
@some
@random_cases
def test_select_takes_whole_rollouts(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """A selected rollout goes on exactly as the one it was taken from, also when taken twice."""
    env = problem(name)
    select_takes_whole_rollouts(env, draw(env, BATCH, nodes, seed, lattice), seed)


INVARIANTS = (
    costs_agree,
    routes_and_actions_are_inverse,
    relabelling_customers_relabels_tours,
    batch_of_one_equals_its_row,
    feature_sizes_are_as_stated,
    starts_are_feasible_and_distinct,
    select_takes_whole_rollouts,
)


OTHERS = [name for name in VARIANTS if name not in FEW]


@pytest.mark.parametrize(
    "name",
    [
        name if k % 4 == 0 else pytest.param(name, marks=pytest.mark.slow)
        for k, name in enumerate(OTHERS)
    ],
)
@settings(max_examples=2)
@given(nodes=st.integers(5, 12), seed=st.integers(0, 2**31), lattice=st.booleans())
def test_variants(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """All of this holds for the variants as well."""
    env = problem(name)
    for invariant in INVARIANTS:
        invariant(env, draw(env, BATCH, nodes, seed, lattice), seed)


def generated(name: str, size: int, batch: int, rollouts: int, seed: int) -> int:
    """How many random rollouts on the problem's own instances are what their state says."""
    env = problem(name)
    instance = PROBLEMS[name].generator(size)(batch, torch.Generator().manual_seed(seed))
    actions, states = rollout(env, instance, rollouts, seed)
    broken = env.broken(final(env, states, actions))
    if name not in MAY_BREAK:
        assert not bool(broken.any())
    right = 0
    for b in range(batch):
        one = instance[b : b + 1]
        assert env.impossible(one) == []
        for r in range(rollouts):
            found = env.check(one, env.visits.routes(one, actions[b, r].tolist()))
            right += bool(found) == bool(broken[b, r])
    return right


# Whether one vehicle can keep all windows, or all vehicles theirs, or all routes have a delivery,
# is more than a mask can tell. The vehicles of the mTSP and of the TOP always suffice.
MAY_BREAK = {"tsptw", "mtvrptw", "mtvrptwr", "vrpb-strict"}


@pytest.mark.parametrize("name", PROBLEMS)
def test_generated_instances_have_feasible_rollouts(name: str) -> None:
    """
    Generators draw possible instances, on which all that the mask allows is feasible, or broken
    in the few problems where it may be.
    """
    assert generated(name, 10, 10, 10, 0) == 100


@pytest.mark.slow
@pytest.mark.parametrize("name", PROBLEMS)
def test_ten_thousand_rollouts_are_feasible(name: str) -> None:
    """The same for 10,000 rollouts of each problem, on 400 instances of four sizes."""
    sizes = (5, 13, 20, 50)
    assert sum(generated(name, size, 100, 25, size) for size in sizes) == 10_000
