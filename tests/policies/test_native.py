"""The CPU kernels against plain PyTorch, forwards and backwards."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nco.data.generators import CVRPGenerator, TSPGenerator
from nco.data.seeding import seeded
from nco.decoding import Greedy, MultiStart, Sampling, rollout
from nco.envs import RoutingEnv, problem
from nco.policies import AttentionPolicy, native
from nco.policies.base import Policy
from nco.policies.layers import Norm, attend, point
from tests.kernels import every_build, without_kernels
from tests.policies.small import small_policy

GENERATORS = {"tsp": TSPGenerator, "cvrp": CVRPGenerator, "sdvrp": CVRPGenerator}
WIDE = {"dim": 32, "heads": 2}  # heads of 16 channels: what the kernels are for
OPTIONS = [
    {},
    {"residual": True, "distance_bias": True},
    {"graph_context": False, "project_logit_keys": False},
    {"neighbours": 5, "distance_bias": True},
]
pytestmark = every_build


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def some(*shape: int, seed: int = 9) -> Tensor:
    """A mask that allows the first node and about a third of the others."""
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.3
    mask[..., 0] = True
    return mask


def gradients(value: Tensor, inputs: list[Tensor], seed: int = 5) -> tuple[Tensor, ...]:
    value = value.where(value.isfinite(), torch.zeros(()))
    return torch.autograd.grad((value * randn(*value.shape, seed=seed)).sum(), inputs)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "sizes", [(3, 2, 9, 20, 16), (2, 8, 17, 51, 16), (1, 4, 1, 101, 32), (2, 1, 8, 3, 128)]
)
def test_attention_equals_pytorch(sizes: tuple[int, ...], masked: bool) -> None:
    """The mixture and its gradients, whatever is left over from blocks of rows and vectors."""
    batch, heads, queries, nodes, d = sizes
    inputs = [
        randn(batch, count, heads, d, seed=k).requires_grad_()
        for k, count in enumerate((queries, nodes, nodes))
    ]
    q, k, v = (t.transpose(1, 2) for t in inputs)
    mask = some(batch, 1, queries, nodes) if masked else None
    assert native.fits_attention(q, k, v, mask)
    found, expected = native.attention(q, k, v, mask), F.scaled_dot_product_attention(q, k, v, mask)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    pairs = zip(gradients(found, inputs), gradients(expected, inputs), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_attention_goes_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few scores, and gradients of wide heads or many nodes, are left to PyTorch."""
    called = []
    monkeypatch.setattr(native, "attention", lambda q, *_: called.append(q.shape) or q)
    large, small = randn(4, 8, 40, 16), randn(1, 8, 9, 16)
    wide, many = randn(4, 8, 40, 64), randn(1, 2, 600, 16)
    for q in (large, small, wide, many):
        attend(q, q, q)
        graded = q.clone().requires_grad_()
        attend(graded, graded, graded)
    assert called == [large.shape, large.shape, wide.shape, many.shape]


def test_attention_survives_large_scores() -> None:
    """Scores in the hundreds neither overflow nor lose the largest one."""
    q, k, v = (60 * randn(1, 1, 9, 16, seed=s) for s in range(3))
    found = native.attention(q, k, v)
    torch.testing.assert_close(found, F.scaled_dot_product_attention(q, k, v), rtol=1e-4, atol=1e-3)


