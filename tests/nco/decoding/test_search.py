"""Searches: the best of many, starts, and symmetries of the square."""

import time

import pytest
import torch

from nco.data import make_instance
from nco.data.errors import InputError
from nco.decoding import (
    ActiveSearch,
    Augment,
    Beam,
    Greedy,
    MultiStart,
    OutOfTime,
    Reconstruction,
    Sampling,
    Search,
    SimulationGuided,
    Single,
    dihedral,
    make_search,
    rollout,
)
from nco.envs import problem
from tests.envs.random_instances import broken, draw
from tests.every_problem import every_problem
from tests.policies.small import small_policy

BATCH, NODES = 3, 9
SEARCHES: list[Search] = [
    MultiStart(1),
    MultiStart(3),
    MultiStart(),
    MultiStart(20),
    Augment(views=1),
    Augment(views=5),
    Augment(MultiStart(2)),
    Augment(Beam(2), 3),
    Beam(1),
    Beam(2),
    Beam(30),
]


@every_problem
@pytest.mark.parametrize("seed", [0, 1])
def test_best_of_many_is_never_worse_than_greedy(name: str, seed: int) -> None:
    """Every search contains the greedy solution; all that it finds is feasible and costs what the
    original instance says."""
    env = problem(name)
    instance = draw(env, BATCH, NODES, seed)
    policy = small_policy(env, seed, norm="instance").eval()
    greedy = rollout(env, policy, instance, Greedy())
    for search in SEARCHES:
        found = search(env, policy, instance)
        assert (found.best()[1] <= greedy.cost[:, 0] + 1e-6).all(), search
        torch.testing.assert_close(found.cost, env.cost(instance, found.actions))
        given_up = broken(env, instance, found.actions)
        for b in range(BATCH):
            one = instance[b : b + 1]
            if not env.impossible(one):
                for r, actions in enumerate(found.actions[b].tolist()):
                    flawed = bool(env.check(one, env.visits.routes(one, actions)))
                    assert flawed == bool(given_up[b, r]), search


@every_problem
def test_starts_are_spread_over_feasible_first_moves(name: str) -> None:
    """Multi-start begins where the mask allows, with the policy's own first move among the starts,
    at different customers while there are enough."""
    env = problem(name)
    instance = draw(env, BATCH, NODES, 2)
    policy = small_policy(env, 2).eval()
    mask = env.mask(env.reset(instance))[:, 0]
    greedy = rollout(env, policy, instance, Greedy()).actions[:, 0, 0]
    for starts in (1, 2, 4, 0):
        first = MultiStart(starts)(env, policy, instance).actions[..., 0]
        assert first.shape[1] == (starts or env.num_customers(instance))
        assert mask.gather(1, first).all()
        assert (first == greedy.unsqueeze(1)).any(1).all()
        for b in range(BATCH):
            customers = int(mask[b, env.visits.num_depots :].sum())
            # The policy's own move takes the place of one start.
            assert len(first[b].unique()) >= min(first.shape[1], customers) - 1


def test_out_of_reach_customers_are_no_start() -> None:
    """Where a length limit leaves one customer in reach, all searches begin there or end at once,
    also if the policy would rather go elsewhere."""
    env = problem("op")
    locs = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [0.1, 0.0], [1.0, 0.9]]])
    prize = torch.tensor([[0.0, 5.0, 1.0, 5.0]])
    instance = make_instance(locs=locs, prize=prize, distance_limit=torch.tensor([0.5]))
    for seed in range(5):
        policy = small_policy(env, seed, scale=3).eval()
        for search in (MultiStart(), Beam(4), Single(), Augment(Beam(2))):
            assert set(search(env, policy, instance).actions[..., 0].flatten().tolist()) <= {0, 2}


