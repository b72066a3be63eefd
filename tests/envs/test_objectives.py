"""What every objective counts, worked out by hand on a handful of nodes."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tensordict import TensorDict

from nco.data import make_instance
from nco.envs import (
    DepotRoutes,
    FleetRoutes,
    Objective,
    OptionalTour,
    Route,
    RoutingEnv,
    Visits,
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

INF = float("inf")
# Depot in the origin, customers 1 to 4 on the axes at distances 3, 4, 3, 4 in turn: neighbours are
# 5 apart. The route (1, 2) is 3 + 5 + 4 = 12 long, the routes (3) and (4) are 6 and 8: 26.
CROSS = [[0.0, 0], [3, 0], [0, 4], [-3, 0], [0, -4]]
ROUTES = (Route((1, 2)), Route((3,)), Route((4,)))
OPEN = tuple(Route(route.visits, end=None) for route in ROUTES)


def cross(**fields: Any) -> TensorDict:
    tensors = {name: torch.as_tensor([value]) for name, value in fields.items()}
    return make_instance(locs=torch.tensor([CROSS], dtype=torch.double), **tensors)


def two(**fields: Any) -> TensorDict:
    """The same with two depot nodes in the origin: customers are the nodes 2 to 5."""
    tensors = {name: torch.as_tensor([value]) for name, value in fields.items()}
    locs = torch.tensor([[CROSS[0], *CROSS]], dtype=torch.double)
    return make_instance(locs=locs, depots=torch.tensor([[0, 0]]), **tensors)


def driven(vehicle: int, *visits: int) -> Route:
    return Route(visits, vehicle, vehicle, vehicle)


def costs(
    objective: Objective, visits: Visits, one: TensorDict, routes: Sequence[Route], cost: float
) -> None:
    """The cost of the routes, and of the moves that drive them, is the number expected."""
    env = RoutingEnv(visits, [], objective)
    assert env.routes_cost(one, routes) == pytest.approx(cost, abs=1e-9)
    actions = torch.tensor([[visits.actions(one, routes)]])
    assert env.visits.routes(one, actions[0, 0].tolist()) == tuple(routes)
    assert float(env.cost(one, actions)) == pytest.approx(cost, abs=1e-5)


def test_distance() -> None:
    """All legs; without the ways home on open routes: 8 + 3 + 4."""
    costs(Distance(), DepotRoutes(), cross(), ROUTES, 26)
    costs(Distance(), DepotRoutes(), cross(open_route=1), OPEN, 15)


WINDOWS = [[0.0, INF], [10, 20], [30, 40], [0, INF], [0, INF]]


def test_duration() -> None:
    """
    With services of 1 at nodes 1 to 3 the routes take 14, 7 and 8. Where node 1 opens from 10 to 20
    and node 2 at 30, the first leaves at 17 at the latest, serves node 2 from 30 to 31 and is back
    at 35: 18.
    """
    service = [0.0, 1, 1, 1, 0]
    costs(Duration(), DepotRoutes(), cross(service_time=service), ROUTES, 29)
    waiting = cross(service_time=service, time_windows=WINDOWS)
    costs(Duration(), DepotRoutes(), waiting, ROUTES, 18 + 7 + 8)
    costs(Duration(), DepotRoutes(), cross(release_time=[0.0, 9, 0, 0, 0]), ROUTES, 26)


def test_durations_follow_speed_and_travel_times() -> None:
    """Twice as fast takes half as long; given travel times count instead of distances."""
    routes = (driven(0, 2, 3), driven(1, 4), driven(1, 5))
    costs(Duration(), FleetRoutes(), two(speed=[1.0, 2.0]), routes, 12 + 3 + 4)
    times = torch.full((1, 5, 5), 7.0).double()
    instance = cross()
    instance["duration"] = times
    costs(Duration(), DepotRoutes(), instance, ROUTES, 3 * 7 + 2 * 7 + 2 * 7)
    costs(Distance(), DepotRoutes(), instance, ROUTES, 26)


def test_makespan() -> None:
    """The longest route; of trips, the vehicle with the longest sum of them: 3 + 4 after 2 * 3."""
    costs(Makespan(), DepotRoutes(), cross(), ROUTES, 12)
    costs(Makespan(), DepotRoutes(), cross(service_time=[0.0, 0, 0, 0, 5]), ROUTES, 13)
    routes = (driven(0, 2, 3), driven(1, 4), driven(1, 5))
    costs(Makespan(trips=True), FleetRoutes(), two(), routes, 6 + 8)
    costs(Makespan(), FleetRoutes(), two(), routes, 12)
    costs(Makespan(trips=True), FleetRoutes(), two(speed=[1.0, 2.0]), routes, 12)


def test_vehicles_first() -> None:
    """
    The farthest nodes from each are 6, 8, 6, 8 away, and all ways there and back are 28 long: a
    vehicle counts 100, more than their sum of 56.
    """
    costs(VehiclesFirst(), DepotRoutes(), cross(), ROUTES, 326)
    one = (Route((1, 2, 3, 4)),)
    costs(VehiclesFirst(), DepotRoutes(), cross(), one, 100 + 3 + 5 + 5 + 5 + 4)


def test_fleet_cost() -> None:
    """Every route costs 10 + 1 a unit, or 20 + 2 a unit; a vehicle with two trips costs 20 once."""
    fleet = two(fixed_cost=[10.0, 20.0], unit_cost=[1.0, 2.0])
    routes = (driven(0, 2, 3), driven(1, 4), driven(1, 5))
    costs(FleetCost(), FleetRoutes(), fleet, routes, (10 + 12) + (20 + 12) + (20 + 16))
    costs(FleetCost(trips=True), FleetRoutes(), fleet, routes, (10 + 12) + 20 + 12 + 16)
    costs(FleetCost(), FleetRoutes(), two(fixed_cost=[10.0, 20.0]), routes, 50 + 26)
    costs(FleetCost(), FleetRoutes(), two(unit_cost=[1.0, 2.0]), routes, 12 + 12 + 16)


def test_distance_minus_prizes() -> None:
    """Node 4 is left out, its prize not collected: 12 + 6 - (5 + 1 + 2)."""
    one = cross(prize=[0.0, 5, 1, 2, 9])
    costs(Total(Distance(), Prize()), FleetRoutes(optional=True), one, ROUTES[:2], 10)
    costs(Total(Distance(), Prize()), FleetRoutes(optional=True), one, (), 0)
    costs(Prize(), OptionalTour(), one, ROUTES[:1], -6)


def test_distance_and_penalties() -> None:
    """Nodes 3 and 4 are left out: 12 + 2 + 9; all of them: 17."""
    one = cross(penalty=[0.0, 5, 1, 2, 9])
    objective = Total(Distance(), Penalty())
    costs(objective, FleetRoutes(optional=True), one, ROUTES[:1], 23)
    costs(objective, FleetRoutes(optional=True), one, (), 17)
    costs(objective, OptionalTour(), one, ROUTES[:1], 23)


def test_weighted_preference() -> None:
    """Vehicle 0 is liked 0.5 by each, vehicle 1 1 by node 4: 0.8 * 26 - 0.2 * (0.5 * 3 + 1)."""
    liked = [[0.0, 0, 0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0, 1, 0]]
    routes = (driven(0, 2, 3), driven(1, 4), driven(0, 5))
    objective = Total(Duration(), Preference(), weights=(0.8, 0.2))
    costs(objective, FleetRoutes(), two(preference=liked), routes, 0.8 * 26 - 0.2 * 2.5)
    costs(Preference(), FleetRoutes(), two(preference=liked), routes, -2.5)
    with pytest.raises(ValueError, match="1 weights for 2 terms"):
        Total(Duration(), Preference(), weights=(1.0,))
