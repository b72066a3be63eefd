"""Every rule and objective in the classical solvers, against brute force on a handful of nodes."""

import pytest
import torch

from nco.data.errors import InputError
from nco.data.instance import from_tensors
from nco.envs import FleetRoutes, Route, RoutingEnv, problem
from nco.envs.constraints import (
    AllowedVehicles,
    Capacity,
    DistanceLimit,
    DurationLimit,
    Fleet,
    MaximumLoad,
    MinimumRoutes,
    PickupDelivery,
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
from nco.envs.visits.depot_routes import DepotRoutes
from nco.solution import judge
from nco.solvers.base import Solver
from nco.solvers.ortools import ORTools
from nco.solvers.pyvrp import PyVRP
from tests.envs.candidates import accepted
from tests.envs.random_instances import draw

ORTOOLS, PYVRP = ORTools(solutions=30, default_time_limit=20.0), PyVRP(iterations=200)
both = pytest.mark.parametrize("solver", [ORTOOLS, PYVRP], ids=["ortools", "pyvrp"])
ONE, MANY, OPTIONAL = DepotRoutes, FleetRoutes, lambda: FleetRoutes(optional=True)
# A composition, and who cannot express it by which part.
COMPOSITIONS = {
    "fleet": (RoutingEnv(MANY(), [Capacity(), Fleet()]), {}),
    "minimum routes": (RoutingEnv(ONE(), [MinimumRoutes()]), {"pyvrp": "MinimumRoutes"}),
    "minimum routes of a fleet": (
        RoutingEnv(MANY(), [Fleet(), MinimumRoutes()]),
        {"pyvrp": "MinimumRoutes"},
    ),
    "allowed": (RoutingEnv(MANY(), [Capacity(), AllowedVehicles()]), {}),
    "allowed and lengths": (RoutingEnv(MANY(), [DistanceLimit(), AllowedVehicles()]), {}),
    "pairs": (RoutingEnv(ONE(), [PickupDelivery(), MaximumLoad(shipments=True)]), {}),
    "pairs of a fleet in time": (
        RoutingEnv(
            MANY(),
            [PickupDelivery(), MaximumLoad(shipments=True), TimeWindows(), AllowedVehicles()],
        ),
        {"pyvrp": "PickupDelivery"},
    ),
    "pairs with a duration": (
        RoutingEnv(ONE(), [PickupDelivery(), TimeWindows(), DurationLimit()]),
        {"pyvrp": "PickupDelivery"},
    ),
    "fleet cost": (RoutingEnv(MANY(), [Capacity()], FleetCost()), {}),
    "fleet cost and lengths": (RoutingEnv(MANY(), [DistanceLimit()], FleetCost()), {}),
    "vehicles first": (RoutingEnv(ONE(), [Capacity(), TimeWindows()], VehiclesFirst()), {}),
    "duration": (RoutingEnv(MANY(), [Capacity()], Duration()), {}),
    "duration with windows": (RoutingEnv(ONE(), [Capacity(), TimeWindows()], Duration()), {}),
    "duration with releases": (
        RoutingEnv(MANY(), [TimeWindows(release=True)], Duration(release=True)),
        {},
    ),
    "preference": (RoutingEnv(MANY(), [Capacity()], Total(Distance(), Preference())), {}),
    "duration and preference": (
        RoutingEnv(
            MANY(), [Capacity(), TimeWindows()], Total(Duration(), Preference(), weights=(0.8, 0.2))
        ),
        {},
    ),
    "makespan": (RoutingEnv(MANY(), [Capacity(), Fleet()], Makespan()), {"pyvrp": "Makespan"}),
    "makespan of trips": (
        RoutingEnv(MANY(), [Capacity()], Makespan(trips=True)),
        {"pyvrp": "Makespan"},
    ),
    "makespan with windows": (
        RoutingEnv(ONE(), [TimeWindows(), Fleet()], Makespan()),
        {"pyvrp": "Makespan"},
    ),
    "penalties": (
        RoutingEnv(OPTIONAL(), [Capacity(), TimeWindows()], Total(Distance(), Penalty())),
        {},
    ),
    "prizes": (RoutingEnv(OPTIONAL(), [Capacity()], Total(Distance(), Prize())), {}),
    "prizes alone": (RoutingEnv(OPTIONAL(), [DistanceLimit(), Fleet()], Prize()), {}),
    "optional pairs": (
        RoutingEnv(OPTIONAL(), [PickupDelivery()], Total(Distance(), Penalty())),
        {},
    ),
    "optional, preferred": (
        RoutingEnv(OPTIONAL(), [Capacity()], Total(Distance(), Preference())),
        {},
    ),
    "fixed costs of trips": (RoutingEnv(MANY(), [Capacity()], FleetCost(trips=True)), {}),
    "trips": (RoutingEnv(MANY(), [Capacity(), TripWindows()]), {"pyvrp": "TripWindows"}),
    "trips with releases": (
        RoutingEnv(MANY(), [Capacity(), TripWindows(release=True)]),
        {"pyvrp": "TripWindows"},
    ),
}


@both
@pytest.mark.parametrize("name", COMPOSITIONS)
@pytest.mark.parametrize("seed", [0, 1, 5])
def test_the_optimum_of_brute_force(solver: Solver, name: str, seed: int) -> None:
    """
    On five nodes, rounded, unrounded and asymmetric, the result is the optimum of brute force, the
    solver's own cost is the recomputed one, and given as a start it is where the search begins. A
    refusal names a part of the composition.
    """
    env, refused = COMPOSITIONS[name]
    instance = draw(env, 1, 5, seed=seed, lattice=seed == 1)
    best = min(accepted(env, instance).values(), default=None)
    who = "ortools" if solver is ORTOOLS else "pyvrp"
    try:
        found = solver.solve(env, instance)
    except InputError as error:
        if "no solution exists" in str(error):
            assert best is None
            return
        assert who in refused and f"{who} cannot express {refused[who]}, expected" in str(error)
        return
    assert found.feasible == (best is not None)
    if best is None:
        return
    assert found.value == pytest.approx(best, rel=1e-6, abs=1e-9)
    if found.history:
        assert found.history[-1][1] == pytest.approx(best, rel=1e-5, abs=1e-5)
    again = solver.solve(env, instance, start=found)
    assert again.value == pytest.approx(best, rel=1e-6, abs=1e-9)
    if again.history:
        assert again.history[0][1] == pytest.approx(best, rel=1e-5, abs=1e-5)


def line(**fields: torch.Tensor) -> dict[str, torch.Tensor]:
    """Two depot nodes at 0 and customers at 1, 2 and 3 on a line."""
    locs = torch.tensor([[[0.0, 0], [0, 0], [1, 0], [2, 0], [3, 0]]])
    return {"locs": locs, "depots": torch.tensor([[0, 0]]), **fields}


@both
def test_trips_follow_one_another(solver: Solver) -> None:
    """
    One vehicle of capacity 1 drives 2 + 4 + 6 on three trips, for 12 in all; where the depot closes
    at 11 the second vehicle has to leave, too, and with a fixed cost each it stays at home at 12.
    """
    amounts = line(
        demand=torch.tensor([[0, 0, 1, 1, 1]]),
        capacity=torch.tensor([1]),
        fixed_cost=torch.tensor([[5.0, 5.0]]),
        unit_cost=torch.tensor([[1.0, 1.0]]),
    )
    env = RoutingEnv(FleetRoutes(), [Capacity(), TripWindows()], FleetCost(trips=True))
    for close, cost in ((12.0, 17.0), (11.0, 22.0)):
        hours = torch.tensor([[[0.0, close]] * 2 + [[0.0, 99.0]] * 3])
        instance = from_tensors(**amounts, time_windows=hours)
        found = solver.solve(env, instance)
        assert found.feasible and found.value == cost
        assert len({route.vehicle for route in found.vehicle_routes}) == (1 if cost == 17 else 2)


@both
def test_a_kind_without_vehicles_stays_at_home(solver: Solver) -> None:
    """All routes are those of the other depot node, also those that a search starts from."""
    instance = from_tensors(
        **line(
            demand=torch.tensor([[0, 0, 1, 1, 1]]),
            capacity=torch.tensor([2]),
            vehicle_count=torch.tensor([[0, 2]]),
        )
    )
    env = RoutingEnv(FleetRoutes(), [Capacity(), Fleet()])
    found = solver.solve(env, instance)
    assert found.feasible and found.value == 8  # 3 and 2 on one route, 1 alone
    assert {route.vehicle for route in found.vehicle_routes} == {1}
    start = judge(env, instance, [Route((2, 3), 1, 1, 1), Route((4,), 1, 1, 1)], 0.0, "by hand")
    assert start.feasible and solver.solve(env, instance, start=start).cost == 8


@both
@pytest.mark.parametrize(
    ("env", "part"),
    [
        (RoutingEnv(FleetRoutes(), [TripWindows(), DistanceLimit()]), "DistanceLimit"),
        (RoutingEnv(FleetRoutes(), [TripWindows(), Fleet()]), "Fleet"),
        (RoutingEnv(FleetRoutes(), [TripWindows()], VehiclesFirst()), "VehiclesFirst"),
        (RoutingEnv(FleetRoutes(), [TripWindows()], FleetCost()), "FleetCost"),
        (RoutingEnv(FleetRoutes(), [TripWindows()], Duration()), "Duration"),
        (RoutingEnv(DepotRoutes(), [], Total(Distance(), weights=(-1.0,))), "Distance"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(
    solver: Solver, env: RoutingEnv, part: str
) -> None:
    """Rules of single routes beside trips, costs of time beside trips, gains instead of costs."""
    hours = torch.tensor([[[0.0, 99.0]] * 5])
    instance = from_tensors(
        **line(
            time_windows=hours,
            distance_limit=torch.tensor([9.0]),
            vehicle_count=torch.tensor([[1, 1]]),
            fixed_cost=torch.tensor([[1.0, 1.0]]),
        )
    )
    if isinstance(env.visits, DepotRoutes):
        instance = from_tensors(locs=instance["locs"][:, 1:])
    with pytest.raises(InputError, match=f"cannot express {part}, expected"):
        solver.solve(env, instance)


def test_pyvrp_refuses_loading_times() -> None:
    """PyVRP loads before the first trip as well, the rule only between trips."""
    env = problem("mtvrptw")
    instance = draw(env, 1, 5, seed=0)
    with pytest.raises(InputError, match="pyvrp cannot express TripWindows, expected no service"):
        PYVRP.solve(env, instance)
