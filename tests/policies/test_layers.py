"""The building blocks, one by one, against plain definitions."""

import copy

import pytest
import torch
from torch import nn

from nco.envs import problem
from nco.policies import AttentionPolicy
from nco.policies.decoder import _row
from nco.policies.encoder import AttentionEncoder, NodeEmbedding
from nco.policies.layers import EncoderLayer, Norm, SwiGLU, attend, rows
from tests.envs.random_instances import draw
from tests.policies import naive
from tests.policies.small import small_policy


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_rows_equal_naive_gathers() -> None:
    """The query part of K context nodes is the sum of one table row each, the last one for none."""
    tables, nodes = randn(2, 3, 6, 4), torch.tensor([[[0, 4], [-1, 2]], [[-1, -1], [1, 1]]] * 2)[:3]
    found = rows(tables, nodes)
    for b in range(3):
        for r in range(2):
            expected = sum(tables[k, b, node] for k, node in enumerate(nodes[b, r].tolist()))
            torch.testing.assert_close(found[b, r], expected)


def test_gradients_of_shared_rows_add_up() -> None:
    """Gradients of shared rows add up in the table, as they do for single gathers."""
    tables = randn(1, 2, 4, 3).requires_grad_()
    nodes = torch.tensor([[[1], [1], [-1]], [[0], [2], [2]]])
    weight = randn(2, 3, 3, seed=1)
    (rows(tables, nodes) * weight).sum().backward()
    expected = torch.zeros(2, 4, 3)
    for b in range(2):
        for r, node in enumerate(nodes[b, :, 0].tolist()):
            expected[b, node] += weight[b, r]
    assert tables.grad is not None
    torch.testing.assert_close(tables.grad[0], expected)


def test_row_of_the_current_node() -> None:
    """The last context node names the row of the distance table; without one it is zero."""
    table, nodes = randn(2, 5, 5), torch.tensor([[[0, 4], [1, -1]], [[-1, 2], [3, 0]]])
    found = _row(table, nodes)
    assert torch.equal(found[0, 0], table[0, 4]) and torch.equal(found[0, 1], torch.zeros(5))
    assert torch.equal(found[1, 0], table[1, 2]) and torch.equal(found[1, 1], table[1, 0])


@pytest.mark.parametrize("masked", [False, True])
def test_attention_equals_its_definition(masked: bool) -> None:
    """Softmax of scaled products over the nodes that take part, per instance, head and query."""
    q, k, v = randn(2, 2, 3, 4), randn(2, 2, 5, 4, seed=1), randn(2, 2, 5, 4, seed=2)
    mask = (randn(2, 1, 3, 5, seed=3) > 0) | (torch.arange(5) == 2)
    found = attend(q, k, v, mask if masked else None)
    for b in range(2):
        for h in range(2):
            for i in range(3):
                part = [j for j in range(5) if mask[b, 0, i, j] or not masked]
                weights = naive.softmax([q[b, h, i] @ k[b, h, j] / 2 for j in part])
                expected = sum(w * v[b, h, j] for w, j in zip(weights, part, strict=True))
                torch.testing.assert_close(found[b, h, i], expected, rtol=1e-5, atol=1e-6)


def test_attention_keeps_the_type_of_its_values() -> None:
    """In bfloat16 the mixture is computed in float32 and returned in bfloat16."""
    q, k, v = (randn(1, 2, 3, 4, seed=s).bfloat16() for s in range(3))
    with torch.autocast("cpu", torch.bfloat16):
        found = attend(q, k, v)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, attend(q.float(), k.float(), v.float()).bfloat16())


@pytest.mark.parametrize("kind", ["batch", "instance", "layer", "none"])
@pytest.mark.parametrize("training", [False, True])
def test_norms_are_those_of_the_field(kind: str, training: bool) -> None:
    """Each normalisation is PyTorch's own of that name, affine part included."""
    norm = Norm(4, kind).train(training)
    for seed, parameter in enumerate(norm.parameters()):
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(seed))
    x = 3 + 2 * randn(3, 5, 4)
    expected = naive.normalise(copy.deepcopy(norm), x)
    torch.testing.assert_close(norm(x), expected, rtol=1e-4, atol=1e-5)


