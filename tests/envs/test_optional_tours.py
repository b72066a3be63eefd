"""Tours that leave customers out: OP, PCTSP, SPCTSP by hand, by enumeration and at the last bit."""

import math
from collections.abc import Sequence
from itertools import pairwise, permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from nco.data import make_instance
from nco.data.metric import Metric
from nco.envs import PROBLEMS, Route, RoutingEnv, problem
from nco.envs.checking.infeasibility import unservable_customers
from nco.solution import judge
from tests.envs.test_brute_force import allowed

# Depot in the origin, customers on the axes: 1, 2, 3, 4 at distances 3, 4, 3, 4 in turn, so that
# neighbours are 5 apart.
CROSS = torch.tensor([[[0.0, 0.0], [3, 0], [0, 4], [-3, 0], [0, -4]]])
OP = make_instance(
    locs=CROSS, prize=torch.tensor([[0.0, 1, 2, 4, 8]]), distance_limit=torch.tensor([12.0])
)
PCTSP = make_instance(
    locs=CROSS,
    prize=torch.tensor([[0.0, 0.5, 0.5, 0.25, 0.125]]),
    stochastic_prize=torch.tensor([[0.0, 1.0, 0.25, 0.25, 0.25]]),
    penalty=torch.tensor([[0.0, 1, 2, 3, 4]]),
    min_prize=torch.tensor([1.0]),
)


def masks(env: RoutingEnv, one: TensorDict, actions: list[int]) -> list[list[int]]:
    """Which nodes may come next, before each action and at the end."""
    state, found = env.reset(one), []
    for action in actions:
        found.append(env.mask(state)[0, 0].nonzero().flatten().tolist())
        state = env.step(state, torch.tensor([[action]]))
    found.append(env.mask(state)[0, 0].nonzero().flatten().tolist())
    return found


def test_op_mask_keeps_the_way_home() -> None:
    """
    With a limit of 12, any two customers fit exactly: 0-1-2-0 is 3 + 5 + 4, 0-1-3-0 is 3 + 6 + 3.
    No third one does, and at home the tour is over, and waits.
    """
    assert masks(problem("op"), OP, [1, 2, 0]) == [[0, 1, 2, 3, 4], [0, 2, 3, 4], [0], [0]]
    assert masks(problem("op"), OP, [0, 0]) == [[0, 1, 2, 3, 4], [0], [0]]


def test_op_costs_the_prize() -> None:
    """The cost is minus the prize, for actions that wait at the end and for routes."""
    env = problem("op")
    actions = torch.tensor([[[4, 3, 0, 0], [0, 0, 0, 0]]])
    assert env.cost(OP, actions).tolist() == [[-12.0, 0.0]]
    assert env.routes_cost(OP, [Route((4, 3))]) == -12
    assert env.routes_cost(OP, []) == 0
    assert env.objective.maximised and not problem("pctsp").objective.maximised


def test_pctsp_mask_asks_for_the_prize() -> None:
    """Prizes of 0.5, 0.5 reach the minimum of 1; the depot opens only then."""
    assert masks(problem("pctsp"), PCTSP, [1, 2, 0]) == [[1, 2, 3, 4], [2, 3, 4], [0, 3, 4], [0]]


def test_everybody_visited_is_enough() -> None:
    """Where all prizes together miss the minimum, the tour may end when all nodes are visited."""
    poor = PCTSP.clone()
    poor["min_prize"] = torch.tensor([9.0])
    env = problem("pctsp")
    assert masks(env, poor, [1, 2, 3, 4])[-2:] == [[4], [0]]
    assert env.check(poor, [Route((1, 2, 3, 4))]) == []
    (short,) = env.check(poor, [Route((1, 2, 3))])
    assert (short.rule, short.message) == ("minimum prize", "prize 1.25, minimum 9.0")


