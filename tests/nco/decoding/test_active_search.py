"""Efficient active search: parameters move, the incumbent gets likelier, nothing else changes."""

import time

import pytest
import torch

from nco.data import native
from nco.data.errors import InputError
from nco.data.generators import CVRPGenerator
from nco.data.seeding import seeded
from nco.decoding import ActiveSearch, Greedy, OutOfTime, Sampling, replay, rollout
from nco.decoding.active_search import Adam, Part, adapt
from nco.envs import problem
from nco.hub.released import load_policy
from nco.policies import Policy
from tests.envs.random_instances import draw
from tests.nco.decoding.memory_policy import History
from tests.policies.small import small_policy

PARTS: tuple[Part, ...] = ("emb", "lay", "tab")
every_part = pytest.mark.parametrize("part", PARTS)
SIZE = {"norm": "instance", "distance_bias": True, "residual": True}


def small(name: str, seed: int = 0) -> Policy:
    """A policy of which everything can be adapted."""
    return small_policy(problem(name), seed, **SIZE).eval()


@every_part
@pytest.mark.parametrize("name", ["tsp", "cvrp"])
def test_the_incumbent_gets_likelier(name: str, part: Part) -> None:
    """Each step moves the parameters of every instance; by imitation alone, the likelihood of the
    incumbents rises, also as rollouts see it."""
    env, policy = problem(name), small(name)
    instance = draw(env, 3, 9, 0)
    rng = torch.Generator().manual_seed(0)
    adapted = adapt(policy.encode(env.features(instance)), part, rng)
    search = ActiveSearch(part, samples=2, imitation=1e6)
    optimizer = torch.optim.Adam(adapted.parameters, 0.02)
    actions = torch.zeros(3, env.max_steps(instance), dtype=torch.long)
    target = rollout(env, policy, instance, Sampling(), rng=rng).actions[:, 0]
    actions[:, : target.shape[1]] = target
    actions[:, target.shape[1] :] = target[:, -1:]
    incumbent = (actions, torch.full((3,), -1.0))  # no solution is better
    seen = replay(env, instance, actions.unsqueeze(1))

    def likelihood() -> torch.Tensor:
        with torch.no_grad():
            embeddings = adapted.embeddings()
            scores = policy.log_probs(embeddings, seen)
            chosen = scores.gather(-1, seen.actions.unsqueeze(-1)).squeeze(-1)
            return torch.where(seen.free, chosen, 0).sum(-1).squeeze(-1)

    begun = likelihood()
    untouched = [parameter.detach().clone() for parameter in adapted.parameters]
    for _ in range(15):
        kept = search.step(env, policy, instance, adapted, optimizer, incumbent, rng)
        assert torch.equal(kept[0], actions)
    assert (likelihood() > begun + 0.1).all()
    for parameter, before in zip(adapted.parameters, untouched, strict=True):
        if parameter.shape[0] == 3:
            assert (parameter != before).flatten(1).any(1).all()
        else:  # context nodes come first
            assert (parameter != before).any()


@every_part
def test_it_begins_with_the_policy_itself(part: Part) -> None:
    """Before the first step, the adapted embeddings decode exactly as the policy's own."""
    env, policy = problem("cvrp"), small("cvrp")
    instance = draw(env, 2, 9, 1)
    embeddings = policy.encode(env.features(instance))
    adapted = adapt(embeddings, part, torch.Generator().manual_seed(0)).embeddings()
    context = env.context(env.reset(instance, 3))
    torch.testing.assert_close(
        policy.step(adapted, context)[0], policy.step(embeddings, context)[0]
    )


@every_part
def test_learning_pays(part: Part) -> None:
    """After some iterations, what is sampled is shorter on average than what the policy samples."""
    env, policy = problem("tsp"), small("tsp", 2)
    instance = draw(env, 4, 12, 2)
    rng = torch.Generator().manual_seed(0)
    embeddings = policy.encode(env.features(instance))
    adapted = adapt(embeddings, part, rng)
    search = ActiveSearch(part, samples=16)
    optimizer = torch.optim.Adam(adapted.parameters, 0.2 if part == "tab" else 0.02)
    best = rollout(env, policy, instance, Greedy()).best()
    for _ in range(30):
        best = search.step(env, policy, instance, adapted, optimizer, best, rng)

    def mean(embedded) -> torch.Tensor:
        rng = torch.Generator().manual_seed(1)
        found = rollout(env, policy, instance, Sampling(), 64, rng=rng, embeddings=embedded)
        return found.cost.mean(-1)

    with torch.no_grad():
        assert (mean(adapted.embeddings()) < 0.95 * mean(embeddings)).all()


