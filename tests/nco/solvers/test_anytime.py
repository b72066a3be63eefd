"""What a policy does with its time: starts, pieces, threads."""

from itertools import permutations

import pytest
import torch

from nco.data import make_instance
from nco.decoding import Greedy, rollout
from nco.envs import Route, problem
from nco.hub.released import Released
from nco.solution import judge
from nco.solvers.heuristics.insertion import farthest_insertion
from nco.solvers.policy.solver import PolicySolver
from nco.solvers.threads import one_thread
from tests.envs.random_instances import draw
from tests.policies.small import small_policy


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["tsp", "atsp"])
def test_farthest_insertion(name: str, seed: int) -> None:
    """Every node is visited once; in the plane the tour is at most half as long again as the best
    of all permutations, and on a convex polygon it is the best."""
    env = problem(name)
    instance = draw(env, 1, 7, seed)
    tour = farthest_insertion(instance)
    assert sorted(tour) == list(range(7))
    if name == "tsp":
        every = torch.tensor([[(0, *rest) for rest in permutations(range(1, 7))]])
        best = float(env.cost(instance, every).min())
        assert env.routes_cost(instance, [Route(tuple(tour), None, None)]) <= 1.5 * best
        angle = torch.rand(9, generator=torch.Generator().manual_seed(seed)) * 6.28
        circle = make_instance(locs=torch.stack([angle.cos(), angle.sin()], -1)[None])
        around = Route(tuple(angle.argsort().tolist()), None, None)
        mine = Route(tuple(farthest_insertion(circle)), None, None)
        expected = env.routes_cost(circle, [around])
        assert env.routes_cost(circle, [mine]) == pytest.approx(expected, rel=1e-6)


def test_insertion_counts_both_directions() -> None:
    """With distances that differ by direction, the third of three nodes goes where the way through
    it is short: 0 -> 1 -> 2 -> 0 costs 3, the other direction 30."""
    distance = torch.tensor([[[0.0, 1, 10], [10, 0, 1], [1, 10, 0]]])
    tour = farthest_insertion(make_instance(distance=distance))
    at = tour.index(0)
    assert tour[at:] + tour[:at] == [0, 1, 2]


def test_threads_come_back() -> None:
    """One thread within, as many as before afterwards, also after an error."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(ZeroDivisionError), one_thread():
            assert torch.get_num_threads() == 1
            _ = 1 / 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["tsp", "cvrp"])
def test_large_instances_in_little_time(name: str) -> None:
    """Above a hundred customers, what the time is spent on ends better than where it began, and
    keeps all rules."""
    env = problem(name)
    instance = draw(env, 1, 150, 2)
    found = PolicySolver().solve(env, instance, 3)
    assert found.feasible and env.check(instance, found.vehicle_routes) == []
    assert len(found.history) > 1 and found.history[-1][1] < found.history[0][1]
    assert found.seconds < 6


def test_pieces_of_the_start_are_solved_anew() -> None:
    """A start that is better than anything the policy finds by itself is improved on further."""
    env = problem("tsp")
    policy = small_policy(env, 3, norm="instance").eval()
    instance = draw(env, 1, 60, 3)
    # The insertion tour with some neighbours swapped: short, but with room for local repair.
    tour = farthest_insertion(instance)
    for k in range(0, 60, 12):
        tour[k], tour[k + 1] = tour[k + 1], tour[k]
    start = judge(env, instance, [Route(tuple(tour), None, None)], 0.0, "start")
    greedy = float(rollout(env, policy, instance, Greedy()).cost)
    assert start.value < greedy
    found = PolicySolver(Released("small", policy, env)).solve(env, instance, 2, start=start)
    assert found.feasible and found.value < start.value
