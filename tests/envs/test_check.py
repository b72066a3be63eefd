"""The checker catches every single corruption of a good solution, and names the broken rule."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nco.data import make_instance
from nco.envs import Route, problem
from nco.solution import judge
from tests.envs.random_instances import draw, rollout

TSP = make_instance(locs=torch.rand(1, 5, 2, generator=torch.Generator().manual_seed(0)))
CVRP = make_instance(
    locs=torch.rand(1, 6, 2, generator=torch.Generator().manual_seed(0)),
    demand=torch.tensor([[0, 4, 3, 2, 5, 1]]),
    capacity=torch.tensor([8]),
)
GOOD = (Route((1, 2, 5)), Route((4, 3)))  # loads 8 and 7


def tour(*visits: int) -> Route:
    return Route(visits, start=None, end=None)


def test_good_solutions_pass() -> None:
    """The uncorrupted solutions, one vehicle of which is exactly full, have no flaw."""
    assert problem("tsp").check(TSP, [tour(2, 0, 4, 3, 1)]) == []
    assert problem("cvrp").check(CVRP, GOOD) == []


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        pytest.param([tour(2, 0, 4, 3)], [("not visited", None, 1)], id="drop"),
        pytest.param([tour(2, 0, 4, 3, 1, 0)], [("visited twice", None, 0)], id="duplicate"),
        pytest.param([tour(2, 0, 4, 3, 1, 5)], [("unknown node", 0, 5)], id="too large a node"),
        pytest.param([tour(2, 0, 4, 3, 1, -1)], [("unknown node", 0, -1)], id="negative node"),
        pytest.param([tour(2, 0), tour(4, 3, 1)], [("one tour", None, None)], id="two tours"),
        pytest.param([], [("one tour", None, None)], id="no tour"),
        pytest.param(
            [tour(2, 0, 4, 3, 3)],
            [("not visited", None, 1), ("visited twice", None, 3)],
            id="swap for another",
        ),
    ],
)
def test_corrupt_tours_are_named(
    routes: Sequence[Route], found: list[tuple[str, int | None, int | None]]
) -> None:
    """Each corruption of a tour is found, with its rule and node, and nothing else is."""
    violations = problem("tsp").check(TSP, routes)
    assert [(v.rule, v.route, v.node) for v in violations] == found


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        pytest.param([Route((1, 2)), GOOD[1]], [("not visited", None, 5)], id="drop"),
        pytest.param(
            [Route((1, 2, 5)), Route((4, 3, 5))], [("visited twice", None, 5)], id="duplicate"
        ),
        pytest.param([GOOD[0], Route((4, 3, 6))], [("unknown node", 1, 6)], id="too large a node"),
        pytest.param([GOOD[0], Route((4, -1, 3))], [("unknown node", 1, -1)], id="negative node"),
        pytest.param([Route((1, 0, 2, 5)), GOOD[1]], [("unknown node", 0, 0)], id="depot amidst"),
        pytest.param([Route((1, 5)), Route((4, 3, 2))], [("capacity", 1, None)], id="overload"),
        pytest.param([Route((1, 2, 5), start=3), GOOD[1]], [("depot", 0, None)], id="wrong start"),
        pytest.param([GOOD[0], Route((4, 3), end=2)], [("depot", 1, None)], id="wrong end"),
        pytest.param([GOOD[0], Route((4, 3), end=None)], [("depot", 1, None)], id="open"),
        pytest.param([Route((1, 2, 5, 4, 3))], [("capacity", 0, None)], id="all in one vehicle"),
        pytest.param(
            [], [("not visited", None, node) for node in range(1, 6)], id="nothing at all"
        ),
    ],
)
def test_corrupt_routes_are_named(
    routes: Sequence[Route], found: list[tuple[str, int | None, int | None]]
) -> None:
    """Each corruption of routes is found, with its rule, route and node, and nothing else is."""
    violations = problem("cvrp").check(CVRP, routes)
    assert [(v.rule, v.route, v.node) for v in violations] == found


def test_amounts_are_told() -> None:
    """A message says what was found and what the bound is."""
    (overload,) = problem("cvrp").check(CVRP, [Route((1, 5)), Route((4, 3, 2))])
    assert overload.message == "load 10, capacity 8"
    (twice,) = problem("tsp").check(TSP, [tour(2, 0, 4, 3, 1, 0)])
    assert twice.message == "node 0 is visited 2 times, expected once"


@settings(max_examples=30)
@given(nodes=st.integers(4, 12), seed=st.integers(0, 2**31), data=st.data())
def test_any_single_corruption_is_caught(nodes: int, seed: int, data: st.DataObject) -> None:
    """Wherever a node is dropped, repeated or replaced, the checker of the CVRP says so."""
    env = problem("cvrp")
    instance = draw(env, 1, nodes, seed)
    actions, _ = rollout(env, instance, 1, seed)
    routes = list(env.visits.routes(instance, actions[0, 0].tolist()))
    k = data.draw(st.integers(0, len(routes) - 1), label="route")
    visits = list(routes[k].visits)
    at = data.draw(st.integers(0, len(visits) - 1), label="position")
    node = visits[at]
    other = data.draw(
        st.integers(1, nodes - 1).filter(lambda c: c != node), label="another customer"
    )
    for corrupt, rules in (
        ([*visits[:at], *visits[at + 1 :]], {"not visited"}),
        ([*visits, other], {"visited twice"}),
        ([*visits[:at], other, *visits[at + 1 :]], {"not visited", "visited twice"}),
        ([*visits, nodes], {"unknown node"}),
    ):
        changed = [*routes[:k], Route(tuple(corrupt)), *routes[k + 1 :]]
        found = {violation.rule for violation in env.check(instance, changed)}
        assert rules <= found <= rules | {"capacity"}


def test_a_judged_solution_keeps_its_flaws() -> None:
    """`judge` recomputes cost and flaws from the routes alone, and drops empty routes."""
    good = judge(problem("cvrp"), CVRP, [*GOOD, Route(())], 1.5, "by hand")
    assert good.feasible and good.vehicle_routes == GOOD and good.seconds == 1.5
    locs = CVRP["locs"][0].double()
    path = torch.tensor([0, 1, 2, 5, 0, 4, 3, 0])
    length = (locs[path[1:]] - locs[path[:-1]]).norm(dim=-1).sum()
    assert good.cost == pytest.approx(float(length), rel=1e-6)
    bad = judge(problem("cvrp"), CVRP, GOOD[:1], 1.5, "by hand")
    assert not bad.feasible and {v.node for v in bad.violations} == {3, 4}
    none = judge(problem("cvrp"), CVRP, [], 1.5, "by hand")
    assert not none.feasible and none.cost == float("inf")
    unknown = judge(problem("cvrp"), CVRP, [Route((9,))], 1.5, "by hand")
    assert not unknown.feasible and unknown.cost == float("inf")
