"""Re-construction: pieces are instances of their own, and putting them back never costs more."""

import time
from collections.abc import Sequence
from itertools import pairwise as pairs_of
from itertools import permutations

import pytest
import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.metric import pairwise
from nco.data.subinstance import excerpt
from nco.decoding import (
    Greedy,
    MultiStart,
    OutOfTime,
    Reconstruction,
    Sampling,
    Single,
    rollout,
)
from nco.decoding.reconstruction import Rebuilder
from nco.decoding.subproblems import Routes, find_cut, sectors
from nco.envs import PROBLEMS, RoutingEnv, problem
from nco.envs.normalisation import coordinates
from tests.envs.random_instances import draw
from tests.nco.decoding.memory_policy import History
from tests.policies.small import small_policy

CUTTABLE = {
    *("tsp", "atsp", "cvrp", "ovrp", "vrpb", "vrpl", "vrptw", "mtvrp", "mdcvrp", "hfvrp"),
    *("1pdvrp", "tsptw", "mtsp", "anyvrp", "hcvrp-minsum", "pvrp"),
}
NEVER = {
    "sdvrp": "SplitRoutes",
    "op": "OptionalTour",
    "pctsp": "OptionalTour",
    "pdtsp": "PickupDelivery",
    "mtsp": "MinimumRoutes",
    "mtsp-minmax": "Makespan",
    "vrptw-vehicles": "VehiclesFirst",
    "top": "FleetRoutes",
}
SOUND = sorted((CUTTABLE & set(PROBLEMS)) - set(NEVER))


def random_solutions(env: RoutingEnv, instance: TensorDict, seed: int) -> list[Routes]:
    """Bad solutions that keep all rules."""
    rng = torch.Generator().manual_seed(seed)
    actions = rollout(env, small_policy(env).eval(), instance, Sampling(9), rng=rng).best()[0]
    return [env.visits.routes(instance[b : b + 1], row) for b, row in enumerate(actions.tolist())]


@pytest.mark.parametrize("name", SOUND)
def test_never_worse_and_sound(name: str) -> None:
    """What comes out is no worse than what went in, keeps all rules where that did, and costs what
    it says."""
    env = problem(name)
    instance = draw(env, 2, 12, 0)
    policy = small_policy(env, 0, norm="instance", scale=2).eval()
    rng = torch.Generator().manual_seed(0)
    found = Reconstruction(rounds=4, size=5, starts=3)(env, policy, instance, rng)
    greedy = rollout(env, policy, instance, Greedy())
    torch.testing.assert_close(found.cost, env.cost(instance, found.actions))
    assert (found.cost.amin(-1) <= greedy.cost[:, 0]).all()
    for b in range(2):
        one = instance[b : b + 1]

        def broken(actions: torch.Tensor, one: TensorDict = one) -> set[str]:
            return {v.rule for v in env.check(one, env.visits.routes(one, actions.tolist()))}

        assert broken(found.actions[b, 1]) <= broken(greedy.actions[b, 0])


@pytest.mark.parametrize("name", sorted(NEVER))
def test_what_cannot_be_cut_is_refused(name: str) -> None:
    """Where a part of a solution is no solution by itself, the message names what is in the way."""
    env = problem(name)
    with pytest.raises(InputError, match=f"re-construction cannot cut .*{NEVER[name]}"):
        Reconstruction()(env, small_policy(env), draw(env, 1, 6, 0))


@pytest.mark.parametrize("name", ["tsp", "cvrp", "vrptw"])
@pytest.mark.parametrize("size", [4, 7, 50])
def test_pieces_are_disjoint_and_go_back(name: str, size: int) -> None:
    """Pieces share no customer; put back as they are, they are the same solution at the same cost;
    each keeps its rules as an instance of its own, at the cost that it has in the whole."""
    env = problem(name)
    instance = draw(env, 1, 20, 1)
    (routes,) = random_solutions(env, instance, 1)
    cut, rng = find_cut(env), torch.Generator().manual_seed(2)
    depots, coords = env.visits.depots(instance), coordinates(instance)[0]
    for _ in range(5):
        written, pieces = cut.cut(routes, coords, depots, 0, size, rng)
        customers = [node for piece in pieces for node in piece.nodes[depots:]]
        assert len(set(customers)) == len(customers)
        pasted = cut.paste(written, [(piece, piece.routes) for piece in pieces])
        assert env.check(instance, pasted) == []
        whole = env.routes_cost(instance, routes)
        assert env.routes_cost(instance, pasted) == pytest.approx(whole, rel=1e-6)
        total = 0.0
        for piece in pieces:
            part = excerpt(instance, torch.tensor([0]), torch.tensor([piece.nodes]))
            assert env.check(part, piece.routes) == []
            total += env.routes_cost(part, piece.routes)
        if depots:
            assert sorted(customers) == list(range(1, 20))
            assert total == pytest.approx(whole, rel=1e-6)


