"""The capacity is exact: no slack, no tolerance, in integers of any size."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict

from nco.data.instance import from_tensors
from nco.envs import Route, problem


def instance(demand: list[int], capacity: int) -> TensorDict:
    n = len(demand)
    return from_tensors(
        locs=torch.rand(1, n, 2, generator=torch.Generator().manual_seed(n)),
        demand=torch.tensor([demand]),
        capacity=torch.tensor([capacity]),
    )


@given(first=st.integers(0, 2**40), second=st.integers(1, 2**40), slack=st.sampled_from([-1, 0, 1]))
def test_exactly_full_is_allowed_and_one_more_is_not(first: int, second: int, slack: int) -> None:
    """A second customer may come if and only if the sum of demands is at most the capacity."""
    env = problem("cvrp")
    capacity = max(first, first + second + slack)
    fits = first + second <= capacity
    one = instance([0, first, second], capacity)
    state = env.step(env.reset(one), torch.tensor([[1]]))
    assert env.mask(state)[0, 0].tolist() == [True, False, fits]
    assert (env.check(one, [Route((1, 2))]) == []) == fits


def test_demands_beyond_float32_are_told_apart() -> None:
    """2^24 + 1 is no float32: a mask in floating point would let it pass for 2^24."""
    env = problem("cvrp")
    one = instance([0, 2**24 + 1, 1], 2**24)
    assert env.mask(env.reset(one))[0, 0].tolist() == [False, False, True]
    (reason,) = env.impossible(one)
    assert (reason.rule, reason.node) == ("capacity", 1)
    assert reason.message == "demand 16777217 of node 1, capacity 16777216"


def test_load_is_dropped_at_the_depot() -> None:
    """After a return to the depot the whole capacity is there again."""
    env = problem("cvrp")
    one = instance([0, 3, 3, 3], 5)
    state = env.reset(one)
    expected = [
        (1, [True, False, False, False]),
        (0, [False, False, True, True]),
        (3, [True, False, False, False]),
        (0, [False, False, True, False]),
        (2, [True, False, False, False]),
        (0, [True, False, False, False]),
    ]
    for action, mask in expected:
        state = env.step(state, torch.tensor([[action]]))
        assert env.mask(state)[0, 0].tolist() == mask
    assert env.done(state).item()


def test_instances_of_one_batch_have_their_own_capacity() -> None:
    """The same route is full in one instance and not in the other."""
    env = problem("cvrp")
    two = torch.cat([instance([0, 3, 2, 1], 5), instance([0, 3, 2, 1], 6)])
    state = env.reset(two)
    for node in (1, 2):
        state = env.step(state, torch.tensor([[node], [node]]))
    assert env.mask(state)[:, 0, 3].tolist() == [False, True]


def test_remaining_capacity_is_what_a_policy_sees() -> None:
    """Features: demand / capacity of the nodes, the remaining share in the decoder."""
    env = problem("cvrp")
    one = instance([0, 3, 2], 10)
    assert env.features(one).nodes[0, :, 2].tolist() == pytest.approx([0.0, 0.3, 0.2])
    state = env.reset(one)
    assert env.context(state).scalars.item() == 1.0
    state = env.step(state, torch.tensor([[1]]))
    assert env.context(state).scalars.item() == pytest.approx(0.7)
