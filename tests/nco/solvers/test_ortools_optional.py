"""OR-Tools where customers may be left out: prizes, penalties, limits and minima."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from nco.data import make_instance
from nco.data.errors import InputError
from nco.data.recipes import attention_model
from nco.envs import OptionalTour, Route, RoutingEnv, problem
from nco.envs.constraints import DistanceLimit
from nco.envs.objectives import Distance, Penalty, Prize, Total
from nco.envs.visits.depot_routes import DepotRoutes
from nco.solution import judge
from nco.solvers.model.scaling import finest_scaling
from nco.solvers.ortools import ORTools
from tests.envs.candidates import accepted
from tests.envs.random_instances import draw

SOLVER = ORTools(solutions=100, default_time_limit=20.0)
FEW = 3  # nodes among which local search soon finds nothing more, and never stops
# Depot in the origin, customers on the axes, neighbours 5 apart.
CROSS = torch.tensor([[[0.0, 0.0], [3, 0], [0, 4], [-3, 0], [0, -4]]])
PRIZES = torch.tensor([[0.0, 1, 2, 4, 8]])


def orienteering(limit: float) -> TensorDict:
    return make_instance(locs=CROSS, prize=PRIZES, distance_limit=torch.tensor([limit]))


@pytest.mark.parametrize("name", ["op", "pctsp"])
@pytest.mark.parametrize("nodes", range(2, 7))
@pytest.mark.parametrize("lattice", [False, True])
def test_tiny_instances_are_solved_to_optimality(name: str, nodes: int, lattice: bool) -> None:
    """With up to six nodes, unrounded or rounded, the result is the optimum of brute force."""
    env = problem(name)
    instance = draw(env, 1, nodes, seed=nodes, lattice=lattice)
    found = SOLVER.solve(env, instance, time_limit=0.5 if nodes <= FEW else None)
    assert found.feasible
    assert found.value == pytest.approx(min(accepted(env, instance).values()), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("limit", "prize", "visited"),
    [(12.0, 12.0, {3, 4}), (11.999, 8.0, {4}), (5.999, 0.0, set()), (math.inf, 15.0, {1, 2, 3, 4})],
)
def test_the_limit_is_met_exactly(limit: float, prize: float, visited: set[int]) -> None:
    """A tour of 3 + 5 + 4 fits 12 and no smaller limit; out of reach, one stays home."""
    found = SOLVER.solve(problem("op"), orienteering(limit), time_limit=1.0)
    assert found.feasible and found.value == -prize
    assert {node for route in found.vehicle_routes for node in route.visits} == visited


def test_traces_end_at_the_cost() -> None:
    """OR-Tools' own costs, scaled and shifted back, are those of the solution."""
    for name in ("op", "pctsp"):
        data = attention_model(name, 20, count=2)
        found = SOLVER.solve(problem(name), data[:1], time_limit=0.3)
        assert found.feasible
        assert found.history[-1][1] == pytest.approx(found.value, rel=1e-9)
        costs = [cost for _, cost in found.history]
        assert costs == sorted(costs, reverse=True)


def test_equal_prizes_are_collected_on_the_shortest_tour() -> None:
    """Length breaks ties between equal prizes: a customer on the far side is not preferred."""
    instance = make_instance(
        locs=torch.tensor([[[0.0, 0.0], [10, 0], [0, 1]]]),
        prize=torch.tensor([[0.0, 1, 1]]),
        distance_limit=torch.tensor([20.0]),
    )
    found = SOLVER.solve(problem("op"), instance, time_limit=1.0)
    assert found.vehicle_routes == (Route((2,)),)


def test_everybody_is_visited_where_prizes_do_not_suffice() -> None:
    """A minimum above all prizes leaves no node out; one that all prizes just reach, too."""
    env = problem("pctsp")
    for minimum in (15.0, 99.0):
        instance = make_instance(
            locs=CROSS,
            prize=PRIZES,
            penalty=torch.zeros(1, 5),
            min_prize=torch.tensor([minimum]),
        )
        found = SOLVER.solve(env, instance, time_limit=1.0)
        assert found.feasible and found.value == 22  # 3 + 5 + 5 + 5 + 4
        assert len(found.vehicle_routes[0].visits) == 4


