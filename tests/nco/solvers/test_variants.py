"""Rules of every variant of vehicle routing in the classical solvers, against brute force."""

from dataclasses import replace

import pytest
import torch
from tensordict import TensorDict

from nco.data import make_instance
from nco.data.errors import InputError
from nco.data.formats import read
from nco.data.metric import Metric
from nco.envs import Route, RoutingEnv, problem
from nco.envs.constraints import (
    Capacity,
    DistanceLimit,
    DurationLimit,
    LinehaulFirst,
    LinehaulOnEachRoute,
    MaximumLoad,
    OneCommodity,
    TimeWindows,
)
from nco.envs.visits.depot_routes import DepotRoutes
from nco.solution import judge
from nco.solvers.base import Solver
from nco.solvers.ortools import ORTools
from nco.solvers.pyvrp import PyVRP
from tests.benchmark_data import benchmark_data
from tests.envs.candidates import accepted
from tests.envs.random_instances import draw

ORTOOLS, PYVRP = ORTools(solutions=30, default_time_limit=20.0), PyVRP(iterations=200)
both = pytest.mark.parametrize("solver", [ORTOOLS, PYVRP], ids=["ortools", "pyvrp"])
NAMES = ["vrptw", "ovrptw", "vrpl", "vrpb", "vrpmb", "ovrpmbltw", "mdvrptw", "mdovrpbltw"]


def routes(*rules: object) -> RoutingEnv:
    return RoutingEnv(DepotRoutes(), rules)  # type: ignore[arg-type]


OTHERS = {
    "duration": routes(Capacity(), TimeWindows(), DurationLimit()),
    "release": routes(Capacity(), TimeWindows(release=True)),
    "one commodity": routes(OneCommodity()),
    "linehaul on each route": routes(MaximumLoad(), LinehaulFirst(), LinehaulOnEachRoute()),
    "lengths and times": routes(
        DistanceLimit(), TimeWindows(release=True), DurationLimit(release=True)
    ),
}
ENVIRONMENTS = {**{name: problem(name) for name in NAMES}, **OTHERS}


def optimum(env: RoutingEnv, instance: TensorDict) -> float | None:
    return min(accepted(env, instance).values(), default=None)


@both
@pytest.mark.parametrize("name", ENVIRONMENTS)
@pytest.mark.parametrize("seed", range(2))
def test_five_nodes_are_solved_to_optimality(solver: Solver, name: str, seed: int) -> None:
    """
    Rounded or not, with bounds met to the last unit, the result is the optimum of brute force; or
    the message names a rule of the problem. Given as a start, it is where the search begins.
    """
    env = ENVIRONMENTS[name]
    instance = draw(env, 1, 5, seed=seed, lattice=seed % 2 == 1)
    best = optimum(env, instance)
    try:
        found = solver.solve(env, instance)
    except InputError as error:
        if "no solution exists" in str(error):
            assert best is None
            return
        parts = [type(rule).__name__ for rule in env.constraints]
        assert any(f"cannot express {part}, expected" in str(error) for part in parts)
        return
    assert found.feasible == (best is not None)
    if best is None:
        return
    assert found.value == pytest.approx(best, rel=1e-6)
    again = solver.solve(env, instance, start=found)
    assert again.history[0][1] == pytest.approx(best, rel=1e-6)


def line(**fields: torch.Tensor) -> TensorDict:
    """A depot at 0 and customers at 1, 2, 3 on a line."""
    locs = torch.tensor([[[0.0, 0], [1, 0], [2, 0], [3, 0]]])
    return make_instance(locs=locs, **fields)


def windows(*pairs: tuple[float, float]) -> torch.Tensor:
    return torch.tensor([pairs], dtype=torch.double)


@both
def test_the_depot_closes(solver: Solver) -> None:
    """
    Customer 3 at 3 for 1.75, then 2 at 5.75 for half an hour, is back at 8.25, after 6 legs of 1:
    if the depot closes before, 3 goes alone, and two routes of 6 and 4 are driven.
    """
    for close, cost in ((8.25, 6.0), (8.0, 10.0)):
        instance = line(
            time_windows=windows((0, close), (0, 9), (4.5, 9), (3, 3)),
            service_time=torch.tensor([[0.0, 0, 0.5, 1.75]]),
        )
        env = routes(TimeWindows())
        found = solver.solve(env, instance, time_limit=2.0)
        assert found.feasible and found.value == optimum(env, instance) == cost


