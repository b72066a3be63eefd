"""Classical solvers against brute force, published optima, and their own promises."""

from dataclasses import replace
from functools import cache
from itertools import pairwise as neighbours

import pytest
import torch
from tensordict import TensorDict

from nco.data import make_instance
from nco.data.formats import read
from nco.data.native import library
from nco.envs import Route, RoutingEnv, problem
from nco.solution import Solution, judge
from nco.solvers.base import Solver
from nco.solvers.fast_tsp import FastTSP
from nco.solvers.ortools import ORTools
from nco.solvers.pyvrp import PyVRP
from nco.solvers.sisr import Sisr
from tests.benchmark_data import benchmark_data
from tests.envs.candidates import accepted
from tests.envs.random_instances import draw

ORTOOLS, PYVRP, FAST, SISR = ORTools(), PyVRP(), FastTSP(), Sisr(workers=1)
TSP, CVRP = problem("tsp"), problem("cvrp")
ON_TSP = [pytest.param(s, id=s.name) for s in (ORTOOLS, PYVRP, FAST)]
compiled = pytest.mark.skipif(library() is None, reason="needs the compiled kernels")
ON_CVRP = [
    *(pytest.param(s, id=s.name) for s in (ORTOOLS, PYVRP)),
    pytest.param(SISR, id=SISR.name, marks=compiled),
]
EVERYWHERE = [pytest.param(TSP, s.values[0], id=f"tsp {s.id}") for s in ON_TSP] + [
    pytest.param(CVRP, s.values[0], id=f"cvrp {s.id}", marks=s.marks) for s in ON_CVRP
]

WITH_TRACE = [p for p in EVERYWHERE if p.values[1] is not FAST]


@cache
def tiny(env: RoutingEnv, nodes: int, kind: str) -> tuple[TensorDict, float]:
    """An instance and its optimum by brute force."""
    instance = draw(env, 1, nodes, seed=3 * nodes, lattice=kind == "rounded")  # symmetric
    if kind == "asymmetric":
        rng = torch.Generator().manual_seed(3)
        instance = instance.exclude("locs")
        instance["distance"] = torch.rand(1, nodes, nodes, generator=rng)
    return instance, min(accepted(env, instance).values())


@pytest.mark.parametrize(("env", "solver"), EVERYWHERE)
@pytest.mark.parametrize("kind", ["unrounded", "rounded"])
@pytest.mark.parametrize("nodes", [1, 2, 3, 7])
def test_tiny_instances_are_solved_to_optimality(
    env: RoutingEnv, solver: Solver, nodes: int, kind: str
) -> None:
    """With up to seven nodes, unrounded or rounded, the result is the optimum of brute force."""
    instance, optimum = tiny(env, nodes, kind)
    found = solver.solve(env, instance, time_limit=0.1)
    assert found.feasible
    # fast-tsp knows distances to 16 bits only.
    tolerance = 1e-3 if solver is FAST and kind == "unrounded" else 1e-6
    assert found.cost == pytest.approx(optimum, rel=tolerance)


@pytest.mark.parametrize(("env", "solver"), WITH_TRACE)
def test_asymmetric_matrices_are_solved_to_optimality(env: RoutingEnv, solver: Solver) -> None:
    """Rows are origins: the routes found are optimal, and not so the other way round."""
    instance, optimum = tiny(env, 7, "asymmetric")
    found = solver.solve(env, instance, time_limit=0.1)
    assert found.cost == pytest.approx(optimum, rel=1e-6)
    back = [replace(route, visits=route.visits[::-1]) for route in found.vehicle_routes]
    assert env.routes_cost(instance, back) > 1.1 * optimum


@pytest.mark.parametrize("solver", ON_CVRP)
def test_open_routes_are_solved_to_optimality(solver: Solver) -> None:
    """Where routes end at their last customer, the way home neither costs nor counts."""
    instance, closed = tiny(CVRP, 7, "unrounded")
    instance = instance.clone()
    instance["open_route"] = torch.ones(1, dtype=torch.long)
    optimum = min(accepted(CVRP, instance).values())
    found = solver.solve(CVRP, instance, time_limit=0.1)
    assert found.feasible and found.cost == pytest.approx(optimum, rel=1e-6)
    assert optimum < 0.9 * closed
    again = solver.solve(CVRP, instance, time_limit=0.1, start=found)
    assert again.trace[0][1] == pytest.approx(optimum, rel=1e-6)