def test_dihedral_views_are_the_symmetries_of_the_square() -> None:
    """Eight different views, the first as it was, that keep all distances and the square."""
    coords = torch.rand(2, 7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    views = dihedral(coords)
    assert views.shape == (8, 2, 7, 2) and torch.equal(views[0], coords)
    assert views.min() >= 0 and views.max() <= 1
    for i, view in enumerate(views):
        torch.testing.assert_close(torch.cdist(view, view), torch.cdist(coords, coords))
        assert not any(torch.allclose(view, other) for other in views[:i])
    corners = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    for view in dihedral(corners):  # each permutes the corners
        assert sorted(view.tolist()) == sorted(corners.tolist())


def test_augmentation_runs_the_search_on_every_view() -> None:
    """The rollouts of view v are those of the search on the instance with its nodes moved to it."""
    env = problem("cvrp")
    instance = draw(env, BATCH, NODES, 3)
    policy = small_policy(env, 3, norm="instance").eval()
    found = Augment(MultiStart(2), 8)(env, policy, instance)
    assert found.actions.shape[:2] == (BATCH, 16)
    for v, view in enumerate(dihedral(instance["locs"])):
        alone = MultiStart(2)(env, policy, instance.clone().set("locs", view))
        mine = found.actions[:, 2 * v : 2 * v + 2]
        length = min(mine.shape[-1], alone.actions.shape[-1])
        assert torch.equal(mine[..., :length], alone.actions[..., :length])
        torch.testing.assert_close(found.cost[:, 2 * v : 2 * v + 2], alone.cost)


def test_augmentation_leaves_the_instance_alone() -> None:
    """Views are made on a copy, and coordinates of any unit are seen in the unit square."""
    env = problem("tsp")
    locs = draw(env, BATCH, NODES, 4)["locs"]
    instance = make_instance(locs=1000 * locs - 300)
    keys = set(instance.keys())
    policy = small_policy(env, 4, norm="instance").eval()
    found = Augment(Single(), 8)(env, policy, instance)
    assert set(instance.keys()) == keys
    torch.testing.assert_close(found.cost, env.cost(instance, found.actions))


def test_many_samples_find_what_one_misses() -> None:
    """The best of 300 samples is better than a single one, and none is better than the best."""
    env = problem("tsp")
    instance = draw(env, 1, NODES, 5)
    policy = small_policy(env, 5)
    one, many = (Single(Sampling(), k)(env, policy, instance, torch.Generator()) for k in (1, 300))
    assert many.actions.shape[:2] == (1, 300)
    assert many.best()[1] == many.cost.min() < one.best()[1]


@pytest.mark.parametrize("search", [Single(), MultiStart(2), Beam(2), Augment(Beam(2), 2)])
def test_searches_mind_their_deadline(search: Search) -> None:
    """A search whose deadline has passed raises instead of returning half a solution."""
    env = problem("cvrp")
    instance = draw(env, 1, 16, 6)
    with pytest.raises(OutOfTime):
        search(env, small_policy(env), instance, deadline=time.perf_counter() - 1)


def test_options_make_the_searches_they_name() -> None:
    """Words of the command line become searches, with their defaults where nothing is said."""
    assert make_search("greedy") == Single()
    assert make_search("sample") == Single(Sampling(), 100)
    sampling = Sampling(0.5, 3, 0.9)
    assert make_search("sample", 7, 1, 0.5, 3, 0.9) == Single(sampling, 7)
    assert make_search("multistart") == MultiStart()
    assert make_search("beam", 5, 8) == Augment(Beam(5), 8)
    assert make_search("sgbs") == SimulationGuided() and make_search("sgbs", 9).width == 9
    assert make_search("eas") == ActiveSearch() and make_search("eas", 9).samples == 9
    assert make_search("rrc") == Reconstruction() and make_search("rrc", 9).rounds == 9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_search("beam", -1), "samples: -1, expected 0 or more"),
        (lambda: make_search("greedy", augment=9), "views: 9, expected 1 to 8"),
        (lambda: make_search("greedy", augment=0), "views: 0, expected 1 to 8"),
        (lambda: make_search("sample", temperature=-1.0), "temperature: -1.0"),
        (lambda: Beam(0), "beam width: 0, expected 1 or more"),
        (lambda: MultiStart(-1), "starts: -1, expected 0 or more"),
        (lambda: Single(samples=0), "samples: 0, expected 1 or more"),
    ],
)
def test_unusable_options_are_refused(make, message: str) -> None:
    """An option out of range is the user's error and names the range."""
    with pytest.raises(InputError, match=message):
        make()
