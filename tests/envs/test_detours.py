"""Where a detour is shorter than the direct way: proofs, masks and rollouts against brute force."""

from itertools import pairwise, permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nco.data import make_instance
from nco.data.metric import Metric
from nco.envs import PROBLEMS, problem
from nco.envs.checking.shortest_ways import ShortestWays
from nco.envs.problems.compose import compose, says
from nco.envs.problems.naming import VARIANTS
from tests.envs.candidates import EVERYTHING, accepted
from tests.envs.random_instances import draw
from tests.envs.test_brute_force import allowed

SOME = {
    *("vrpl", "vrptw", "ovrptw", "vrpblt", "mdovrpbltw", "vrpb", "vrpmb"),
    *("hfvrp", "mtvrptw", "pcvrp", "pdptw", "vrpspd"),
}
NAMES = [
    name
    for name in PROBLEMS
    if type(problem(name).visits) in EVERYTHING and (name not in VARIANTS or name in SOME)
]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(nodes=st.integers(2, 5), seed=st.integers(0, 2**31))
def test_no_solution_means_none(name: str, nodes: int, seed: int) -> None:
    """An instance that is said to have no solution has none among all candidates."""
    env = problem(name)
    instance = draw(env, 1, nodes, seed, detours=True)
    if env.impossible(instance):
        assert list(accepted(env, instance))[:3] == []


ROUND = [[0.0, 5, 4], [6, 0, 2], [1, 2, 0]]  # back from 1 by way of 2: 2 + 1 for 6
FAR = [[0.0, 20, 4], [6, 0, 2], [1, 2, 0]]  # to 1 by way of 2: 4 + 2 for 20


def matrix(rows: list[list[float]]) -> Tensor:
    return torch.tensor([rows], dtype=torch.double)


def closing(*ends: float) -> Tensor:
    return torch.tensor([[[0.0, end] for end in ends]], dtype=torch.double)


REPORTED: list[tuple[dict[str, Tensor], float]] = [
    ({"distance": matrix(ROUND), "distance_limit": torch.tensor([9.0])}, 8),
    ({"distance": matrix(ROUND), "time_windows": closing(9, 9, 9)}, 8),
    ({"distance": matrix(ROUND), "duration_limit": torch.tensor([9.0])}, 8),
    ({"distance": matrix(FAR), "time_windows": closing(100, 10, 100)}, 12),
    (  # rounded to 1 + 1 + 3, the direct way there and back is 6
        {
            "locs": torch.tensor([[[0.0, 0], [1, 1], [2, 2]]]),
            "metric": torch.tensor([int(Metric.EUC_2D)]),
            "distance_limit": torch.tensor([5.0]),
        },
        5,
    ),
]


@pytest.mark.parametrize("fields, best", REPORTED)
def test_solutions_that_only_detours_make_possible(fields: dict[str, Tensor], best: float) -> None:
    """Instances as people reported them, with the only cost that there is by hand."""
    instance = make_instance(**fields)
    env = compose(says(instance))
    assert env.impossible(instance) == []
    assert set(accepted(env, instance).values()) == {best}


def test_a_proof_by_shortest_ways() -> None:
    """
    To node 1 and back is 11 directly and 4 + 2 + 2 + 1 - 2 = 8 at least; a limit of 7 is too short
    for every route, and the message says by which ways.
    """
    instance = make_instance(distance=matrix(ROUND), distance_limit=torch.tensor([7.0]))
    (reason, *_) = compose(says(instance)).impossible(instance)
    expected = "to node 1 and back: length 8, limit 7 (by the shortest ways)"
    assert (reason.rule, reason.node, reason.message) == ("distance limit", 1, expected)


@settings(max_examples=50)
@given(nodes=st.integers(2, 6), seed=st.integers(0, 2**31), depots=st.integers(1, 2))
def test_shortest_ways_are_those_of_all_orders(nodes: int, seed: int, depots: int) -> None:
    """By every simple way over customers, with their services on the way."""
    depots = min(depots, nodes - 1)
    rng = torch.Generator().manual_seed(seed)
    legs = torch.randint(0, 30, (nodes, nodes), generator=rng).double()
    legs[torch.rand(nodes, nodes, generator=rng) < 0.3] = torch.inf
    service = torch.randint(0, 4, (nodes,), generator=rng).double()
    instance = make_instance(
        distance=legs.unsqueeze(0),
        service_time=service.unsqueeze(0),
        depots=torch.arange(depots).unsqueeze(0),
    )
    plain = ShortestWays(instance)
    for a, b in permutations(range(nodes), 2):
        if max(a, b) < depots:
            continue  # no route leads from one depot to another
        inner = [n for n in range(depots, nodes) if n not in (a, b)]
        ways = [(a, *o, b) for k in range(nodes) for o in permutations(inner, k)]
        lengths = [sum(float(legs[x, y]) for x, y in pairwise(way)) for way in ways]
        services = [sum(float(service[x]) for x in way[1:-1]) for way in ways]
        times = [x + y for x, y in zip(lengths, services, strict=True)]
        assert plain.lengths([a, b])[0] == pytest.approx(min(lengths), abs=1e-9)
        assert plain.times([a, b])[0] == pytest.approx(min(times), abs=1e-9)
        assert plain.lengths([a, b])[0] <= min(lengths) and plain.times([a, b])[0] <= min(times)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(nodes=st.integers(2, 5), seed=st.integers(0, 2**31))
def test_masks_forbid_nothing_feasible(name: str, nodes: int, seed: int) -> None:
    """
    What the mask leads to without a broken rule is what the checker accepts, at the same costs,
    whatever the matrix: no optimum is forbidden, and every rollout that is lost is known to be.
    """
    env = problem(name)
    instance = draw(env, 1, nodes, seed, detours=True)
    by_mask, by_checker = allowed(env, instance), accepted(env, instance)
    assert list(by_mask.keys() - by_checker.keys())[:3] == []
    assert list(by_checker.keys() - by_mask.keys())[:3] == []
    for routes, cost in by_mask.items():
        assert cost == pytest.approx(by_checker[routes], rel=1e-5, abs=1e-5)
