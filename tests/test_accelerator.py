"""Loops on a device that is no CPU: every tensor is there, and waits for it are few and known."""

import math

import pytest
import torch

from nco.data import make_instance
from nco.data.metric import Metric, pairwise, selected
from nco.data.seeding import seeded
from nco.decoding import Augment, Beam, MultiStart, Search, SimulationGuided, Single
from nco.decoding.rollout import CHECK_EVERY, replay, rollout
from nco.decoding.strategies import Greedy, Sampling
from nco.envs import PROBLEMS, DepotRoutes, RoutingEnv, problem
from nco.envs.constraints import Capacity, TimeWindows
from nco.envs.visits.tour import Tour
from nco.policies import AttentionPolicy, ForesightPolicy, PointerNetwork, Policy, teacher_forcing
from tests.accelerator import DEVICE, on_meta, placed
from tests.envs.random_instances import draw
from tests.policies.small import SMALL, small_policy

SOME = ["tsp", "cvrp", "sdvrp", "op", "pctsp", "vrptw", "vrpl", "pdptw", "mtvrp", "top", "anyvrp"]
NAMES = [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in PROBLEMS]
# Waits of a reset at most: of tables whose size or precision depends on values, and whether ways
# are missing or detours shorter (pairs with a matrix have the most).
RESET = 8


def looks(steps: int) -> int:
    """Waits of a decoding loop: every few steps whether all are done or lost, and at the end."""
    return math.ceil(steps / CHECK_EVERY) + 1


@pytest.mark.parametrize("name", NAMES)
def test_rollouts_wait_every_few_steps(name: str) -> None:
    """
    Greedy rollouts of ten nodes, recorded, and their likelihood with its gradient: no CPU tensor
    among those of the device, and no wait per step.
    """
    env = problem(name)
    policy = small_policy(env).to(DEVICE).train()
    instance = placed(draw(env, 2, 10, 3))
    with on_meta() as host:
        found = rollout(env, policy, instance, Greedy(), 2, record=True)
    steps = found.actions.shape[-1]
    assert steps >= 9 and sum(host.waits.values()) <= looks(steps) + RESET
    with on_meta() as host:
        embeddings = policy.encode(env.features(instance))
        assert found.trajectory is not None
        likelihood = policy.evaluate(embeddings, found.trajectory)
        (likelihood * (found.cost - found.cost.mean(-1, keepdim=True))).mean().backward()
    assert not host.waits
    assert all(p.grad is not None for p in policy.decoder.parameters())


@pytest.mark.parametrize("lattice", [False, True])
@pytest.mark.parametrize("name", ["cvrp", "vrptw", "vrpl", "mdvrptw", "pdptw", "atsp"])
def test_rounded_distances_and_matrices_wait_no_more(name: str, lattice: bool) -> None:
    """Neither a metric nor a matrix makes legs, masks or costs wait step by step."""
    env = problem(name)
    policy = small_policy(env).to(DEVICE).eval()
    instance = draw(env, 2, 10, 2, lattice, detours=not lattice)
    with on_meta() as host:
        found = rollout(env, policy, placed(instance), Greedy(), 2)
    assert sum(host.waits.values()) <= looks(found.actions.shape[-1]) + RESET


SEARCHES = [
    (Single(Sampling(), samples=3), 1),
    (MultiStart(4), 1),
    (Augment(MultiStart(2), views=4), 1),
    (Beam(3), 1),
    # A simulation from every step: each is a loop of its own.
    (SimulationGuided(2, 2), 40),
]


@pytest.mark.parametrize(("search", "loops"), SEARCHES)
@pytest.mark.parametrize("name", ["cvrp", "op"])
def test_searches_wait_every_few_steps(name: str, search: Search, loops: int) -> None:
    """What every search asks of the device is bounded by its decoding loops."""
    env = problem(name)
    policy = small_policy(env).to(DEVICE).eval()
    instance = placed(draw(env, 2, 10, 3))
    with on_meta() as host:
        found = search(env, policy, instance)
        found.best()
    steps = env.max_steps(instance)
    assert found.actions.shape[-1] <= steps
    assert sum(host.waits.values()) <= loops * (looks(steps) + RESET)