@pytest.mark.parametrize("solver", ON_CVRP)
def test_as_many_vehicles_as_needed(solver: Solver) -> None:
    """Customers of just over half a vehicle need one each, also when there are many."""
    nodes = 151
    rng = torch.Generator().manual_seed(0)
    instance = make_instance(
        locs=torch.rand(1, nodes, 2, generator=rng),
        demand=torch.tensor([[0] + (nodes - 1) * [51]]),
        capacity=torch.tensor([100]),
    )
    found = solver.solve(CVRP, instance, time_limit=2.0)
    assert found.feasible and len(found.vehicle_routes) == nodes - 1


@pytest.mark.parametrize("solver", ON_CVRP)
def test_tight_capacities_are_kept_under_scaled_costs(solver: Solver) -> None:
    """
    Far customers whose demands fit only in pairs: an overload would pay, were its penalty not
    raised with the scaled distances.
    """
    angle = torch.arange(12) * torch.pi / 6
    locs = 1e4 * torch.stack([angle.cos(), angle.sin()], dim=-1)
    instance = make_instance(
        locs=torch.cat([torch.zeros(1, 2), locs]).unsqueeze(0),
        demand=torch.tensor([[0, 9, 1, 8, 2, 7, 3, 6, 4, 5, 5, 1, 9]]),
        capacity=torch.tensor([10]),
    )
    found = solver.solve(CVRP, instance, time_limit=0.3)
    assert found.feasible and len(found.vehicle_routes) == 6  # 60 in all, so six full vehicles


@pytest.mark.parametrize("solver", ON_TSP)
@pytest.mark.parametrize(("file", "optimum"), [("berlin52", 7542), ("att48", 10628)])
def test_tsplib_within_a_second(solver: Solver, file: str, optimum: int) -> None:
    """0.3 seconds are enough to come within 10 % of the published optimum of fifty nodes."""
    instance = read(benchmark_data("tsplib", f"{file}.tsp")).instance
    found = solver.solve(TSP, instance, time_limit=0.3)
    assert found.feasible
    assert optimum <= found.cost <= 1.1 * optimum


@pytest.mark.parametrize("solver", ON_CVRP)
@pytest.mark.parametrize("file", ["A-n32-k5", "E-n13-k4", "F-n72-k4", "tai75a"])
def test_cvrplib_within_a_second(solver: Solver, file: str) -> None:
    """Routes are feasible, within 20 % of the best known after 0.3 seconds, and never below it."""
    read_file = read(benchmark_data("cvrplib_small", f"{file}.vrp"))
    best = read_file.best_known
    assert best is not None
    found = solver.solve(CVRP, read_file.instance, time_limit=0.3)
    assert found.feasible
    assert (1 - 1e-5) * best <= found.cost <= 1.2 * best


@pytest.mark.parametrize("solver", ON_CVRP)
def test_x_within_a_second(solver: Solver) -> None:
    """A second gives feasible routes of an X instance within 20 % of the best known."""
    read_file = read(benchmark_data("cvrplib_x", "X-n181-k23.vrp"))
    assert read_file.best_known is not None
    found = solver.solve(CVRP, read_file.instance, time_limit=1)
    assert found.feasible and read_file.best_known <= found.cost <= 1.2 * read_file.best_known


@pytest.mark.slow
@pytest.mark.parametrize("solver", ON_CVRP)
def test_three_thousand_customers(solver: Solver) -> None:
    """Leuven1 (n = 3000) is solved within 15 % in 20 seconds, and within the limit."""
    read_file = read(benchmark_data("cvrplib_xxl", "Leuven1.vrp"))
    assert read_file.best_known is not None
    found = solver.solve(CVRP, read_file.instance, time_limit=20)
    assert found.feasible and found.cost <= 1.15 * read_file.best_known
    assert found.seconds <= 1.05 * 20


def middling(env: RoutingEnv, nodes: int = 60) -> TensorDict:
    return draw(env, 1, nodes, seed=0)


@pytest.mark.parametrize(("env", "solver"), EVERYWHERE)
def test_the_time_limit_is_kept(env: RoutingEnv, solver: Solver) -> None:
    """A search ends about when it should, model and checks included (loosely: others may run)."""
    found = solver.solve(env, middling(env), time_limit=0.3)
    assert found.feasible and found.seconds < 3


@pytest.mark.parametrize(("env", "solver"), WITH_TRACE)
def test_traces_tell_every_improvement(env: RoutingEnv, solver: Solver) -> None:
    """Times ascend, costs descend, and the last one is the cost of the result."""
    found = solver.solve(env, middling(env), time_limit=0.3)
    assert len(found.trace) > 1
    for (before, worse), (after, better) in neighbours(found.trace):
        assert before <= after and worse > better
    assert found.trace[0][0] > 0 and found.trace[-1][0] <= found.seconds
    assert found.trace[-1][1] == pytest.approx(found.cost, rel=1e-6)