def test_paths_keep_their_ends() -> None:
    """A path of a tour is rebuilt between its two ends: with a rollout for each first move, one of
    five nodes becomes the shortest path over all orders of its inner three."""
    env = problem("tsp")
    instance = draw(env, 4, 5, 3)
    policy = small_policy(env, 3, norm="instance", scale=3).eval()
    rebuilder = Rebuilder(env, policy, instance, 5, sampled=1.0)
    rng, cut = torch.Generator().manual_seed(0), find_cut(env)
    distance = pairwise(instance)
    for row, routes in enumerate(random_solutions(env, instance, 3)):
        (old,), (piece,) = cut.cut(routes, rebuilder.coords[row], 0, row, 5, rng)
        first, *inner, last = old.visits

        def length(path: Sequence[int], row: int = row) -> float:
            return sum(float(distance[row, a, b]) for a, b in pairs_of(path))

        found = []
        for _ in range(6):
            with torch.no_grad():
                new = list(rebuilder([piece], rng))
            for pair in new:
                (route,) = cut.paste((old,), [pair])
                assert (route.visits[0], route.visits[-1]) == (first, last)
                assert length(route.visits) <= length(old.visits) + 1e-6
                found.append(length(route.visits))
        best = min(length((first, *order, last)) for order in permutations(inner))
        assert min(found) == pytest.approx(best, rel=1e-6)


def test_more_rounds_find_the_optimum() -> None:
    """Sampling every piece again and again leads small tours and routes to the best of many samples
    of the whole, from a start that is far from it."""
    for name in ("tsp", "cvrp"):
        env = problem(name)
        instance = draw(env, 3, 7, 4)
        policy = small_policy(env, 4, norm="instance").eval()
        rng = torch.Generator().manual_seed(0)
        best = Single(Sampling(), 3000)(env, policy, instance, rng).best()[1]
        search = Reconstruction(rounds=30, size=7, starts=8, sampled=0.9)
        found = search(env, policy, instance, rng)
        assert (found.cost[:, 0] > 1.05 * best).any()
        assert (found.cost[:, 1] <= 1.01 * best).all()


def test_policies_with_memory() -> None:
    """A policy that remembers takes the imposed moves as steps too."""
    env = problem("tsp")
    instance = draw(env, 2, 6, 5)
    policy = History(6)
    search = Reconstruction(rounds=5, size=12, starts=6)  # every path is the whole tour
    found = search(env, policy, instance)
    assert (found.cost[:, 1] <= found.cost[:, 0] + 1e-6).all()


def test_sectors_make_a_solution() -> None:
    """All sectors together visit every customer once; limited fleets and tours have none."""
    env = problem("cvrp")
    instance = draw(env, 2, 30, 6)
    policy = small_policy(env, 6, norm="instance").eval()
    rebuilder = Rebuilder(env, policy, instance)
    pieces = sectors(env, instance, rebuilder.coords, 8)
    assert max(len(piece.nodes) for piece in pieces) <= 9
    cut, rng = find_cut(env), torch.Generator().manual_seed(0)
    with torch.no_grad():
        found = list(rebuilder(pieces, rng))
    for row in range(2):
        own = [pair for pair in found if pair[0].row == row]
        routes = tuple(route for pair in own for route in cut.paste((), [pair]))
        assert env.check(instance[row : row + 1], routes) == []
    for name in ("tsp", "mtsp"):
        other = problem(name)
        drawn = draw(other, 1, 9, 0)
        assert sectors(other, drawn, coordinates(drawn), 4) == []


def test_deadlines_and_options() -> None:
    """Without time for the start there is nothing; afterwards a deadline just ends the rounds; the
    same seed gives the same solutions; options out of range are named."""
    env = problem("cvrp")
    policy, instance = small_policy(env).eval(), draw(env, 2, 16, 7)
    with pytest.raises(OutOfTime):
        Reconstruction()(env, policy, instance, deadline=time.perf_counter() - 1)
    begun = time.perf_counter()
    found = Reconstruction(rounds=10**9)(env, policy, instance, deadline=begun + 0.5)
    assert time.perf_counter() < begun + 5 and (found.cost[:, 1] <= found.cost[:, 0] + 1e-5).all()
    search = Reconstruction(MultiStart(2), rounds=3)
    one, two = (search(env, policy, instance, torch.Generator().manual_seed(1)) for _ in "ab")
    assert torch.equal(one.actions, two.actions)
    for options in ({"rounds": 0}, {"size": 0}, {"starts": 0}):
        (name,) = options
        with pytest.raises(InputError, match=f"{name}: 0, expected 1 or more"):
            Reconstruction(**options)
