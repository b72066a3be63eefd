"""What solvers do where there is hardly time; limits are far below what it takes, not timed."""

from itertools import pairwise as successive

import pytest
import torch

from nco.data import make_instance
from nco.data.errors import InputError
from nco.data.metric import Metric, pairwise
from nco.data.seeding import seeded
from nco.decoding.reconstruction import Rebuilder
from nco.decoding.rollout import OutOfTime
from nco.decoding.subproblems import find_cut
from nco.envs import PROBLEMS, problem
from nco.hub.released import shipped_policy
from nco.solvers.base import Solver
from nco.solvers.fast_tsp import FastTSP
from nco.solvers.heuristics import savings as savings_module
from nco.solvers.heuristics.nearest_neighbour import NEAR, nearest_neighbour
from nco.solvers.heuristics.savings import savings
from nco.solvers.ortools import ORTools
from nco.solvers.policy import PolicySolver
from nco.solvers.pyvrp import PyVRP

NO_TIME = 1e-3


@pytest.mark.parametrize(
    ("solver", "name"), [(PyVRP(), "pyvrp"), (ORTools(), "ortools"), (FastTSP(), "fast-tsp")]
)
def test_limits_below_the_preparations_are_refused(solver: Solver, name: str) -> None:
    """The message tells what is needed; the same solver takes smaller instances."""
    large, small = (PROBLEMS["tsp"].generator(n)(1, seeded(0)) for n in (2500, 10))
    with pytest.raises(InputError, match=rf"{name}: about .* s for 2500 nodes .*, found 0.001"):
        solver.solve(problem("tsp"), large, NO_TIME)
    solver.solve(problem("tsp"), small, NO_TIME)  # perhaps to no avail, but not refused


def test_a_policy_without_time_leaves_it_to_savings() -> None:
    """Large instances have a solution by the limit, and its name tells whose it is."""
    instance = PROBLEMS["cvrp"].generator(150)(1, seeded(0))
    found = PolicySolver().solve(problem("cvrp"), instance, NO_TIME)
    assert found.feasible
    assert found.solver.startswith("savings: policy cvrp")
    assert found.vehicle_routes == savings(problem("cvrp"), instance)


def test_a_policy_without_time_or_savings_finds_nothing() -> None:
    """Where no construction serves the problem, nothing is found, and nothing is late."""
    instance = PROBLEMS["vrptw"].generator(150)(1, seeded(0))
    found = PolicySolver().solve(problem("vrptw"), instance, NO_TIME)
    assert not found.feasible
    assert not found.routes


def test_small_instances_are_solved_whatever_the_limit() -> None:
    """A greedy rollout of few customers is worth being late for."""
    for name in ("tsp", "cvrp", "vrptw"):
        instance = PROBLEMS[name].generator(20)(1, seeded(0))
        assert PolicySolver().solve(problem(name), instance, NO_TIME).feasible


@pytest.mark.parametrize("nodes", [1, 2, NEAR, 60])
@pytest.mark.parametrize("stated", [False, True])
def test_nearest_neighbours(nodes: int, stated: bool) -> None:
    """From each node the tour goes on to the nearest one that is left."""
    instance = make_instance(locs=torch.rand(1, nodes, 2, generator=seeded(1)))
    distance = pairwise(instance)[0]
    if stated:
        instance = make_instance(distance=distance.unsqueeze(0))
    tour = nearest_neighbour(instance)
    assert sorted(tour) == list(range(nodes))
    for k, (here, there) in enumerate(successive(tour)):
        assert distance[here, there] == distance[here, tour[k + 1 :]].min()


@pytest.mark.parametrize("metric", [None, Metric.EUC_2D])
def test_savings_by_a_tree_are_those_of_all_pairs(
    metric: Metric | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The near ones are the same, so the routes are; of rounded legs up to equal ones."""
    instance = PROBLEMS["cvrp"].generator(300)(1, seeded(2))
    if metric is not None:
        instance = instance.set("locs", instance["locs"] * 1e5)  # hardly two legs are equal
        instance = instance.set("metric", torch.tensor([int(metric)]))
    expected = savings(problem("cvrp"), instance)
    monkeypatch.setattr(savings_module, "MANY", 0)
    assert savings(problem("cvrp"), instance) == expected


def test_pieces_that_cannot_be_ready_are_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a batch has told how long they take, the next one is begun only where there is time."""
    env = problem("cvrp")
    instance = PROBLEMS["cvrp"].generator(40)(1, seeded(0))
    rebuilder = Rebuilder(env, shipped_policy("cvrp").policy, instance, 2)
    routes = savings(env, instance)
    assert routes is not None
    _, pieces = find_cut(env).cut(routes, rebuilder.coords[0], 1, 0, 20, seeded(0))
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0  # a second passes whenever one looks
        return now[0]

    monkeypatch.setattr("nco.decoding.reconstruction.time.perf_counter", clock)
    assert list(rebuilder(pieces, seeded(0))) is not None
    begun = now[0]
    with pytest.raises(OutOfTime):
        list(rebuilder(pieces, seeded(0), deadline=begun + 1 + 1e-6))
    assert now[0] == begun + 1  # it looked once, and did not begin
