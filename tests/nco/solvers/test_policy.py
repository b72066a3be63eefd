"""A policy as a solver: checked, in time, never worse than its start, on odd instances too."""

from itertools import pairwise as pairs_of
from itertools import permutations

import pytest
import torch
from tensordict import TensorDict

from nco.data import make_instance
from nco.data.errors import InputError
from nco.data.metric import Metric, pairwise
from nco.decoding import Beam, Greedy, MultiStart, rollout
from nco.envs import Route, RoutingEnv, problem
from nco.hub.released import Released, default_policy
from nco.solution import Solution, judge
from nco.solvers.policy.solver import PolicySolver
from tests.envs.random_instances import draw
from tests.policies.small import small_policy

NAMES = ("tsp", "cvrp", "sdvrp", "op", "pctsp")
LIMITS = (None, 0.05)


def solver(name: str, **settings) -> tuple[RoutingEnv, PolicySolver]:
    """A small random policy for a named problem."""
    env = problem(name)
    policy = small_policy(env, 1, norm="instance", residual=True, distance_bias=True).eval()
    return env, PolicySolver(Released("small", policy, env), **settings)


def assert_sound(env: RoutingEnv, instance: TensorDict, found: Solution) -> None:
    """Feasible, with the cost of its routes, and a trace that falls to it."""
    assert found.feasible and env.check(instance, found.vehicle_routes) == []
    assert found.value == pytest.approx(env.routes_cost(instance, found.vehicle_routes))
    times, costs = zip(*found.history, strict=True)
    assert list(times) == sorted(times) and times[-1] <= found.seconds
    assert all(a > b for a, b in pairs_of(costs))
    assert costs[-1] == pytest.approx(found.value, rel=1e-5, abs=1e-6)


