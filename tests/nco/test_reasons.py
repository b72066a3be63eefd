"""Reasons are true: relax the named rule and the customer fits; a conflict cannot hold together."""

import time
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nco.data import make_instance
from nco.data.instance import num_depots
from nco.envs import FleetRoutes, Route, RoutingEnv, problem
from nco.envs.constraints import Capacity, Fleet, TimeWindows
from nco.envs.problems.compose import compose, says
from nco.evaluation.conflicts import find_conflict, solvable
from nco.evaluation.reasons import why_left_out
from tests.envs.candidates import accepted
from tests.envs.random_instances import draw

LINE = torch.tensor([[[0.0, 0], [3, 0], [5, 0], [0, 4]]], dtype=torch.double)


def test_the_numbers_of_a_reason() -> None:
    """
    Capacity 4 serves nodes 1 and 3, of demands 1 and 2: node 2 of demand 9 needs 9; on a route with
    others more.
    """
    instance = make_instance(
        locs=LINE,
        demand=torch.tensor([[0, 1, 9, 2]]),
        capacity=torch.tensor([4]),
        penalty=torch.tensor([[0.0, 50, 50, 50]]),
    )
    env = problem("pcvrp", instance=instance)
    (reason,) = why_left_out(env, instance, [Route((1,)), Route((3,))])
    assert (reason.node, reason.rule) == (2, "capacity")
    assert reason.message == "with node 2: load 9, capacity 4"
    assert reason.relaxation == "capacity from 4 to 9"


def test_what_fits_does_not_pay() -> None:
    """Node 2 costs 4 more than nodes 1 and 3 alone, and saves a penalty of 1."""
    instance = make_instance(
        locs=LINE,
        demand=torch.tensor([[0, 1, 1, 2]]),
        capacity=torch.tensor([4]),
        penalty=torch.tensor([[0.0, 50, 1, 50]]),
    )
    env = problem("pcvrp", instance=instance)
    (reason,) = why_left_out(env, instance, [Route((1,)), Route((3,))])
    assert (reason.rule, reason.relaxation) == ("cost", None)
    assert reason.message == "node 2 fits, and costs 3 more than without"


@pytest.mark.parametrize("name", ["op", "pcvrp", "top", "pctsp", "pcvrptw"])
@settings(max_examples=15, deadline=None)
@given(nodes=st.integers(3, 6), seed=st.integers(0, 2**31), detours=st.booleans())
def test_a_relaxation_lets_the_customer_in(name: str, nodes: int, seed: int, detours: bool) -> None:
    """Of the best solution: the relaxed instance accepts the routes with the customer, the given
    one refuses them by the named rules; what is said to fit does fit."""
    env = problem(name)
    instance = draw(env, 1, nodes, seed, detours=detours)
    found = accepted(env, instance)
    if not found:
        return
    routes = list(min(found, key=lambda each: found[each]))
    left = set(range(num_depots(instance), nodes)) - {n for r in routes for n in r.visits}
    reasons = why_left_out(env, instance, routes)
    assert {reason.node for reason in reasons} == left
    for reason in reasons:
        if reason.relaxed is None:
            continue
        assert reason.routes is not None and reason.relaxation
        assert any(reason.node in route.visits for route in reason.routes)
        broken = env.check(instance, reason.routes)
        assert {violation.rule for violation in broken} == set(reason.rule.split(", "))
        assert env.check(reason.relaxed, reason.routes) == []


def test_sums_come_first() -> None:
    """275 do not fit into 240, whatever the routes; 240 may."""
    for demand, expected in (
        (55, ["demand 275 of all customers, capacity 240 of all 3 vehicles"]),
        (48, []),
    ):
        instance = make_instance(
            locs=torch.rand(1, 6, 2),
            demand=torch.tensor([[0] + [demand] * 5]),
            capacity=torch.tensor([80]),
            depots=torch.tensor([[0]]),
            vehicle_count=torch.tensor([[3]]),
        )
        found = compose(says(instance)).impossible(instance)
        assert [reason.message for reason in found] == expected


def test_four_that_three_cannot_pack() -> None:
    """
    Demands of 6, 6, 6, 6 and 1 and three vehicles of 10: 25 are less than 30, but no two of the
    large ones fit together. They and the two rules are the conflict, and nothing else.
    """
    instance = make_instance(
        locs=torch.rand(1, 7, 2),
        demand=torch.tensor([[0, 6, 6, 1, 6, 6, 0]]),
        capacity=torch.tensor([10]),
        depots=torch.tensor([[0]]),
        vehicle_count=torch.tensor([[3]]),
        time_windows=torch.tensor([[[0.0, 1e6]] * 7], dtype=torch.double),
    )
    env = RoutingEnv(FleetRoutes(), [Capacity(), TimeWindows(), Fleet()])
    assert env.impossible(instance) == []
    conflict = find_conflict(env, instance, seconds=60)
    assert conflict is not None and conflict.proved
    assert conflict.nodes == (1, 2, 4, 5) and set(conflict.rules) == {"Capacity", "Fleet"}


@pytest.mark.parametrize("name", ["cvrp", "vrptw", "vrpl", "hfvrp", "tsptw", "pdptw", "op"])
@settings(max_examples=15, deadline=None)
@given(nodes=st.integers(2, 5), seed=st.integers(0, 2**31))
def test_conflicts_are_proofs(name: str, nodes: int, seed: int) -> None:
    """Exhaustive search says what brute force says, and a conflict is one with one less solved."""
    env = problem(name)
    instance = draw(env, 1, nodes, seed, detours=True)
    some = bool(accepted(env, instance))
    assert solvable(env, instance, time.perf_counter() + 60) == some
    conflict = find_conflict(env, instance, seconds=60)
    assert (conflict is None) == some
    if conflict is not None and "delivery" not in instance.keys():
        assert conflict.proved and conflict.nodes
        rest = len(conflict.nodes) - 1
        for fewer in combinations(conflict.nodes, rest):
            kept = torch.tensor([*range(num_depots(instance)), *fewer])
            part = {
                name: value
                for name, value in instance.items()
                if value.shape[-1:] != (nodes,) and value.shape[1:2] != (nodes,)
            }
            for name_, value in instance.items():
                if name_ in part:
                    continue
                for axis in range(1, value.ndim):
                    if value.shape[axis] == nodes:
                        value = value.index_select(axis, kept)
                part[name_] = value
            smaller = RoutingEnv(
                env.visits,
                [rule for rule in env.constraints if type(rule).__name__ in conflict.rules],
            )
            if fewer:
                assert accepted(smaller, make_instance(**part))