def test_pctsp_costs_length_and_penalties() -> None:
    """0-1-2-0 is 12 long and leaves out penalties of 3 and 4."""
    env = problem("pctsp")
    assert env.cost(PCTSP, torch.tensor([[[1, 2, 0, 0]]])).tolist() == [[19.0]]
    assert env.routes_cost(PCTSP, [Route((1, 2))]) == 19
    assert env.routes_cost(PCTSP, []) == 10


def test_stochastic_prizes_are_collected_and_not_seen() -> None:
    """
    In the SPCTSP customer 1 alone is worth 1, though 0.5 was expected: the tour may end. Features
    are those of the PCTSP, with the same sizes, so that a policy knows no more.
    """
    known, revealed = problem("pctsp"), problem("spctsp")
    assert masks(revealed, PCTSP, [1])[-1] == [0, 2, 3, 4]
    assert masks(known, PCTSP, [1])[-1] == [2, 3, 4]
    assert known.spec == revealed.spec
    assert torch.equal(known.features(PCTSP).nodes, revealed.features(PCTSP).nodes)
    after = revealed.step(revealed.reset(PCTSP), torch.tensor([[2]]))
    assert revealed.context(after).scalars.item() == 0.75
    assert revealed.check(PCTSP, [Route((1,))]) == []
    assert [v.rule for v in known.check(PCTSP, [Route((1,))])] == ["minimum prize"]


def test_node_features_have_the_published_order() -> None:
    """After the coordinates: prize (OP); prize, then penalty (PCTSP); raw in the unit square."""
    one = make_instance(
        locs=torch.tensor([[[0.5, 0.5], [0.25, 1.0]]]),
        prize=torch.tensor([[0.0, 0.5]]),
        stochastic_prize=torch.tensor([[0.0, 0.75]]),
        penalty=torch.tensor([[0.0, 0.125]]),
        min_prize=torch.tensor([1.0]),
        distance_limit=torch.tensor([2.0]),
    )
    assert problem("op").features(one).nodes[0, 1].tolist() == [0.25, 1.0, 0.5]
    for name in ("pctsp", "spctsp"):
        assert problem(name).features(one).nodes[0, 1].tolist() == [0.25, 1.0, 0.5, 0.125]
    assert problem("op").context(problem("op").reset(one)).scalars.item() == 2.0
    assert problem("pctsp").context(problem("pctsp").reset(one)).scalars.item() == 1.0


def test_features_do_not_depend_on_the_unit() -> None:
    """Coordinates, limit and penalties ten times as large, prizes too: a policy sees the same."""
    for name, one in (("op", OP), ("pctsp", PCTSP)):
        env = problem(name)
        large = one.clone()
        for field in set(one.keys()) & {"locs", "distance_limit", "penalty", "prize", "min_prize"}:
            large[field] = one[field] * 10
        torch.testing.assert_close(env.features(large).nodes, env.features(one).nodes)
        states = [env.step(env.reset(i), torch.tensor([[1]])) for i in (one, large)]
        first, second = (env.context(state).scalars for state in states)
        torch.testing.assert_close(first, second)
        # The cross is 8 across: what is left of 12 after 3, and of the prize after half of it.
        assert first.item() == pytest.approx(9 / 8 if name == "op" else 0.5)