def tiny(env: RoutingEnv, customers: int, kind: str) -> TensorDict:
    """Instances at the edge: one to three customers, all at one place, in pairs, or a matrix."""
    nodes = customers + env.visits.num_depots
    instance = draw(env, 1, nodes, customers)
    if kind == "point":
        instance["locs"] = torch.full((1, nodes, 2), 7.0)
    if kind == "pairs":
        instance["locs"] = (1000 * instance["locs"])[:, torch.arange(nodes) // 2]
    if kind == "matrix":
        distance = pairwise(instance).round(decimals=3)
        instance = instance.exclude("locs").set("distance", distance.double())
    return instance


@pytest.mark.parametrize("time_limit", LIMITS)
@pytest.mark.parametrize("kind", ["plain", "point", "pairs", "matrix"])
@pytest.mark.parametrize("customers", [1, 2, 3, 7])
@pytest.mark.parametrize("name", NAMES)
def test_odd_instances(name: str, customers: int, kind: str, time_limit: float | None) -> None:
    """One, two, three customers, nodes at one place or in pairs, distances without coordinates: all
    are solved, with and without a time limit, and those limits end."""
    env, policy = solver(name)
    instance = tiny(env, customers, kind)
    found = policy.solve(env, instance, time_limit)
    if env.check(instance, ()) == [] and not found.vehicle_routes:
        assert found.feasible  # where visits are optional, no route may be the solution
    else:
        assert_sound(env, instance, found)
    assert found.seconds < 20


@pytest.mark.parametrize("name", ["tsp", "cvrp"])
@pytest.mark.parametrize("size", [2, 5])
def test_shipped_policies_solve_odd_instances(name: str, size: int) -> None:
    """The default policy of a problem is found without being named, and solves tiny instances to
    optimality, those with rounded distances far from the unit square too."""
    env = problem(name)
    rng = torch.Generator().manual_seed(size)
    locs = torch.randint(-5000, 5000, (1, size, 2), generator=rng).double()
    fields = {"locs": locs, "metric": torch.tensor([int(Metric.EUC_2D)])}
    if name == "cvrp":
        fields |= {"demand": (torch.arange(size) > 0).long()[None], "capacity": torch.tensor([9])}
    instance = make_instance(**fields)
    default_policy(env)  # loaded once, outside the time limit
    found = PolicySolver().solve(env, instance, time_limit=1.5)
    assert_sound(env, instance, found)
    # One vehicle holds all customers, and the triangle inequality makes one route the best.
    distance = pairwise(instance)[0].round()
    best = min(
        sum(float(distance[a, b]) for a, b in zip((0, *rest), (*rest, 0), strict=True))
        for rest in permutations(range(1, size))
    )
    assert found.value == pytest.approx(best, rel=0.01)
    assert found.solver.startswith(f"policy {name} (nco ")


def test_time_limits_are_kept() -> None:
    """The clock ends a solve soon after its limit, at the best of what was found by then; more time
    is never worse than the first greedy round."""
    env, policy = solver("cvrp")
    instance = draw(env, 1, 60, 3)
    policy.solve(env, instance, 0.01)  # whatever is loaded or compiled only once
    greedy = float(rollout(env, policy.policy.policy, instance, Greedy()).cost)
    for limit in (0.01, 1.5):
        found = policy.solve(env, instance, limit)
        assert_sound(env, instance, found)
        assert found.value <= greedy + 1e-5
        assert found.seconds < limit + 2
    assert found.seconds > 1.2 and len(found.history) > 1


def test_a_round_that_is_cut_off_is_dropped() -> None:
    """A search that takes longer than the limit leaves the greedy solution."""
    env, policy = solver("cvrp", search=Beam(600))
    instance = draw(env, 1, 40, 4)
    greedy = rollout(env, policy.policy.policy, instance, Greedy())
    found = policy.solve(env, instance, 0.02)
    assert found.value == pytest.approx(float(greedy.cost), rel=1e-5) and len(found.history) == 1


@pytest.mark.parametrize("time_limit", LIMITS)
def test_never_worse_than_its_start(time_limit: float | None) -> None:
    """An optimal start comes back; a bad one is improved on; an infeasible one is no start."""
    env, policy = solver("tsp")
    instance = draw(env, 1, 7, 5)

    def start(order: tuple[int, ...]) -> Solution:
        return judge(env, instance, [Route(order, None, None)], 0.0, "start")

    tours = sorted(permutations(range(1, 7)), key=lambda rest: start((0, *rest)).cost)
    best, worst = start((0, *tours[0])), start((0, *tours[-1]))
    assert policy.solve(env, instance, time_limit, start=best).cost <= best.cost
    found = policy.solve(env, instance, time_limit, start=worst)
    assert found.value < worst.value and found.feasible
    broken = start((0, 1, 2))
    assert not broken.feasible
    assert policy.solve(env, instance, time_limit, start=broken).feasible


def test_searches_can_be_chosen() -> None:
    """A given search is what runs, and the same seed gives the same routes."""
    env, policy = solver("cvrp", search=MultiStart(3))
    instance = draw(env, 1, 12, 6)
    found = policy.solve(env, instance)
    cost = float(MultiStart(3)(env, policy.policy.policy, instance).best()[1])
    assert found.value == pytest.approx(cost, rel=1e-6)
    assert policy.solve(env, instance, seed=3).vehicle_routes == found.vehicle_routes


def test_other_problems_are_refused() -> None:
    """A policy for another problem, an infeasible instance and no time end in one line."""
    env, policy = solver("tsp")
    with pytest.raises(InputError, match="policy 'small' does not support this problem"):
        policy.solve(problem("cvrp"), draw(problem("cvrp"), 1, 5, 0))
    with pytest.raises(InputError, match="time limit: 0, expected a positive number of seconds"):
        policy.solve(env, draw(env, 1, 5, 0), 0)
    env, policy = solver("cvrp")
    instance = draw(env, 1, 5, 0)
    instance["demand"][0, 2] = 10 + instance["capacity"][0]
    with pytest.raises(InputError, match=r"no solution exists: capacity: demand .* of node 2"):
        policy.solve(env, instance)
    with pytest.raises(InputError, match="policy 'nowhere': no such folder or checkpoint"):
        PolicySolver("nowhere")
