"""What holds for every named problem, whatever it is composed of."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import SCHEMA
from nco.envs import PROBLEMS, Route, problem
from nco.envs.objectives import Distance, Penalty, Prize, Total
from tests.envs.random_instances import draw, rollout

BATCH, ROLLOUTS = 3, 4
every_problem = pytest.mark.parametrize("name", PROBLEMS)
random_cases = given(nodes=st.integers(2, 12), seed=st.integers(0, 2**31), lattice=st.booleans())
some = settings(max_examples=15)


def test_unknown_problems_are_refused() -> None:
    """A name that is not in the table is the user's error, and the message lists the table."""
    with pytest.raises(InputError, match="'vrpxyz' is unknown, expected one of tsp, cvrp"):
        problem("vrpxyz")


@every_problem
@some
@random_cases
def test_allowed_rollouts_are_feasible(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """What the mask allows is complete in time, never stuck, and flawless for the checker."""
    env = problem(name)
    instance = draw(env, BATCH, nodes, seed, lattice)
    actions, _ = rollout(env, instance, ROLLOUTS, seed)
    for b in range(BATCH):
        one = instance[b : b + 1]
        if env.impossible(one):
            continue
        for r in range(ROLLOUTS):
            assert env.check(one, env.visits.routes(one, actions[b, r].tolist())) == []


def loop_distance(instance: TensorDict, routes: Sequence[Route]) -> float:
    """Length of all routes by the plainest possible loop."""
    locs, rounded = instance["locs"][0].tolist(), "metric" in instance.keys()
    total = 0.0
    for route in routes:
        if not route.visits:
            continue
        stops = list(route.visits)
        ends = [stops[-1]] if route.start is None else [route.start]
        before = ends[0]
        for node in stops if route.start is None else [*stops, route.end]:
            length = math.dist(locs[before], locs[node])
            total += math.floor(length + 0.5) if rounded else length
            before = node
    return total


def unvisited(instance: TensorDict, routes: Sequence[Route], field: str) -> float:
    """Sum of an attribute over the nodes that are on no route."""
    seen = {node for route in routes for node in route.visits}
    return sum(x for node, x in enumerate(instance[field][0].tolist()) if node not in seen)


ORACLES: dict[type, Callable[[Any, TensorDict, Sequence[Route]], float]] = {
    Distance: lambda _, instance, routes: loop_distance(instance, routes),
    Penalty: lambda _, instance, routes: unvisited(instance, routes, "penalty"),
    Prize: lambda _, instance, routes: (
        unvisited(instance, routes, "prize") - float(instance["prize"].sum())
    ),
    Total: lambda total, instance, routes: sum(
        ORACLES[type(term)](term, instance, routes) for term in total.terms
    ),
}


@every_problem
@some
@random_cases
def test_costs_agree(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """The batched cost, the cost of the routes, and a plain loop over them are the same number."""
    env = problem(name)
    instance = draw(env, BATCH, nodes, seed, lattice)
    actions, _ = rollout(env, instance, ROLLOUTS, seed)
    batched = env.cost(instance, actions)
    assert batched.shape == (BATCH, ROLLOUTS)
    for b in range(BATCH):
        one = instance[b : b + 1]
        for r in range(ROLLOUTS):
            routes = env.visits.routes(one, actions[b, r].tolist())
            expected = ORACLES[type(env.objective)](env.objective, one, routes)
            assert env.routes_cost(one, routes) == pytest.approx(expected, rel=1e-5, abs=1e-5)
            assert float(batched[b, r]) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@every_problem
@some
@random_cases
def test_routes_and_actions_are_inverse(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """Actions turned into routes and back drive the same routes at the same cost."""
    env = problem(name)
    instance = draw(env, 1, nodes, seed, lattice)
    actions, _ = rollout(env, instance, ROLLOUTS, seed)
    for r in range(ROLLOUTS):
        routes = env.visits.routes(instance, actions[0, r].tolist())
        again = env.visits.actions(instance, routes)
        assert env.visits.routes(instance, again) == routes
        cost = env.cost(instance, torch.tensor([[again]]))
        torch.testing.assert_close(cost[0, 0], env.cost(instance, actions)[0, r])


def relabelled(instance: TensorDict, order: torch.Tensor) -> TensorDict:
    """The same instance with node ``k`` being what node ``order[k]`` was."""
    fields = {}
    for name, value in instance.items():
        for dim, symbol in enumerate(SCHEMA[name].shape, start=1):
            if symbol == "N":
                value = value.index_select(dim, order)
        fields[name] = value
    return TensorDict(fields, batch_size=instance.batch_size)


@every_problem
@some
@random_cases
def test_relabelling_customers_relabels_tours(
    name: str, nodes: int, seed: int, lattice: bool
) -> None:
    """With the customers renamed, masks, contexts, features and costs are the same, renamed."""
    env = problem(name)
    instance = draw(env, BATCH, nodes, seed, lattice)
    depots = env.visits.num_depots
    shuffle = torch.randperm(nodes - depots, generator=torch.Generator().manual_seed(seed))
    order = torch.cat([torch.arange(depots), shuffle + depots])
    new = order.argsort()  # new number of each old node
    other = relabelled(instance, order)
    torch.testing.assert_close(env.features(other).nodes, env.features(instance).nodes[:, order])
    actions, states = rollout(env, instance, ROLLOUTS, seed)
    torch.testing.assert_close(env.cost(other, new[actions]), env.cost(instance, actions))
    state = env.reset(other, ROLLOUTS)
    for step, before in enumerate(states):
        assert torch.equal(env.mask(state), env.mask(before)[..., order])
        here, there = env.context(state), env.context(before)
        torch.testing.assert_close(here.scalars, there.scalars)
        if here.dynamic is not None and there.dynamic is not None:
            torch.testing.assert_close(here.dynamic, there.dynamic[..., order, :])
        state = env.step(state, new[actions[..., step]])


@every_problem
@some
@random_cases
def test_batch_of_one_equals_its_row(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """An instance alone and a rollout alone fare exactly as in a larger batch."""
    env = problem(name)
    instance = draw(env, BATCH, nodes, seed, lattice)
    actions, states = rollout(env, instance, ROLLOUTS, seed)
    b, r = seed % BATCH, seed % ROLLOUTS
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


@every_problem
@some
@random_cases
def test_feature_sizes_are_as_stated(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """Features and context have the sizes of ``spec``, are finite, and coordinates lie in the unit
    square."""
    env = problem(name)
    instance = draw(env, BATCH, nodes, seed, lattice)
    features, context = env.features(instance), env.context(env.reset(instance, ROLLOUTS))
    assert features.nodes.shape == (BATCH, nodes, env.spec.node_dim)
    assert context.scalars.shape == (BATCH, ROLLOUTS, env.spec.context_dim)
    assert context.nodes.shape == (BATCH, ROLLOUTS, env.spec.context_nodes)
    assert context.mask.shape == (BATCH, ROLLOUTS, nodes)
    assert (context.dynamic is None) == (env.spec.dynamic_dim == 0)
    if context.dynamic is not None:
        assert context.dynamic.shape == (BATCH, ROLLOUTS, nodes, env.spec.dynamic_dim)
    assert features.nodes.isfinite().all() and context.scalars.isfinite().all()
    assert features.coords is not None
    assert features.coords.min() >= 0 and features.coords.max() <= 1


@every_problem
@some
@random_cases
def test_starts_are_feasible_and_distinct(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """Multi-start begins at allowed customers, at different ones while there are enough."""
    env = problem(name)
    instance = draw(env, BATCH, nodes, seed, lattice)
    mask = env.mask(env.reset(instance))[:, 0]
    for count in (1, nodes // 2, nodes, 2 * nodes):
        starts = env.starts(instance, count)
        assert starts.shape == (BATCH, count)
        assert bool(mask.gather(1, starts).all())
        for b in range(BATCH):
            customers = int(mask[b, env.visits.num_depots :].sum())
            assert len(set(starts[b].tolist())) == min(count, max(customers, 1))


@every_problem
@some
@random_cases
def test_select_takes_whole_rollouts(name: str, nodes: int, seed: int, lattice: bool) -> None:
    """A selected rollout goes on exactly as the one it was taken from, also when taken twice."""
    env = problem(name)
    instance = draw(env, BATCH, nodes, seed, lattice)
    actions, states = rollout(env, instance, ROLLOUTS, seed)
    if not states:
        return
    step = seed % len(states)
    index = torch.randint(ROLLOUTS, (BATCH, 6), generator=torch.Generator().manual_seed(seed))
    state = states[step].select(index)
    for t in range(step, len(states)):
        wide = index.unsqueeze(-1).expand(-1, -1, nodes)
        assert torch.equal(env.mask(state), env.mask(states[t]).gather(1, wide))
        state = env.step(state, actions[..., t].gather(1, index))
    assert bool(env.done(state).all())