def test_lengths_are_seen_in_the_unit_of_embedded_matrices() -> None:
    """Without coordinates, a policy's unit of length is that of the coordinates it is shown."""
    plane = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    by_matrix = make_instance(
        distance=torch.cdist(plane, plane) * 7, distance_limit=torch.tensor([14.0])
    )
    by_matrix["prize"] = torch.zeros(1, 3)
    env = problem("op")
    shown = env.features(by_matrix).coords
    assert shown is not None
    unit = float(env.reset(by_matrix).tables["length unit"])
    assert float((shown[0, 1] - shown[0, 0]).norm()) * unit == pytest.approx(7.0, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "routes", "found"),
    [
        pytest.param("op", [], [], id="op: stay at home"),
        pytest.param("op", [Route((1, 2))], [], id="op: at the limit"),
        pytest.param("op", [Route((1, 2, 3))], [("distance limit", 0, None)], id="op: too long"),
        pytest.param("op", [Route((1, 1))], [("visited twice", None, 1)], id="op: twice"),
        pytest.param("op", [Route((1, 5))], [("unknown node", None, 5)], id="op: unknown"),
        pytest.param("op", [Route((1, 0))], [("unknown node", None, 0)], id="op: depot amidst"),
        pytest.param(
            "op", [Route((1,)), Route((2,))], [("one tour", None, None)], id="op: two tours"
        ),
        pytest.param("op", [Route((1,), start=2)], [("depot", 0, None)], id="op: wrong start"),
        pytest.param("op", [Route((1,), end=None)], [("depot", 0, None)], id="op: open"),
        pytest.param("pctsp", [Route((2, 1))], [], id="pctsp: enough"),
        pytest.param(
            "pctsp", [Route((1,))], [("minimum prize", None, None)], id="pctsp: too little"
        ),
        pytest.param(
            "pctsp",
            [Route((1, 1))],
            [("visited twice", None, 1), ("minimum prize", None, None)],
            id="pctsp: a prize counts once",
        ),
        pytest.param("pctsp", [], [("minimum prize", None, None)], id="pctsp: stay at home"),
        pytest.param(
            "spctsp", [Route((2, 3))], [("minimum prize", None, None)], id="spctsp: bad luck"
        ),
    ],
)
def test_corrupt_tours_are_named(
    name: str, routes: Sequence[Route], found: list[tuple[str, int | None, int | None]]
) -> None:
    """Each corruption is found, with its rule, route and node, and nothing else is."""
    violations = problem(name).check(OP if name == "op" else PCTSP, routes)
    assert [(v.rule, v.route, v.node) for v in violations] == found


def test_an_empty_tour_is_a_solution() -> None:
    """Staying at home is a feasible solution of the OP, and none of the PCTSP."""
    home = judge(problem("op"), OP, [], 0.0, "by hand")
    assert home.feasible and home.value == 0
    poor = judge(problem("pctsp"), PCTSP, [], 0.0, "by hand")
    assert not poor.feasible and poor.value == math.inf


def test_customers_out_of_reach_are_no_obstacle() -> None:
    """Limits that reach no node leave the tour at home: the instance is solvable, starts too."""
    env, near = problem("op"), OP.clone()
    near["distance_limit"] = torch.tensor([5.9])
    assert [v.node for v in unservable_customers(near, env.constraints)] == [1, 2, 3, 4]
    assert env.impossible(near) == []
    assert masks(env, near, [0]) == [[0], [0]]
    assert env.starts(near, 3).tolist() == [[0, 0, 0]]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    nodes=st.integers(3, 9),
    double=st.booleans(),
    slack=st.sampled_from([-1, 0, 1]),
)
def test_the_limit_is_exact_to_the_last_bit(
    seed: int, nodes: int, double: bool, slack: int
) -> None:
    """
    Given exactly the length of a tour as its limit, mask and check both allow it; given the next
    smaller double, both refuse it. Legs are in the instance's precision, their sum in double.
    """
    dtype = torch.double if double else torch.float
    rng = torch.Generator().manual_seed(seed)
    locs = torch.rand(1, nodes, 2, generator=rng, dtype=dtype)
    order = [0, *(torch.randperm(nodes - 1, generator=rng) + 1).tolist(), 0]
    length = 0.0
    for a, b in pairwise(order):
        length += float((locs[0, a] - locs[0, b]).square().sum().sqrt())
    limit = torch.tensor([length], dtype=torch.double)
    for _ in range(abs(slack)):
        limit = torch.nextafter(limit, torch.tensor([slack * math.inf], dtype=torch.double))
    one = make_instance(locs=locs, prize=torch.ones(1, nodes), distance_limit=limit)
    env = problem("op")
    state = env.reset(one)
    allowed = True
    for node in order[1:-1]:
        allowed = allowed and bool(env.mask(state)[0, 0, node])
        state = env.step(state, torch.tensor([[node]]))
    assert allowed == (slack >= 0)
    assert (env.check(one, [Route(tuple(order[1:-1]))]) == []) == (slack >= 0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), nodes=st.integers(3, 12), slack=st.sampled_from([-1, 0, 1]))