@pytest.mark.parametrize(
    ("kind", "options", "env"),
    [
        (ForesightPolicy, SMALL, RoutingEnv(DepotRoutes(), [Capacity(), TimeWindows(ahead=True)])),
        (PointerNetwork, {"dim": 16}, RoutingEnv(Tour())),
    ],
)
def test_other_policies(kind: type[Policy], options: dict[str, int], env: RoutingEnv) -> None:
    """The same for policies with a state or with features that change."""
    with torch.random.fork_rng():
        policy = kind(env, **options)
    policy = policy.to(DEVICE).eval()
    with on_meta() as host:
        found = rollout(env, policy, placed(draw(env, 2, 10, 3)), Greedy(), 2)
    assert sum(host.waits.values()) <= looks(found.actions.shape[-1]) + RESET


def test_the_counter_counts() -> None:
    """A wait per step, and a tensor of another device, do not go unseen."""
    values = torch.ones(3, device=DEVICE)
    with on_meta() as host:
        for _ in range(5):
            assert not bool((values > 0).any())
        assert int(values.long().sum()) == 1
    assert sum(host.waits.values()) == 6
    with on_meta(), pytest.raises(AssertionError, match="a CPU tensor"):
        values + torch.ones(3)
    with on_meta(), pytest.raises((RuntimeError, NotImplementedError)):
        values.nonzero()


def test_every_metric_without_a_look() -> None:
    """Legs off the CPU follow every metric by selection: the same numbers, on the CPU, by both."""
    rng = torch.Generator().manual_seed(5)
    locs = 60 * torch.rand(len(Metric), 6, 2, generator=rng).double()
    instance = make_instance(locs=locs, metric=torch.tensor([int(kind) for kind in Metric]))
    start, end = locs.unsqueeze(2), locs.unsqueeze(1)
    assert torch.equal(selected(start, end, instance["metric"]), pairwise(instance))


def test_likelihoods_in_parts_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off the CPU, parts that fit in memory give the likelihood and the gradient of one pass."""
    env = problem("cvrp")
    policy = small_policy(env).train()
    instance = draw(env, 5, 8, 1)
    found = rollout(env, policy, instance, Sampling(), 3, record=True, rng=seeded(1))
    seen = replay(env, instance, found.actions)
    results = []
    for scores in (2**28, 1):
        monkeypatch.setattr(teacher_forcing, "SCORES", scores)
        policy.zero_grad()
        cache = policy.encode(env.features(instance))
        plain = super(AttentionPolicy, policy).evaluate
        likelihood = teacher_forcing.evaluate_in_memory(plain, cache, seen, policy.decoder.heads)
        likelihood.sum().backward()
        gradients = [p.grad.clone() for p in policy.parameters() if p.grad is not None]
        results.append([likelihood.detach(), *gradients])
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", ["tsp", "cvrp", "vrptw", "vrpl", "pdptw", "op", "mdvrptw"])
def test_a_gpu_decodes_as_the_cpu_does(name: str) -> None:
    """Rounded distances, so that ties are ties on both: the same routes at the same costs."""
    env = problem(name)
    policy = small_policy(env, scale=3.0).eval()
    instance = draw(env, 4, 10, 3, lattice=True)
    actions = rollout(env, policy, instance, Greedy(), 2).actions
    found = rollout(env, policy.cuda(), instance.cuda(), Greedy(), 2)
    torch.testing.assert_close(found.cost.cpu(), env.cost(instance, found.actions.cpu()))
    for row, (mine, theirs) in enumerate(
        zip(actions[:, 0], found.actions.cpu()[:, 0], strict=True)
    ):
        one = instance[row : row + 1]
        assert env.visits.routes(one, mine.tolist()) == env.visits.routes(one, theirs.tolist())
