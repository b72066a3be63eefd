"""A whole encoder layer by the kernels against its plain form."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from nco.policies import fused, native
from nco.policies.layers import EncoderLayer
from tests.kernels import every_build, without_kernels
from tests.policies.test_native import randn

pytestmark = every_build
SIZES = [(5, 33), (1, 20), (3, 1)]  # instances, nodes: more and less than a piece of rows


def new_layer(norm: str) -> EncoderLayer:
    torch.manual_seed(3)
    layer = EncoderLayer(32, 2, 48, norm)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def through(layer: EncoderLayer, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The layer's output, and gradients for ``x`` and every parameter."""
    x = x.clone().requires_grad_()
    y = layer(x)
    found = torch.autograd.grad((y * randn(*y.shape, seed=4)).sum(), [x, *layer.parameters()])
    return y.detach(), list(found)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_layer_equals_its_plain_form(
    norm: str, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values, all gradients and running averages, in training."""
    if sizes[0] * sizes[1] == 3 and norm == "batch":
        pytest.skip("three rows vary too little for a comparison")
    layer, x = new_layer(norm), 3 + 2 * randn(*sizes, 32)
    plain = deepcopy(layer)
    assert fused.fits(layer, x)
    y, mine = through(layer, x)
    without_kernels(monkeypatch)
    expected, theirs = through(plain, x)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    largest = max(float(g.abs().max()) for g in theirs)
    for ours, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-3, atol=1e-4 * largest)
    for ours, other in zip(layer.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("part", [100, 1024])
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_layer_in_evaluation_equals_its_plain_form(
    norm: str, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With running averages, which stay as they are, and some instances at a time or all."""
    monkeypatch.setattr(fused, "PART", part)
    layer = new_layer(norm)
    layer(2 + randn(4, 9, 32))
    layer.eval()
    x, before = randn(3, 70, 32, seed=8), [b.clone() for b in layer.buffers()]
    with torch.no_grad():
        found = layer(x)
        without_kernels(monkeypatch)
        torch.testing.assert_close(found, layer(x), rtol=1e-4, atol=1e-5)
    assert all(map(torch.equal, before, layer.buffers()))


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_layer_in_bfloat16_errs_no_more_than_pytorch(
    norm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under autocast, values and gradients are as near to the exact ones as PyTorch's are."""
    layer, x = new_layer(norm), randn(6, 40, 32)
    y, exact = through(deepcopy(layer), x)
    with torch.autocast("cpu", torch.bfloat16):
        mine = through(deepcopy(layer), x)
        without_kernels(monkeypatch)
        plain = through(layer, x)
    assert mine[0].dtype == torch.float32
    for ours, other, right in zip(
        [mine[0], *mine[1]], [plain[0], *plain[1]], [y, *exact], strict=True
    ):
        assert (ours - right).norm() <= 1.5 * (other - right).norm() + 1e-3 * right.norm()


def test_what_goes_in_may_be_bfloat16() -> None:
    """Embeddings of nodes come in bfloat16 under autocast; the residual stream is not."""
    layer, x = new_layer("instance"), randn(2, 9, 32).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert fused.fits(layer, x)
        assert torch.equal(layer(x), layer(x.float()))


def test_bfloat16_attention_equals_that_of_its_numbers() -> None:
    """The kernel for bfloat16 computes in single precision and rounds at the end."""
    qkv = randn(2, 19, 3, 2, 16).bfloat16()
    found = native.self_attention(qkv)
    expected = native.self_attention(qkv.float())
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected.bfloat16())


def test_threads_share_the_rows_of_one_large_instance() -> None:
    """Two threads find what one does."""
    layer, x = new_layer("instance").eval(), randn(1, 1100, 32)
    before, found = torch.get_num_threads(), []
    try:
        with torch.no_grad():
            for threads in (1, 2):
                torch.set_num_threads(threads)
                found.append(layer(x))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)


def test_layers_that_do_not_fit_are_left_alone() -> None:
    """Other normalisations and gradients through running averages go the plain way."""
    x = randn(2, 5, 32)
    assert not fused.fits(new_layer("layer"), x)
    assert not fused.fits(EncoderLayer(32, 2, 48, "instance", pre_norm=True), x)
    assert not fused.fits(EncoderLayer(32, 2, 48, "instance", activation="swiglu"), x)
    assert not fused.fits(new_layer("batch").eval(), x)
    with torch.no_grad():
        assert fused.fits(new_layer("batch").eval(), x)