def bad_start(env: RoutingEnv, instance: TensorDict) -> Solution:
    """A feasible solution that anything improves on."""
    nodes = range(instance["locs"].shape[1])
    if env is TSP:
        routes = [Route(tuple(nodes), start=None, end=None)]
    else:
        routes = [Route((node,)) for node in nodes[1:]]
    return judge(env, instance, routes, 0.0, "by hand")


@pytest.mark.parametrize(("env", "solver"), EVERYWHERE)
def test_a_bad_start_is_improved(env: RoutingEnv, solver: Solver) -> None:
    """Given the node order, or a vehicle for each customer, the result is much better."""
    instance = middling(env)
    start = bad_start(env, instance)
    found = solver.solve(env, instance, time_limit=0.3, start=start)
    assert found.feasible and found.cost < 0.8 * start.cost


@pytest.mark.parametrize(("env", "solver"), WITH_TRACE)
def test_the_search_begins_at_its_start(env: RoutingEnv, solver: Solver) -> None:
    """The first cost in the trace is the start's: it is handed over, not just compared with."""
    instance = middling(env)
    start = PYVRP.solve(env, instance, time_limit=0.1)
    turned = list(start.vehicle_routes)
    if env is TSP:  # a tour may be given from any node on
        visits = start.vehicle_routes[0].visits
        turned = [Route((*visits[20:], *visits[:20]), start=None, end=None)]
    start = judge(env, instance, turned, 0.0, "turned")
    found = solver.solve(env, instance, time_limit=0.1, start=start)
    assert found.trace[0][1] == pytest.approx(start.cost, rel=1e-6)
    assert found.cost <= start.cost


@pytest.mark.parametrize("solver", ON_CVRP)
def test_the_best_known_solution_is_never_worsened(solver: Solver) -> None:
    """Started from routes that it cannot improve, a solver returns them (X-n228-k23)."""
    path = benchmark_data("cvrplib_x", "X-n228-k23.vrp")
    read_file = read(path)
    lines = path.with_suffix(".sol").read_text().splitlines()
    routes = [
        Route(tuple(int(word) for word in line.split(":")[1].split()))
        for line in lines
        if line.startswith("Route")
    ]
    start = judge(CVRP, read_file.instance, routes, 0.0, "best known")
    found = solver.solve(CVRP, read_file.instance, time_limit=0.3, start=start)
    assert found.feasible and found.cost == start.cost == read_file.best_known
    assert found.solver == solver.name and found.seconds > 0


@pytest.mark.parametrize(("env", "solver"), EVERYWHERE)
def test_a_start_that_cannot_be_beaten_is_kept(env: RoutingEnv, solver: Solver) -> None:
    """Within a thousandth of a second no search keeps up with a good start."""
    instance = middling(env, 100)
    start = (FAST if env is TSP else PYVRP).solve(env, instance, time_limit=0.5)
    found = solver.solve(env, instance, time_limit=0.001, start=start)
    assert found.feasible and found.cost <= start.cost


@pytest.mark.parametrize("solver", ON_CVRP)
def test_an_infeasible_start_is_no_start(solver: Solver) -> None:
    """Routes with flaws are neither improved on nor returned."""
    instance = middling(CVRP, 20)
    start = judge(CVRP, instance, [Route(tuple(range(1, 20)))], 0.0, "overloaded")
    assert not start.feasible
    assert solver.solve(CVRP, instance, time_limit=0.1, start=start).feasible


def test_pyvrp_is_reproducible() -> None:
    """With a bound on the iterations the seed decides the routes, and another gives others."""
    instance = middling(CVRP, 100)
    solver = PyVRP(iterations=30)
    first, again, other = (solver.solve(CVRP, instance, seed=seed) for seed in (1, 1, 2))
    assert first.vehicle_routes == again.vehicle_routes
    assert [cost for _, cost in first.trace] == [cost for _, cost in again.trace]
    assert first.vehicle_routes != other.routes
    assert solver.solve(CVRP, instance, seed=-1).feasible  # any integer is a seed


def test_ortools_is_deterministic() -> None:
    """Two runs improve through the same costs, as far as the shorter one comes."""
    instance = middling(CVRP)
    runs = [ORTOOLS.solve(CVRP, instance, time_limit=0.3, seed=seed).trace for seed in (0, 1)]
    shared = min(map(len, runs))
    assert [cost for _, cost in runs[0][:shared]] == [cost for _, cost in runs[1][:shared]]


def test_ortools_settings_are_used() -> None:
    """Another first solution strategy begins elsewhere."""
    instance = middling(CVRP)
    firsts = {
        ORTools(first_solution=name, solutions=1).solve(CVRP, instance).trace[0][1]
        for name in ("SAVINGS", "PATH_CHEAPEST_ARC")
    }
    assert len(firsts) == 2
