"""Split deliveries: the rule of the paper, the exact check of amounts, and what they cost."""

import math
from collections.abc import Sequence
from functools import cache
from itertools import combinations, pairwise, permutations, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from nco.data import make_instance, metric
from nco.envs import Route, RoutingEnv, problem
from nco.envs.constraints.split_capacity import deliveries
from tests.envs.random_instances import draw, rollout

Matrix = list[list[float]]
Demands = tuple[int, ...]


def instance(demand: list[int], capacity: int) -> TensorDict:
    n = len(demand)
    return make_instance(
        locs=torch.rand(1, n, 2, generator=torch.Generator().manual_seed(n)),
        demand=torch.tensor([demand]),
        capacity=torch.tensor([capacity]),
    )


def drive(env: RoutingEnv, one: TensorDict, actions: list[int]) -> list[list[int]]:
    """Remaining demands after each action."""
    state, seen = env.reset(one), []
    for action in actions:
        assert env.mask(state)[0, 0, action]
        state = env.step(state, torch.tensor([[action]]))
        seen.append(state.parts["remaining"][0, 0].tolist())
    assert env.done(state).item()
    return seen


def test_a_visit_serves_as_much_as_it_can() -> None:
    """Demands 3 and 4, capacity 5: the second customer gets 2, then the vehicle must return."""
    env, one = problem("sdvrp"), instance([0, 3, 4], 5)
    state = env.reset(one)
    for action, mask in ((1, [True, False, True]), (2, [True, False, False])):
        state = env.step(state, torch.tensor([[action]]))
        assert env.mask(state)[0, 0].tolist() == mask
    assert drive(env, one, [1, 2, 0, 2, 0]) == [
        [0, 0, 4],
        [0, 0, 2],
        [0, 0, 2],
        [0, 0, 0],
        [0, 0, 0],
    ]


def test_demands_may_exceed_the_capacity() -> None:
    """A demand of 7 takes three vehicles of 3; no rule calls it impossible."""
    env, one = problem("sdvrp"), instance([0, 7], 3)
    assert env.impossible(one) == []
    assert drive(env, one, [1, 0, 1, 0, 1, 0])[-1] == [0, 0]
    assert env.max_steps(one) >= 6
    assert env.check(one, [Route((1,))] * 3) == []
    (short,) = env.check(one, [Route((1,))] * 2)
    assert (short.rule, short.message) == ("capacity", "capacity 3 lets 6 of 7 be delivered")


def test_what_a_policy_sees_of_split_demands() -> None:
    """Context: the remaining share of the capacity; dynamic: remaining demands as shares."""
    env, one = problem("sdvrp"), instance([0, 3, 4], 5)
    assert env.spec.dynamic_dim == 1 and problem("cvrp").spec.dynamic_dim == 0
    state = env.step(env.step(env.reset(one), torch.tensor([[1]])), torch.tensor([[2]]))
    context = env.context(state)
    assert context.scalars.item() == 0.0
    assert context.dynamic is not None
    assert context.dynamic[0, 0, :, 0].tolist() == pytest.approx([0.0, 0.0, 0.4])
    assert env.features(one).nodes[0, :, 2].tolist() == pytest.approx([0.0, 0.6, 0.8])


GOOD = (Route((1, 2)), Route((2, 3)))
DEMAND = [0, 3, 4, 3]


@pytest.mark.parametrize(
    ("routes", "rules"),
    [
        pytest.param(GOOD, set(), id="good"),
        pytest.param([Route((1, 2)), Route((3,))], {"capacity"}, id="split visit dropped"),
        pytest.param([Route((1,)), Route((3,))], {"not visited"}, id="customer dropped"),
        pytest.param([Route((1, 3, 2)), Route((2,))], {"capacity"}, id="overload"),
        pytest.param([Route((1, 2, 2)), GOOD[1]], {"visited twice"}, id="twice on a route"),
        pytest.param([Route((1, 2, 4)), GOOD[1]], {"unknown node"}, id="unknown node"),
        pytest.param([Route((1, 2), end=2), GOOD[1]], {"depot"}, id="wrong depot"),
        pytest.param([Route((1, 2, 3)), Route((2, 3))], set(), id="more visits than needed"),
        pytest.param([], {"not visited"}, id="nothing"),
    ],
)
def test_corrupt_split_routes_are_named(routes: Sequence[Route], rules: set[str]) -> None:
    """Each corruption is found, with its rule and nothing else; both vehicles of 5 are full."""
    found = problem("sdvrp").check(instance(DEMAND, 5), routes)
    assert {violation.rule for violation in found} == rules