def test_the_minimum_is_exact_to_the_last_bit(seed: int, nodes: int, slack: int) -> None:
    """
    Given exactly the sum of the prizes in the order of the visits as minimum, mask and check let
    the tour end; given the next larger double, both refuse.
    """
    rng = torch.Generator().manual_seed(seed)
    prize = torch.rand(1, nodes + 1, generator=rng)
    order = (torch.randperm(nodes - 1, generator=rng) + 1).tolist()  # node `nodes` is left out
    total = 0.0
    for node in order:
        total += float(prize[0, node])
    minimum = torch.tensor([total], dtype=torch.double)
    for _ in range(abs(slack)):
        minimum = torch.nextafter(minimum, torch.tensor([slack * math.inf], dtype=torch.double))
    one = make_instance(
        locs=torch.rand(1, nodes + 1, 2, generator=rng),
        prize=prize,
        penalty=torch.zeros(1, nodes + 1),
        min_prize=minimum,
    )
    env = problem("pctsp")
    state = env.reset(one)
    for node in order:
        state = env.step(state, torch.tensor([[node]]))
    assert bool(env.mask(state)[0, 0, 0]) == (slack <= 0)
    assert (env.check(one, [Route(tuple(order))]) == []) == (slack <= 0)


def enumerate_optimum(name: str, one: TensorDict) -> float:
    """The optimum by trying every order of every subset, in plain Python."""
    locs = one["locs"][0].tolist()
    prize = one["prize"][0].tolist()
    collected = one["stochastic_prize"][0].tolist() if name == "spctsp" else prize
    customers = range(1, len(locs))
    best = math.inf
    for size in range(len(locs)):
        for order in permutations(customers, size):
            path = [0, *order, 0]
            length = sum(math.dist(locs[a], locs[b]) for a, b in pairwise(path))
            if name == "op":
                if length <= float(one["distance_limit"]):
                    best = min(best, -sum(prize[node] for node in order))
            elif size == len(customers) or sum(collected[n] for n in order) >= one["min_prize"]:
                missed = set(customers) - set(order)
                best = min(best, length + sum(one["penalty"][0].tolist()[n] for n in missed))
    return best


@pytest.mark.parametrize("name", ["op", "pctsp", "spctsp"])
@settings(max_examples=8, deadline=None)
@given(size=st.integers(1, 5), seed=st.integers(0, 2**31))
def test_generated_optima_are_reached(name: str, size: int, seed: int) -> None:
    """The best that the mask allows in a generator's instance is the enumerated optimum."""
    one = PROBLEMS[name].generator(size)(1, torch.Generator().manual_seed(seed))
    best = min(allowed(problem(name), one).values())
    assert best == pytest.approx(enumerate_optimum(name, one), rel=1e-5, abs=1e-6)


def test_rounded_lengths_are_limited_as_rounded() -> None:
    """Under a rounded metric the limit speaks of rounded legs: 1 + 1 + 1 where 3.4 is driven."""
    one = make_instance(
        locs=torch.tensor([[[0.0, 0.0], [1.1, 0.0], [0.0, 1.2]]]),
        prize=torch.ones(1, 3),
        distance_limit=torch.tensor([4.0]),
        metric=torch.tensor([int(Metric.EUC_2D)]),
    )
    assert problem("op").check(one, [Route((1, 2))]) == []
    assert masks(problem("op"), one, [1])[-1] == [0, 2]