def test_encoder_equals_loops() -> None:
    """The encoder, depot embedding included, is what loops over heads and nodes compute."""
    env = problem("cvrp")
    features = env.features(draw(env, 2, 6, 0))
    policy = small_policy(env, 0, norm="layer")
    assert isinstance(policy.encoder, AttentionEncoder)
    with torch.no_grad():
        found, expected = policy.encoder(features), naive.encode(policy.encoder, features)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_ungated_layers_begin_as_identity() -> None:
    """Without normalisation a new layer passes its input on, so that deep stacks can train."""
    with torch.random.fork_rng():
        layer = EncoderLayer(8, 2, 12, "none")
    x = randn(2, 5, 8)
    assert torch.equal(layer(x), x)


def test_initial_weights_are_those_of_the_paper() -> None:
    """Every matrix is uniform within one over the root of its last dimension."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        policy = AttentionPolicy(problem("cvrp"), dim=64, heads=8, layers=1, distance_bias=True)
    for name, parameter in policy.named_parameters():
        if parameter.ndim > 1:
            bound = parameter.shape[-1] ** -0.5
            assert parameter.abs().max() <= bound, name
            if parameter.numel() > 1000:  # variance of a uniform distribution: bound^2 / 3
                assert float(parameter.detach().var()) == pytest.approx(bound**2 / 3, rel=0.1), name


def test_bfloat16_scores_are_normalised_in_float32() -> None:
    """Under autocast log-probabilities are float32, sum to one, and are near those in float32."""
    env = problem("sdvrp")
    instance = draw(env, 2, 6, 1)
    policy = small_policy(env, 1, norm="instance", residual=True, distance_bias=True)
    context = env.context(env.reset(instance, 2))
    with torch.no_grad():
        exact, _ = policy.step(policy.encode(env.features(instance)), context)
        with torch.autocast("cpu", torch.bfloat16):
            found, _ = policy.step(policy.encode(env.features(instance)), context)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(2, 2))
    torch.testing.assert_close(found.exp(), exact.exp(), rtol=0, atol=0.1)


def test_rms_norm_and_gated_layer_equal_their_formulas() -> None:
    """RMSNorm divides by the root mean square; SwiGLU is silu(x A) * (x B), times C."""
    x = randn(2, 3, 8)
    norm = Norm(8, "rms")
    expected = x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(norm(x), expected)
    gated = SwiGLU(8, 5)
    a, b = (gated.inner.weight[:5], gated.inner.weight[5:])
    inner = (x @ a.T) * torch.sigmoid(x @ a.T) * (x @ b.T)
    torch.testing.assert_close(gated(x), inner @ gated.outer.weight.T)


def test_pre_norm_leaves_the_sum_unnormalised() -> None:
    """With pre-norm each sublayer sees normalised embeddings and adds to the raw ones."""
    x = randn(2, 3, 8)
    layer = EncoderLayer(8, 2, 12, "rms", pre_norm=True, activation="swiglu")
    middle = x + layer.attention(layer.norm_attention(x))
    expected = middle + layer.feed_forward(layer.norm_feed_forward(middle))
    torch.testing.assert_close(layer(x), expected)


def test_depots_show_their_vehicles_and_limits() -> None:
    """Two instances that differ only in a limit are embedded differently, at the depot; without
    vehicle features they are not."""
    env = problem("vrpl")
    instance = draw(env, 2, 6, 0)
    instance["distance_limit"] = instance["distance_limit"][:1] * torch.tensor([1.0, 2.0])
    for name in ("locs", "demand", "capacity"):
        instance[name] = instance[name][:1].expand_as(instance[name]).clone()
    features = env.features(instance)
    for sees in (True, False):
        embedded = NodeEmbedding(env.spec, 8, sees)(features)
        assert torch.equal(embedded[0, 0], embedded[1, 0]) is not sees
        assert torch.equal(embedded[0, 1:], embedded[1, 1:])
