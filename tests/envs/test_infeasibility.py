"""Instances without a solution are refused by rule and node, before any solver starts."""

from typing import Any

import pytest
import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import from_tensors
from nco.envs import Route, problem
from nco.envs.problems.compose import compose, says
from nco.solvers.ortools import ORTools

INF = float("inf")
LINE = torch.tensor([[[0.0, 0], [3, 0], [5, 0], [0, 4]]], dtype=torch.double)  # 3, 5, 4 from home
WAYS = torch.tensor([[[0.0, 3, 5, 4], [3, 0, 2, 5], [5, 2, 0, 6], [4, 5, 6, 0]]]).double()


def one(**fields: Any) -> TensorDict:
    """The depot and three customers, with whatever else."""
    tensors = {
        name: value if isinstance(value, torch.Tensor) else torch.as_tensor([value])
        for name, value in fields.items()
    }
    return from_tensors(**({} if "distance" in tensors else {"locs": LINE}), **tensors)


def windows(rows: dict[int, tuple[float, float]]) -> torch.Tensor:
    return torch.tensor([[rows.get(n, (0.0, INF)) for n in range(4)]], dtype=torch.double)


def blocked(*legs: tuple[int, int]) -> torch.Tensor:
    """The ways, without some of them."""
    matrix = WAYS.clone()
    for origin, target in legs:
        matrix[0, origin, target] = INF
    return matrix


def to(node: int) -> list[tuple[int, int]]:
    return [(other, node) for other in range(4) if other != node]