def test_prizes_count_against_the_distance() -> None:
    """Distance minus prizes: a detour of 2 is made for a prize of 3 and not for one of 1."""
    env = RoutingEnv(OptionalTour(), [], Total(Distance(), Prize()))
    instance = make_instance(
        locs=torch.tensor([[[0.0, 0.0], [1, 0], [-1, 0]]]), prize=torch.tensor([[0.0, 3, 1]])
    )
    found = SOLVER.solve(env, instance, time_limit=1.0)
    assert found.vehicle_routes == (Route((1,)),) and found.value == -1
    assert found.history[-1][1] == pytest.approx(-1)


def test_penalties_without_a_minimum() -> None:
    """With a penalty below its detour a customer is left out, above it is visited."""
    env = RoutingEnv(OptionalTour(), [], Total(Distance(), Penalty()))
    instance = make_instance(
        locs=torch.tensor([[[0.0, 0.0], [1, 0], [-1, 0]]]), penalty=torch.tensor([[0.0, 2.5, 1.5]])
    )
    found = SOLVER.solve(env, instance, time_limit=1.0)
    assert found.vehicle_routes == (Route((1,)),) and found.value == 3.5


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), nodes=st.integers(2, 6))
def test_several_limited_routes(seed: int, nodes: int) -> None:
    """The limit holds for each of several routes that visit all nodes, optimal on few nodes."""
    env = RoutingEnv(DepotRoutes(), [DistanceLimit()])
    instance = draw(env, 1, nodes, seed - seed % 3)  # symmetric
    reach = 2 * (instance["locs"][0] - instance["locs"][0, :1]).norm(dim=-1).max()
    instance["distance_limit"] = reach.unsqueeze(0) * 1.2
    found = SOLVER.solve(env, instance, time_limit=0.5 if nodes <= FEW else None)
    assert found.feasible
    assert found.value == pytest.approx(min(accepted(env, instance).values()), rel=1e-6)


def test_a_start_is_never_made_worse() -> None:
    """A good start survives a search that has no time, also the start of staying at home."""
    env, data = problem("op"), attention_model("op", 20, count=1)
    good = SOLVER.solve(env, data, time_limit=0.5)
    assert SOLVER.solve(env, data, time_limit=0.01, start=good).value <= good.value
    home = judge(env, data, [], 0.0, "by hand")
    assert SOLVER.solve(env, data, time_limit=0.2, start=home).value < 0


def test_what_cannot_be_known_is_refused() -> None:
    """Prizes that only a visit shows, and deliveries in parts, are refused by name."""
    with pytest.raises(
        InputError, match=r"ortools cannot express MinimumPrize, .*stochastic_prize"
    ):
        SOLVER.solve(problem("spctsp"), attention_model("spctsp", 20, count=1))
    with pytest.raises(InputError, match="ortools cannot express SplitRoutes"):
        SOLVER.solve(problem("sdvrp"), attention_model("sdvrp", 20, count=1))


@pytest.mark.parametrize(
    ("values", "factor", "exact"),
    [
        ([0, 3, 7], 1, True),
        ([0.5, 3.25], 100, True),
        ([0.0], 1, True),
        ([1 / 3], 2**41, False),
        ([3.0, 1 / 3], 2**38, False),
    ],
)
def test_finest_scaling(values: list[float], factor: float, exact: bool) -> None:
    """Few decimals become integers; others use all bits there are, and costs come back."""
    scaling = finest_scaling(np.array(values), 2**40, offset=-2.0)
    assert (scaling.factor, scaling.exact) == (factor, exact)
    assert scaling.integers(np.array(values)).max() <= 2**40
    units = int(scaling.integers(np.array(values)).sum())
    assert scaling.cost(units) == pytest.approx(sum(values) - 2)