@both
def test_tenths_meet_their_bounds(solver: Solver) -> None:
    """
    Truncated to tenths, legs of 1 add up to 0.1 + 0.2 as the checker adds: in whole steps.
    """
    locs = torch.tensor([[[0.0, 0], [0.1, 0], [0.3, 0]]], dtype=torch.double)
    hours = windows((0, 0.6), (0, 0.6), (0.3, 0.3))
    instance = make_instance(locs=locs, metric=torch.tensor([Metric.DECIMAL]), time_windows=hours)
    env = routes(TimeWindows())
    best = optimum(env, instance)
    found = solver.solve(env, instance)
    assert best is not None and found.feasible and found.value == pytest.approx(best)


@both
def test_travel_times_are_those_of_the_matrix(solver: Solver) -> None:
    """Windows look at the given times, the cost at the distances."""
    instance = line(
        duration=torch.tensor([[[0.0, 5, 5, 5], [5, 0, 9, 9], [5, 2, 0, 2], [5, 2, 9, 0]]]),
        time_windows=windows((0, 12.5), (0, 99), (0, 99), (0, 99)),
    )
    env = routes(TimeWindows())
    found = solver.solve(env, instance)
    assert found.feasible and found.value == optimum(env, instance)
    assert Route((2, 1)) in found.vehicle_routes or Route((2, 3)) in found.vehicle_routes


@both
def test_waiting_counts_unless_it_can_be_avoided(solver: Solver) -> None:
    """
    Customer 1 opens at 10: a route may leave at 9 and take 2. With customer 2 before 5, the wait
    in between makes it too long, and two routes are driven.
    """
    hours = windows((0, 99), (10, 99), (0, 5), (0, 99))
    instance = line(time_windows=hours, duration_limit=torch.tensor([6.0]))
    env = routes(TimeWindows(), DurationLimit())
    found = solver.solve(env, instance)
    assert found.feasible and found.value == optimum(env, instance) == 8.0


def test_pyvrp_refuses_what_legs_cannot_tell() -> None:
    """A customer without delivery and pickup hides what came before; one commodity is unknown."""
    none = torch.zeros(1, 4, dtype=torch.long)
    amounts = {"demand": none, "backhaul": none, "capacity": torch.tensor([4])}
    instance = line(**amounts, linehaul_first=torch.tensor([1]))
    with pytest.raises(
        InputError, match=r"pyvrp cannot express LinehaulFirst, .*neither at node 1"
    ):
        PYVRP.solve(routes(MaximumLoad(), LinehaulFirst()), instance)
    with pytest.raises(InputError, match="pyvrp cannot express OneCommodity, expected one of"):
        PYVRP.solve(routes(OneCommodity()), instance)


@both
def test_solomon(solver: Solver) -> None:
    """Half a second on C101: feasible, never below the published cost; PyVRP meets it."""
    file = read(benchmark_data("solomon", "C101.txt"))
    assert file.best_known is not None
    limit = {ORTOOLS: 2.0, PYVRP: 1.0}[solver]  # type: ignore[index]
    env = problem("vrptw")
    found = solver.solve(env, file.instance, time_limit=limit)
    assert found.feasible and found.value >= file.best_known - 1e-6
    assert found.value <= 1.1 * file.best_known


@both
def test_a_broken_start_is_no_start(solver: Solver) -> None:
    """Routes that are late are not improved on."""
    hours = windows((0, 99), (0, 99), (0, 99), (3, 3))
    instance = line(time_windows=hours)
    env = routes(TimeWindows())
    start = judge(env, instance, [replace(Route((1, 2, 1)), visits=(2, 1, 3))], 0.0, "late")
    assert not start.feasible
    assert solver.solve(env, instance, start=start).feasible