def amounts_exist(demand: Sequence[int], capacity: int, routes: Sequence[Route]) -> bool:
    """Whether split deliveries are feasible, by trying all integer amounts."""
    pairs = [(k, node) for k, route in enumerate(routes) for node in route.visits]
    for amounts in product(*(range(min(demand[node], capacity) + 1) for _, node in pairs)):
        loads, served = [0] * len(routes), [0] * len(demand)
        for (k, node), amount in zip(pairs, amounts, strict=True):
            loads[k] += amount
            served[node] += amount
        if max(loads) <= capacity and served == list(demand):
            return True
    return False


@settings(max_examples=60, deadline=None)
@given(
    demand=st.lists(st.integers(0, 4), min_size=3, max_size=3),
    capacity=st.integers(1, 5),
    routes=st.lists(
        st.permutations([1, 2, 3]).flatmap(
            lambda order: st.integers(1, 3).map(lambda size: Route(tuple(order[:size])))
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_flow_finds_amounts_if_and_only_if_there_are_any(
    demand: list[int], capacity: int, routes: list[Route]
) -> None:
    """The check of amounts agrees with trying all of them, and the amounts it finds fit."""
    full = [0, *demand]
    env, one = problem("sdvrp"), instance(full, capacity)
    missed = {node for node in (1, 2, 3) if not any(node in route.visits for route in routes)}
    visited = [0 if node in missed else amount for node, amount in enumerate(full)]
    rules = [violation.rule for violation in env.check(one, routes)]
    assert ("capacity" not in rules) == amounts_exist(visited, capacity, routes)
    assert rules.count("not visited") == len(missed)
    amounts = deliveries(full, capacity, routes)
    assert all(sum(row) <= capacity and min(row) >= 0 for row in amounts)
    for node in (1, 2, 3):
        pairs = [
            zip(route.visits, row, strict=True) for route, row in zip(routes, amounts, strict=True)
        ]
        assert sum(a for pair in pairs for stop, a in pair if stop == node) <= full[node]


def route_length(matrix: Matrix, stops: Sequence[int]) -> float:
    path = [0, *stops, 0]
    return sum(matrix[a][b] for a, b in pairwise(path))


def any_amounts(matrix: Matrix, demand: Demands, capacity: int) -> float:
    """Optimum over all integer amounts, by recursion on what remains."""
    customers = range(1, len(matrix))
    shortest = {
        group: min(route_length(matrix, order) for order in permutations(group))
        for size in customers
        for group in combinations(customers, size)
    }

    @cache
    def rest(left: Demands) -> float:
        if not any(left):
            return 0.0
        costs = []
        for amounts in product(*(range(amount + 1) for amount in left)):
            if 0 < sum(amounts) <= capacity:
                group = tuple(k for k, amount in enumerate(amounts, start=1) if amount)
                after = tuple(a - b for a, b in zip(left, amounts, strict=True))
                costs.append(shortest[group] + rest(after))
        return min(costs)

    return rest(demand)


def as_much_as_possible(matrix: Matrix, demand: Demands, capacity: int) -> float:
    """Optimum where each visit serves the smaller of demand and room, by recursion."""

    @cache
    def rest(left: Demands) -> float:
        return 0.0 if not any(left) else min(routes((), left, capacity))

    def routes(stops: tuple[int, ...], left: Demands, room: int) -> list[float]:
        costs = [route_length(matrix, stops) + rest(left)] if stops else []
        for k, amount in enumerate(left):
            served = min(amount, room)
            if served:
                after = (*left[:k], amount - served, *left[k + 1 :])
                costs += routes((*stops, k + 1), after, room - served)
        return costs

    return rest(demand)


def best_allowed(env: RoutingEnv, one: TensorDict) -> float:
    """Smallest cost over all action sequences that the mask allows."""
    state, actions = env.reset(one), torch.zeros(1, 1, 0, dtype=torch.long)
    best = math.inf
    while actions.shape[1]:
        done = env.done(state)[0]
        if bool(done.any()):
            best = min(best, float(env.cost(one, actions[:, done]).min()))
        rows, nodes = (env.mask(state)[0] & ~done.unsqueeze(-1)).nonzero(as_tuple=True)
        state = env.step(state.select(rows.unsqueeze(0)), nodes.unsqueeze(0))
        actions = torch.cat([actions[:, rows], nodes[None, :, None]], dim=-1)
    return best


@settings(max_examples=15, deadline=None)
@given(
    demand=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    capacity=st.integers(2, 5),
    seed=st.integers(0, 2**31),
)
def test_mask_admits_the_optimum(demand: list[int], capacity: int, seed: int) -> None:
    """
    The best that the mask allows is the optimum of the rule "as much as possible" by recursion,
    and with up to three customers in the plane also the optimum over all amounts.
    """
    env = problem("sdvrp")
    one = instance([0, *demand], capacity)
    one["locs"] = torch.rand(1, len(demand) + 1, 2, generator=torch.Generator().manual_seed(seed))
    matrix = metric.pairwise(one)[0].tolist()
    best = best_allowed(env, one)
    assert best == pytest.approx(as_much_as_possible(matrix, tuple(demand), capacity), rel=1e-5)
    assert best == pytest.approx(any_amounts(matrix, tuple(demand), capacity), rel=1e-5)


def test_serving_as_much_as_possible_can_miss_the_optimum() -> None:
    """
    A known limit of the paper's rule. Five customers of demand 2, vehicles of 5, all customers 2
    from the depot, the fifth 1 from the others, these 2 apart: 1-5-2 and 3-5-4 serve half of the
    fifth each, in mid-route, for 2 + 1 + 1 + 2 = 6 a vehicle. The rule allows a part only at the
    end of a route: 1-2-5 costs 2 + 2 + 1 + 2 = 7.
    """
    distance = torch.full((6, 6), 2.0)
    distance[1:5, 5] = distance[5, 1:5] = 1.0
    distance.fill_diagonal_(0)
    demand = [0, 2, 2, 2, 2, 2]
    one = make_instance(
        distance=distance.unsqueeze(0),
        demand=torch.tensor([demand]),
        capacity=torch.tensor([5]),
    )
    env, matrix = problem("sdvrp"), distance.tolist()
    assert any_amounts(matrix, tuple(demand[1:]), 5) == 12
    assert as_much_as_possible(matrix, tuple(demand[1:]), 5) == 13
    assert best_allowed(env, one) == 13
    optimal = (Route((1, 5, 2)), Route((3, 5, 4)))
    assert env.check(one, optimal) == [] and env.routes_cost(one, optimal) == 12


@pytest.mark.parametrize("name", ["cvrp", "sdvrp"])
@settings(max_examples=20, deadline=None)
@given(nodes=st.integers(2, 12), seed=st.integers(0, 2**31))
def test_published_arithmetic_stays_feasible(name: str, nodes: int, seed: int) -> None:
    """Sums in single precision may refuse what is allowed, but all they allow passes the check."""
    env, exact = problem(name, published=True), problem(name)
    one = draw(exact, 1, nodes, seed)
    actions, _ = rollout(env, one, 4, seed)
    for r in range(4):
        routes = env.visits.routes(one, actions[0, r].tolist())
        if not exact.impossible(one):
            assert env.check(one, routes) == [] == exact.check(one, routes)


@pytest.mark.parametrize("name", ["tsp", "op", "pctsp", "spctsp"])
def test_published_arithmetic_is_exact_elsewhere(name: str) -> None:
    """Only the capacity rules have a second arithmetic."""
    rules = [type(rule) for rule in problem(name, published=True).constraints]
    assert rules == [type(rule) for rule in problem(name).constraints]


def test_published_arithmetic_refuses_full_vehicles() -> None:
    """
    Demands 6, 8, 2, 4 of 20 fill a vehicle, but as float32 shares .3 + .4 + .1 + .2 exceed 1:
    the last is refused. Served in parts, it leaves a crumb that another visit must fetch.
    """
    one = instance([0, 6, 8, 2, 4], 20)
    share = torch.tensor([6, 8, 2, 4]) / 20
    assert float(((share[0] + share[1]) + share[2]) + share[3]) > 1
    for name, crumb in (("cvrp", False), ("sdvrp", True)):
        exact, single = problem(name), problem(name, published=True)
        for env, fits in ((exact, True), (single, crumb)):
            state = env.reset(one)
            for node in (1, 2, 3):
                state = env.step(state, torch.tensor([[node]]))
            assert env.mask(state)[0, 0, 4].item() == fits
        if crumb:
            after = single.step(state, torch.tensor([[4]]))
            assert 0 < after.parts["remaining"][0, 0, 4].item() < 1e-6
            assert not after.visited[0, 0, 4].item()