CASES = {
    "demand over the capacity": (
        {"demand": [0, 1, 9, 2], "capacity": 8},
        [("capacity", 2, "demand 9 of node 2, capacity 8")],
    ),
    "a pickup over the capacity": (
        {"demand": [0, 1, 1, 0], "backhaul": [0, 0, 0, 9], "capacity": 8},
        [("capacity", 3, "backhaul 9 of node 3, capacity 8")],
    ),
    "a window that closes too early": (
        {"time_windows": windows({1: (0, 3), 2: (0, 4.9)})},
        [("time window", 2, "node 2 even on its own: node 2 at 5, window to 4.9")],
    ),
    "a depot that closes before the return": (
        {"time_windows": windows({0: (0, 9)}), "service_time": [0.0, 3, 0, 0]},
        [("time window", 2, "node 2 even on its own: node 0 at 10, window to 9")],
    ),
    "a window that opens too late for the return": (
        {"time_windows": windows({0: (0, 20), 3: (17, 30)})},
        [("time window", 3, "node 3 even on its own: node 0 at 21, window to 20")],
    ),
    "goods that come too late": (
        {"time_windows": windows({1: (0, 8)}), "release_time": [0.0, 6, 0, 0]},
        [("time window", 1, "node 1 even on its own: node 1 at 9, window to 8")],
    ),
    "a limit too short for there and back": (
        {"distance_limit": 9.0},
        [("distance limit", 2, "to node 2 and back: length 10, limit 9")],
    ),
    "a limit too short for a service": (
        {"duration_limit": 9.0, "service_time": [0.0, 0, 0, 1.5], "demand": [0] * 4, "capacity": 1},
        [
            ("duration limit", 2, "to node 2 and back: duration 10, limit 9"),
            ("duration limit", 3, "to node 3 and back: duration 9.5, limit 9"),
        ],
    ),
    "no way there": (
        {"distance": blocked(*to(3))},
        [("unreachable", 3, "no way to node 3")],
    ),
    "no way back": (
        {"distance": blocked(*((b, a) for a, b in to(1)))},
        [("unreachable", 1, "no way back from node 1")],
    ),
    "no time for the way": (
        {"distance": WAYS, "duration": blocked(*to(2))},
        [("unreachable", 2, "no way to node 2")],
    ),
    "a pair without a delivery": (
        {"delivery": [0, 2, 0, 0], "shipment": [0, 4, 0, 3], "capacity": 8},
        [("pickup and delivery", 3, "shipment 3 of node 3, expected a delivery for it")],
    ),
    "a delivery of two pickups": (
        {"delivery": [0, 2, 0, 2], "shipment": [0, 4, 0, 3], "capacity": 8},
        [
            ("pickup and delivery", n, "delivery at node 2 of 2 pickups, expected one")
            for n in (1, 3)
        ],
    ),
    "a shipment that no window lets through": (
        {
            "delivery": [0, 2, 0, 0],
            "shipment": [0, 4, 0, 0],
            "capacity": 8,
            "time_windows": windows({1: (7, 9), 2: (0, 8)}),
        },
        [("time window", n, "node 2 even on its own: node 2 at 9, window to 8") for n in (1, 2)],
    ),
    "no vehicles": (
        {"depots": [0], "vehicle_count": [0]},
        [("fleet", n, "no vehicles, expected at least one") for n in (1, 2, 3)],
    ),
    "more routes than customers": (
        {"min_routes": 4},
        [("minimum routes", None, "3 customers, expected at least 4")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_reasons_are_named(case: str) -> None:
    """Each flaw is named with its rule, its node and the amounts, and nothing else is."""
    fields, expected = CASES[case]
    instance = one(**fields)
    env = compose(says(instance))
    assert [(v.rule, v.node, v.message) for v in env.impossible(instance)] == expected


def test_no_vehicle_for_a_customer() -> None:
    """
    Node 2 may be visited by no vehicle; node 3 by vehicle 1 only, which is too small: each is
    named, as is why each vehicle fails.
    """
    places = torch.tensor([[[0.0, 0], [0, 0], [5, 0], [0, 4]]])
    allowed = torch.tensor([[[1, 1, 0, 0], [1, 1, 0, 1]]])
    fields = {"depots": torch.zeros(1, 2).long(), "allowed": allowed}
    instance = from_tensors(
        locs=places,
        **fields,
        demand=torch.tensor([[0, 0, 1, 6]]),
        capacity=torch.tensor([[8, 5]]),
    )
    env = compose({"depots", "allowed", "demand", "capacity"})
    found = [(v.rule, v.node, v.message) for v in env.impossible(instance)]
    assert found == [
        ("allowed vehicles", 2, "no vehicle that may visit node 2"),
        (
            "vehicles",
            3,
            "vehicle 0: no vehicle that may visit node 3; "
            "vehicle 1: demand 6 of node 3, capacity 5",
        ),
    ]


def test_optional_customers_are_no_obstacle() -> None:
    """Who may be left out may be out of reach."""
    instance = one(demand=[0, 1, 9, 2], capacity=8, penalty=[0.0, 1, 1, 1])
    env = problem("pcvrp")
    assert env.impossible(instance) == []
    assert not bool(env.mask(env.reset(instance))[0, 0, 2])


def test_solvers_do_not_start() -> None:
    """A solver is given no chance: the message names rule and node."""
    instance = one(demand=[0, 1, 9, 2], capacity=8)
    with pytest.raises(InputError, match="no solution exists: capacity: demand 9 of node 2"):
        ORTools().solve(problem("cvrp"), instance, time_limit=1.0, seed=0)


def test_ways_that_are_not_there() -> None:
    """
    Where a leg is infinite but a detour is not, masks avoid it and the checker names it: from node
    1 to node 2 one gets by way of node 3 only.
    """
    instance = one(distance=blocked((1, 2)), demand=[0, 1, 1, 1], capacity=3)
    env = problem("acvrp")
    assert env.impossible(instance) == []
    state = env.step(env.reset(instance), torch.tensor([[1]]))
    assert env.mask(state)[0, 0].tolist() == [True, False, False, True]
    (found,) = env.check(instance, [Route((1, 2, 3))])
    assert (found.rule, found.node) == ("unreachable", 2)
    assert found.message == "no way from node 1 to node 2"
    assert env.check(instance, [Route((1, 3, 2))]) == []
