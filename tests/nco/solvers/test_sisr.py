"""The engine of string removals, against brute force, the checker and published optima."""

import math

import pytest
import torch

from nco.data import make_instance
from nco.data.errors import InputError
from nco.data.formats import read
from nco.data.native import library
from nco.envs import FleetRoutes, RoutingEnv, problem
from nco.envs.constraints import (
    Capacity,
    DistanceLimit,
    DurationLimit,
    Fleet,
    LinehaulFirst,
    MaximumLoad,
    OneCommodity,
    OpenRoutes,
    TimeWindows,
)
from nco.solvers.sisr import Sisr
from tests.benchmark_data import benchmark_data
from tests.envs.candidates import accepted
from tests.envs.random_instances import draw
from tests.nco.solvers.test_rules import COMPOSITIONS

pytestmark = pytest.mark.skipif(library() is None, reason="needs the compiled kernels")

SISR = Sisr(workers=1, iterations=2000)
# What a route is judged by, alone and together, and what the engine refuses by name.
RULES = {
    "capacity": [Capacity()],
    "both ways": [MaximumLoad()],
    "deliveries first": [MaximumLoad(), LinehaulFirst()],
    "one commodity": [OneCommodity()],
    "lengths": [DistanceLimit()],
    "windows": [Capacity(), TimeWindows()],
    "durations": [DurationLimit()],
    "windows and durations": [TimeWindows(), DurationLimit()],
    "open": [Capacity(), OpenRoutes(), DistanceLimit()],
    "open with windows": [MaximumLoad(), OpenRoutes(), TimeWindows()],
    "all": [MaximumLoad(), LinehaulFirst(), DistanceLimit(), TimeWindows(), Fleet()],
}
ROUTES = {name: RoutingEnv(FleetRoutes(), rules) for name, rules in RULES.items()}
REFUSED = {
    "minimum routes": "MinimumRoutes",
    "minimum routes of a fleet": "MinimumRoutes",
    "pairs": "PickupDelivery",
    "pairs of a fleet in time": "PickupDelivery",
    "pairs with a duration": "PickupDelivery",
    "optional pairs": "PickupDelivery",
    "duration": "Duration",
    "duration with windows": "Duration",
    "duration with releases": "Duration",
    "duration and preference": "Total",
    "makespan": "Makespan",
    "makespan of trips": "Makespan",
    "makespan with windows": "Makespan",
    "fixed costs of trips": "FleetCost",
    "trips": "TripWindows",
    "trips with releases": "TripWindows",
}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", [*ROUTES, *(name for name in COMPOSITIONS if name not in REFUSED)])
def test_the_optimum_of_brute_force(name: str, seed: int) -> None:
    """
    On six nodes, rounded, unrounded and asymmetric, the result is the optimum of brute force; what
    has no solution is not solved; and a start is never lost.
    """
    env = ROUTES[name] if name in ROUTES else COMPOSITIONS[name][0]
    instance = draw(env, 1, 6, seed=seed, lattice=seed == 1)
    best = min(accepted(env, instance).values(), default=None)
    try:
        found = SISR.solve(env, instance, seed=seed)
    except InputError as error:
        assert best is None and "no solution exists" in str(error)
        return
    assert found.feasible == (best is not None)
    if best is not None:
        assert found.value == pytest.approx(best, rel=1e-6, abs=1e-9)
        again = Sisr(workers=1, iterations=1).solve(env, instance, start=found)
        assert again.value == pytest.approx(best, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_engine_lacks_is_refused_by_name(name: str) -> None:
    """A rule or an objective without a segment is named before any search."""
    env = COMPOSITIONS[name][0]
    with pytest.raises(InputError, match=f"sisr cannot express {REFUSED[name]}"):
        SISR.solve(env, draw(env, 1, 5, seed=0))


def test_a_seed_decides() -> None:
    """One worker with a bound of iterations finds the same routes again, another seed others."""
    env = problem("vrptw")
    instance = draw(env, 1, 40, seed=1)
    engine = Sisr(workers=1, iterations=200)
    first, same, other = (engine.solve(env, instance, seed=seed) for seed in (1, 1, 2))
    assert first.vehicle_routes == same.vehicle_routes != other.vehicle_routes


def test_traces_fall_to_the_cost() -> None:
    """Improvements come in order, and the last one is the solution's cost."""
    env = problem("cvrp")
    instance = draw(env, 1, 60, seed=2)
    found = Sisr(workers=2).solve(env, instance, time_limit=0.5)
    costs = [cost for _, cost in found.history]
    assert costs == sorted(costs, reverse=True) and len(set(costs)) == len(costs)
    assert costs[-1] == pytest.approx(found.value, rel=1e-6)
    assert all(0 < seconds <= found.seconds for seconds, _ in found.history)


@pytest.mark.parametrize("file", ["A-n32-k5", "E-n13-k4", "F-n72-k4", "tai75a"])
def test_published_optima(file: str) -> None:
    """Small published instances are solved to their optimum, or within half a percent of it."""
    found = read(benchmark_data("cvrplib_small") / f"{file}.vrp")
    assert found.best_known is not None
    solution = Sisr(workers=1, iterations=60_000).solve(problem("cvrp"), found.instance)
    assert solution.feasible
    assert solution.value <= found.best_known * 1.005


def test_twenty_thousand_customers_in_linear_memory() -> None:
    """An instance whose matrix of distances would take 3 GB is solved from coordinates."""
    rng = torch.Generator().manual_seed(1)
    nodes = 20_001
    instance = make_instance(
        locs=torch.rand(1, nodes, 2, generator=rng, dtype=torch.double) * 1000,
        demand=torch.randint(1, 10, (1, nodes), generator=rng) * (torch.arange(nodes) > 0),
        capacity=torch.tensor([100]),
    )
    found = Sisr(workers=1, iterations=5000).solve(problem("cvrp"), instance)
    assert found.feasible
    locs = instance["locs"][0]
    radial = 2 * (locs[1:] - locs[0]).norm(dim=-1) * instance["demand"][0, 1:] / 100
    assert float(radial.sum()) < found.value < 2 * float(radial.sum())
    assert math.isfinite(found.value)
