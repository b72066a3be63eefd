"""The decoder that looks at near nodes only."""

from dataclasses import replace

import pytest
import torch

from nco.data.generators import CVRPGenerator, TSPGenerator
from nco.data.seeding import seeded
from nco.decoding import MultiStart, Sampling, rollout
from nco.envs import Features, problem
from nco.policies.candidates import nearest_allowed
from tests.policies.small import small_policy

GENERATORS = {"tsp": TSPGenerator, "cvrp": CVRPGenerator, "sdvrp": CVRPGenerator}


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("depots", [0, 1])
def test_candidates_equal_sorted_lists(depots: int, matrix: bool) -> None:
    """They are the depots and the nearest customers that are allowed, or all that are left."""
    rng = seeded(1)
    coords = torch.rand(2, 12, 2, generator=rng)
    distance = torch.rand(2, 12, 12, generator=rng) if matrix else None
    features = Features(coords, coords, distance)
    current = torch.randint(12, (2, 40), generator=rng)
    mask = torch.rand(2, 40, 12, generator=rng) < torch.linspace(0, 1, 40).view(1, 40, 1)
    few = nearest_allowed(features, current, mask, 3, depots)
    lengths = torch.cdist(coords, coords) if distance is None else distance
    for b in range(2):
        for r in range(40):
            row = lengths[b, current[b, r]].tolist()
            allowed = [i for i in range(12) if mask[b, r, i]]
            near = sorted((i for i in allowed if i >= depots), key=lambda i, row=row: row[i])[:3]
            expected = {i for i in range(depots) if mask[b, r, i]} | set(near)
            found = few.nodes[b, r][few.mask[b, r]].tolist()
            assert set(found) == expected
            assert len(found) == len(expected)
            assert bool(expected) == bool(allowed)
            for node, length in zip(few.nodes[b, r], few.distance[b, r], strict=True):
                assert float(length) == pytest.approx(row[int(node)], abs=1e-6)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", GENERATORS)
def test_equals_the_full_decoder_under_the_narrower_mask(name: str, bias: bool) -> None:
    """Scores are those of the decoder that looks at all, with all but the candidates masked."""
    env = problem(name)
    policy = small_policy(env, residual=True, distance_bias=bias).eval()
    instance = GENERATORS[name](14)(3, seeded(2))
    features = env.features(instance)
    policy.decoder.neighbours = 4
    driven = rollout(env, policy, instance, Sampling(), 3, rng=seeded(3), record=True)
    assert driven.trajectory is not None
    context = driven.trajectory.context
    with torch.no_grad():
        near = policy.log_probs(policy.encode(features), driven.trajectory)
        few = nearest_allowed(
            features, context.nodes[..., -1], context.mask, 4, features.num_depots
        )
        mask = torch.zeros_like(context.mask).scatter(-1, few.nodes, few.mask)
        policy.decoder.neighbours = 0
        cache = policy.encode(features)
        full = policy.decoder(cache, replace(context, mask=mask)).view_as(near)
    assert cache.near is None
    torch.testing.assert_close(near, full, atol=1e-5, rtol=1e-5)
    assert torch.isfinite(near).sum(-1).max() <= 4 + features.num_depots


@pytest.mark.parametrize("name", GENERATORS)
def test_as_many_neighbours_as_customers_change_nothing(name: str) -> None:
    """With every customer near, the decoder is the one without the option."""
    env = problem(name)
    plain, near = small_policy(env), small_policy(env, neighbours=20)
    instance = GENERATORS[name](9)(2, seeded(2))
    costs = [MultiStart()(env, p.eval(), instance).cost for p in (plain, near)]
    torch.testing.assert_close(costs[0], costs[1])


@pytest.mark.parametrize("name", GENERATORS)
def test_solutions_are_feasible(name: str) -> None:
    """One near customer at a time is enough for complete, feasible solutions."""
    env = problem(name)
    policy = small_policy(env, neighbours=1).eval()
    instance = GENERATORS[name](15)(2, seeded(5))
    actions, _ = MultiStart(4)(env, policy, instance).best()
    for row in range(2):
        one = instance[row : row + 1]
        assert env.check(one, env.visits.routes(one, actions[row].tolist())) == []


def test_no_table_of_all_pairs_is_kept() -> None:
    """The restricted decoder keeps no distances of all pairs, though it uses distances."""
    env = problem("cvrp")
    instance = CVRPGenerator(30)(1, seeded(1))
    policy = small_policy(env, distance_bias=True, neighbours=5).eval()
    cache = policy.encode(env.features(instance))
    assert cache.log_distance is None
    assert cache.near is not None
    assert cache.near.distance is None
