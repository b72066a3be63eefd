"""On tiny instances, what a mask allows is exactly what the checker accepts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from nco.envs import PROBLEMS, Route, RoutingEnv, problem
from nco.envs.problems.naming import VARIANTS
from tests.envs.candidates import EVERYTHING, accepted
from tests.envs.random_instances import draw

FEW = {
    *("cvrp", "vrpb", "vrpmb", "vrpl", "vrptw", "ovrptw", "mdovrpbltw"),
    *("dvrp", "hfvrp", "mtvrptw", "pcvrp", "pdptw", "vrpspd"),
}
AT_ONCE = 4096
ENUMERABLE = [name for name in PROBLEMS if type(problem(name).visits) in EVERYTHING]


def allowed(env: RoutingEnv, instance: TensorDict) -> dict[frozenset[Route], float]:
    """
    Every solution of one instance that the mask can lead to, no rule broken, with its cost.

    Depth first, so many rollouts at a time that memory does not grow with their number.
    """
    found = {}
    waiting = [(env.reset(instance), torch.zeros(1, 1, 0, dtype=torch.long))]
    while waiting:
        state, actions = waiting.pop()
        if bool(env.done(state).all()):
            kept = ~env.broken(state)[0]
            actions = actions[:, kept]
            costs = env.cost(instance, actions)[0].tolist() if bool(kept.any()) else []
            for sequence, cost in zip(actions[0].tolist(), costs, strict=True):
                found[frozenset(env.visits.routes(instance, sequence))] = cost
            continue
        mask = env.mask(state)
        # A finished rollout waits; of its waiting moves one is enough to follow.
        first = mask & (mask.cumsum(-1) == 1)
        mask = torch.where(env.done(state).unsqueeze(-1), first, mask)
        rows, nodes = mask[0].nonzero(as_tuple=True)
        for some, theirs in zip(rows.split(AT_ONCE), nodes.split(AT_ONCE), strict=True):
            after = env.step(state.select(some.unsqueeze(0)), theirs.unsqueeze(0))
            waiting.append((after, torch.cat([actions[:, some], theirs[None, :, None]], dim=-1)))
    return found


def compare(name: str, nodes: int, seed: int, lattice: bool) -> None:
    env = problem(name)
    instance = draw(env, 1, nodes, seed, lattice)
    if env.impossible(instance):
        return
    by_mask, by_checker = allowed(env, instance), accepted(env, instance)
    # Lists of a few: pytest would compare two large sets of routes for hours, and without bound.
    assert list(by_mask.keys() - by_checker.keys())[:3] == []  # nothing infeasible is allowed
    assert list(by_checker.keys() - by_mask.keys())[:3] == []  # nothing feasible is forbidden
    for routes, cost in by_mask.items():
        assert cost == pytest.approx(by_checker[routes], rel=1e-5, abs=1e-5)


CORE = [name for name in ENUMERABLE if name not in VARIANTS or name in FEW]


@pytest.mark.parametrize("name", CORE)
@settings(max_examples=8)
@given(nodes=st.integers(2, 6), seed=st.integers(0, 2**31), lattice=st.booleans())
def test_mask_allows_exactly_what_is_feasible(
    name: str, nodes: int, seed: int, lattice: bool
) -> None:
    """
    All action sequences that the mask allows and all candidates that the checker accepts are the
    same solutions at the same costs: no optimum is forbidden, nothing infeasible is allowed.
    """
    compare(name, nodes, seed, lattice)


OTHERS = [name for name in ENUMERABLE if name not in CORE]


@pytest.mark.parametrize(
    "name",
    [
        name if k % 4 == 1 else pytest.param(name, marks=pytest.mark.slow)
        for k, name in enumerate(OTHERS)
    ],
)
@settings(max_examples=3)
@given(nodes=st.integers(4, 6), seed=st.integers(0, 2**31), lattice=st.booleans())
def test_mask_allows_exactly_what_is_feasible_in_variants(
    name: str, nodes: int, seed: int, lattice: bool
) -> None:
    """The same for the compositions of the same rules."""
    compare(name, nodes, seed, lattice)


@pytest.mark.parametrize(
    "name",
    [
        name if name in {*FEW, "tsp", "op", "hcvrp"} else pytest.param(name, marks=pytest.mark.slow)
        for name in CORE
    ],
)
def test_mask_allows_exactly_what_is_feasible_on_seven_nodes(name: str) -> None:
    """The same on seven nodes: up to 4,051 sets of routes, in up to 23,040 orders."""
    compare(name, 7, 0, lattice=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENUMERABLE)
def test_mask_allows_exactly_what_is_feasible_on_eight_nodes(name: str) -> None:
    """The same on eight nodes: up to 37,633 sets of routes, in up to 322,560 orders."""
    compare(name, 8, 0, lattice=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENUMERABLE)
@settings(max_examples=100)
@given(nodes=st.integers(2, 6), seed=st.integers(0, 2**31), lattice=st.booleans())
def test_mask_allows_exactly_what_is_feasible_often(
    name: str, nodes: int, seed: int, lattice: bool
) -> None:
    """The same on many more instances."""
    compare(name, nodes, seed, lattice)