@every_part
def test_instances_do_not_influence_one_another(part: Part) -> None:
    """What an instance finds and learns is the same whatever shares its batch."""
    env, policy = problem("tsp"), small("tsp", 3)
    instance, other = draw(env, 3, 10, 3), draw(env, 3, 10, 4)
    mixed = other.clone()
    mixed["locs"][1] = instance["locs"][1]
    learned = []
    for batch in (instance, mixed):
        rng = torch.Generator().manual_seed(0)
        adapted = adapt(policy.encode(env.features(batch)), part, rng)
        search = ActiveSearch(part, samples=8)
        optimizer = torch.optim.Adam(adapted.parameters, 0.01)
        best = rollout(env, policy, batch, Greedy()).best()
        for _ in range(5):
            best = search.step(env, policy, batch, adapted, optimizer, best, rng)
        learned.append((best[0][1], best[1][1], *(p[1].detach() for p in adapted.parameters)))
    for mine, theirs in zip(*learned, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@every_part
@pytest.mark.parametrize("name", ["tsp", "cvrp", "op", "pctsp"])
def test_never_worse_and_the_weights_stay(name: str, part: Part) -> None:
    """The best is never worse than the start and keeps all rules; the policy's weights stay as they
    are, and no gradient is left on them."""
    env, policy = problem(name), small(name)
    before = {key: value.clone() for key, value in policy.state_dict().items()}
    instance = draw(env, 2, 9, 5)
    search = ActiveSearch(part, iterations=6, samples=8)
    found = search(env, policy, instance, torch.Generator().manual_seed(0))
    greedy = rollout(env, policy, instance, Greedy()).cost[:, 0]
    assert (found.cost[:, 1] <= greedy).all() and torch.equal(found.cost[:, 0], greedy)
    torch.testing.assert_close(found.cost, env.cost(instance, found.actions))
    for b in range(2):
        one = instance[b : b + 1]
        if not env.impossible(one):
            assert env.check(one, env.visits.routes(one, found.actions[b, 1].tolist())) == []
    assert all(torch.equal(value, before[key]) for key, value in policy.state_dict().items())
    assert all(parameter.grad is None for parameter in policy.parameters())


def test_deadlines() -> None:
    """Without time for the start there is nothing; afterwards a deadline just ends it."""
    env, policy = problem("cvrp"), small("cvrp")
    instance = draw(env, 1, 16, 6)
    with pytest.raises(OutOfTime):
        ActiveSearch()(env, policy, instance, deadline=time.perf_counter() - 1)
    begun = time.perf_counter()
    ActiveSearch(iterations=10**9)(env, policy, instance, deadline=begun + 0.5)
    assert time.perf_counter() < begun + 5


def test_what_cannot_learn_is_refused() -> None:
    """A policy without the part that is to learn, and options out of range, are named."""
    env = problem("tsp")
    with pytest.raises(InputError, match=r"active search 'tab': .* have no log_distance"):
        ActiveSearch("tab")(env, small_policy(env).eval(), draw(env, 1, 5, 0))
    with pytest.raises(InputError, match=r"active search 'lay': .* have no by_node"):
        ActiveSearch()(env, History(5), draw(env, 1, 5, 0))
    for options, message in (
        ({"iterations": 0}, "iterations: 0, expected 1 or more"),
        ({"samples": 1}, "samples: 1, expected 2 or more"),
        ({"learning_rate": 0.0}, "learning rate: 0.0, expected more than 0"),
        ({"imitation": -1.0}, "imitation: -1.0, expected 0 or more"),
    ):
        with pytest.raises(InputError, match=message):
            ActiveSearch(**options)


def test_steps_are_those_of_adam() -> None:
    """The search's own Adam goes where PyTorch's goes, and loads no compiler for it."""
    start = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    pairs = [start.clone().requires_grad_() for _ in range(2)]
    ours, theirs = Adam([pairs[0]], 0.05), torch.optim.Adam([pairs[1]], 0.05)
    for k in range(30):
        for value in pairs:
            value.grad = (value.detach() - k).sin()
        ours.step()
        theirs.step()
    torch.testing.assert_close(*pairs)
    assert not torch.equal(pairs[0], start)


@pytest.mark.skipif(native.library() is None, reason="no kernels built")
def test_kernels_learn_what_plain_pytorch_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """An iteration draws the same solutions and has the same gradients with a native rollout and
    step by step. (From there on the last bit decides a draw now and then: whole searches differ as
    those of two seeds do.)"""
    released = load_policy("cvrp")
    env, policy = released.env, released.policy
    instance = CVRPGenerator(20)(4, seeded(5))
    found = []
    for plain in (False, True):
        if plain:
            monkeypatch.setattr(type(policy), "drive", lambda *args: None)
        with torch.no_grad():
            embeddings = policy.encode(env.features(instance))
        adapted = adapt(embeddings, "lay", seeded(3))
        with torch.no_grad():
            adapted.parameters[2].normal_(generator=seeded(4)).mul_(0.05)
        embedded = adapted.embeddings()
        sampled = rollout(
            env, policy, instance, Sampling(), 8, rng=seeded(1), embeddings=embedded, record=True
        )
        assert sampled.trajectory is not None
        advantage = sampled.cost - sampled.cost.mean(-1, keepdim=True)
        likelihood = policy.evaluate(embedded, sampled.trajectory)
        gradient = torch.autograd.grad((advantage * likelihood).sum(), adapted.parameters)
        found.append((env.cost(instance, sampled.actions), gradient))
    torch.testing.assert_close(found[0][0], found[1][0])
    for mine, theirs in zip(found[0][1], found[1][1], strict=True):
        assert (mine - theirs).norm() < 1e-3 * theirs.norm()