def test_packed_self_attention_equals_pytorch() -> None:
    """Queries, keys and values side by side in one tensor, and one gradient for it."""
    packed = randn(3, 11, 3, 2, 16).requires_grad_()
    q, k, v = packed.permute(2, 0, 3, 1, 4)
    expected = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    found = native.self_attention(packed)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    (mine,), (theirs,) = gradients(found, [packed]), gradients(expected, [packed])
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("nodes", [1, 16, 51])
def test_pointer_equals_its_definition(nodes: int, biased: bool) -> None:
    """Bounded logits, masked and normalised; what is forbidden has no probability, no gradient."""
    scores = (30 * randn(4, 5, nodes)).requires_grad_()
    bias = randn(4, 5, nodes, seed=1).requires_grad_() if biased else None
    mask = some(4, 5, nodes)
    found = point(scores, bias, mask, 10.0, 0.1)
    logits = 10 * (scores * 0.1).tanh() + (0 if bias is None else bias)
    expected = logits.masked_fill(~mask, -torch.inf).log_softmax(-1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    inputs = [scores] if bias is None else [scores, bias]
    pairs = zip(gradients(found, inputs), gradients(expected, inputs), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
        assert torch.equal(mine[~mask], torch.zeros_like(mine[~mask]))


def test_instance_norm_equals_pytorch() -> None:
    """Values and all gradients are those of InstanceNorm1d, far from the origin too."""
    norm = Norm(32, "instance")
    with torch.no_grad():
        norm.weight.copy_(randn(32)), norm.bias.copy_(randn(32, seed=1))
    x = (7 + 3 * randn(3, 13, 32, seed=2)).requires_grad_()
    expected = F.instance_norm(x.mT, weight=norm.weight, bias=norm.bias).mT
    torch.testing.assert_close(norm(x), expected, rtol=1e-4, atol=1e-5)
    inputs = [x, norm.weight, norm.bias]
    pairs = zip(gradients(norm(x), inputs), gradients(expected, inputs), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)


def step_by_step(policy: Policy, env: RoutingEnv, instance, actions: Tensor) -> Tensor:
    """Log-likelihood by a decoding loop, without any kernel, ``[B, R]``."""
    embeddings = policy.encode(env.features(instance))
    state, total = env.reset(instance, actions.shape[1]), torch.zeros(actions.shape[:2])
    for action in actions.unbind(-1):
        log_probs, _ = policy.step(embeddings, env.context(state))
        chosen = log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1)
        total = total + chosen.where(~env.done(state), torch.zeros(()))
        state = env.step(state, action)
    return total


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", GENERATORS)
def test_losses_and_gradients_are_those_of_the_plain_loop(
    name: str, options: dict, norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The likelihood of sampled solutions, and its gradient for every weight, equal those of a
    decoding loop in plain PyTorch to 1e-4, in parts of two instances or all at once."""
    env = problem(name)
    policy = small_policy(env, 3, norm=norm, **WIDE | options)
    instance = GENERATORS[name](12)(5, seeded(4))
    with torch.no_grad():
        driven = rollout(env, policy, instance, Sampling(), 4, rng=seeded(5), record=True)
    assert driven.trajectory is not None
    weight, parameters = randn(5, 4), list(policy.parameters())
    found = []
    for rows in (2 * 4 * driven.actions.shape[-1], 2**20):
        monkeypatch.setattr("nco.policies.teacher_forcing.ROWS", rows)
        policy.zero_grad()
        likelihood = policy.evaluate(policy.encode(env.features(instance)), driven.trajectory)
        (weight * likelihood).sum().backward()
        found.append((likelihood, [p.grad for p in parameters]))
    without_kernels(monkeypatch)
    expected = step_by_step(policy, env, instance, driven.actions)
    theirs = torch.autograd.grad((weight * expected).sum(), parameters, materialize_grads=True)
    largest = max(float(g.abs().max()) for g in theirs)
    for likelihood, mine in found:
        torch.testing.assert_close(likelihood, expected, rtol=1e-4, atol=1e-4)
        for ours, other in zip(mine, theirs, strict=True):
            ours = torch.zeros_like(other) if ours is None else ours
            torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-4 * largest)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", GENERATORS)
def test_solutions_are_the_same_without_kernels(
    name: str, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Greedy and multi-start decoding find the same solutions with and without kernels."""
    env = problem(name)
    policy: AttentionPolicy = small_policy(env, 1, norm="instance", **WIDE | options).eval()
    instance = GENERATORS[name](20)(3, seeded(6))

    def solve() -> list[Tensor]:
        return [
            rollout(env, policy, instance, Greedy()).cost,
            MultiStart(7)(env, policy, instance).cost,
        ]

    with_kernels = solve()
    without_kernels(monkeypatch)
    for mine, plain in zip(with_kernels, solve(), strict=True):
        torch.testing.assert_close(mine, plain)
