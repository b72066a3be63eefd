"""An encoder layer on a CPU: products by PyTorch, all between them by the kernels."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from nco.data.native import is_exactly
from nco.policies import native

if TYPE_CHECKING:
    from nco.policies.layers import EncoderLayer, Norm


PIECE = 64  # rows that are summed at once: see layer.cpp
PART = 1024  # rows that go through a layer at once where no gradient is kept


def fits(layer: "EncoderLayer", x: Tensor) -> bool:
    """Whether `encoder_layer` computes what the layer's own `forward` does, and is known to."""
    kinds = {layer.norm_attention.kind, layer.norm_feed_forward.kind}
    attention, width = layer.attention, x.shape[-1]
    training = layer.training or not torch.is_grad_enabled()
    if not native.is_feed_forward(layer.feed_forward):
        return False
    inner: nn.Linear = layer.feed_forward[0]  # type: ignore[index,assignment]
    return bool(
        not layer.pre_norm
        and (kinds == {"instance"} or (kinds == {"batch"} and training))
        and x.dtype in (torch.float32, torch.bfloat16)
        and not (torch.is_grad_enabled() and x.shape[1] > native.MOST_NODES_FOR_GRADIENT)
        and native.on_cpu(x)
        and native.in_known_precision()
        and native.is_linear(attention.qkv, False)
        and native.is_linear(attention.out, True)
        and all(map(_is_known, (layer.norm_attention, layer.norm_feed_forward)))
        and (width // attention.heads) % 16 == 0
        and width // attention.heads <= native.WIDEST
        and attention.qkv.out_features == 3 * attention.qkv.in_features
        and inner.out_features % 16 == 0
    )


def _is_known(norm: "Norm") -> bool:
    """Whether the kernels know all of a normalisation."""
    if norm.kind != "batch":
        return all(map(native.is_plain, norm.parameters()))
    stats = norm.batch
    return (
        is_exactly(stats, nn.BatchNorm1d)
        and stats.affine
        and stats.track_running_stats
        and stats.momentum is not None
        and all(map(native.is_plain, stats.parameters()))
        and stats.running_mean is not None
        and stats.running_var is not None
        and all(map(native.is_plain, (stats.running_mean, stats.running_var)))
    )


def encoder_layer(layer: "EncoderLayer", x: Tensor) -> Tensor:
    """
    ``[B, N, D]`` to ``[B, N, D]``, with sublayers normalised over nodes or over the batch.

    Under autocast to bfloat16 so are the products and what is kept for the gradient; sums and
    normalisations are in single precision.
    """
    attention, feed_forward = layer.attention, layer.feed_forward
    assert isinstance(feed_forward, nn.Sequential)
    weights = (
        *(attention.qkv.weight, attention.out.weight, attention.out.bias),
        *_affine(layer.norm_attention),
        *(p for k in (0, 2) for p in (feed_forward[k].weight, feed_forward[k].bias)),
        *_affine(layer.norm_feed_forward),
    )
    x, keep = x.float(), torch.is_grad_enabled()
    size = max(1, PART // x.shape[1])
    apart = layer.norm_attention.kind == "instance" or not layer.training
    if keep or not apart or len(x) <= size:
        found: Tensor = _Layer.apply(x, layer, keep, *weights)
        return found
    # A few instances at a time: what is between the products then stays in the cache.
    found = torch.empty_like(x, memory_format=torch.contiguous_format)
    for some, to in zip(x.split(size), found.split(size), strict=True):
        to.copy_(_Layer.apply(some, layer, keep, *weights))
    return found


def instance_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each channel of ``[B, N, D]`` normalised over the nodes; D is a multiple of 16."""
    found: Tensor = _InstanceNorm.apply(x, weight, bias)
    return found


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: "EncoderLayer", keep: bool, *weights: Tensor) -> Tensor:
        kind = torch.bfloat16 if native.in_half() else torch.float32
        with torch.autocast("cpu", enabled=False):
            x = x.contiguous()
            batch, nodes, _ = x.shape
            qkv, out, out_bias, w1, b1, inner, inner_bias, outer, outer_bias, w2, b2 = weights
            products = [t.to(kind) for t in (qkv, out, inner, outer)]
            rows = x.to(kind)
            packed = F.linear(rows, products[0]).unflatten(-1, (3, layer.attention.heads, -1))
            mixed, norms = native.self_attention_forward(packed)
            # PyTorch would copy each bias to every row first.
            more = F.linear(mixed, products[1])
            y, y_half, normal1, inverse1 = _add_norm(
                x, more, w1, b1, layer.norm_attention, keep, out_bias
            )
            hidden = F.linear(y_half, products[2])
            native.call("bias_relu", kind, hidden, inner_bias, batch * nodes, hidden.shape[-1])
            more = F.linear(hidden, products[3])
            z, _, normal2, inverse2 = _add_norm(
                y, more, w2, b2, layer.norm_feed_forward, keep, outer_bias
            )
        saved = (rows, packed, mixed, norms, y_half, normal1, inverse1, hidden, normal2, inverse2)
        ctx.save_for_backward(*saved, *products, w1, w2)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_z: Tensor) -> tuple[Tensor | None, ...]:
        rows, packed, mixed, norms, y_half, normal1, inverse1, hidden, normal2, inverse2 = (
            ctx.saved_tensors[:10]
        )
        qkv, out, inner, outer, w1, w2 = ctx.saved_tensors[10:]
        sums, sums_half, of_w2, of_b2 = _add_norm_backward(of_z, None, normal2, w2, inverse2)
        of_outer = _weight(sums_half, hidden)
        of_hidden = sums_half @ outer
        of_inner_bias = _relu_backward(of_hidden, hidden)
        of_inner = _weight(of_hidden, y_half)
        sums, sums_half, of_w1, of_b1 = _add_norm_backward(
            sums, of_hidden @ inner, normal1, w1, inverse1
        )
        of_out = _weight(sums_half, mixed)
        of_packed = native.self_attention_backward(packed, mixed, norms, sums_half @ out).flatten(2)
        of_qkv = _weight(of_packed, rows)
        native.call("add", rows.dtype, sums, of_packed @ qkv, sums.numel())
        # What a bias adds is taken away again by the normalisation behind it.
        nothing = torch.zeros_like(w1)
        return (
            *(sums, None, None, of_qkv, of_out, nothing, of_w1, of_b1),
            *(of_inner, of_inner_bias, of_outer, nothing, of_w2, of_b2),
        )


class _InstanceNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        y, _, normal, inverse = _add_norm(x.contiguous(), None, weight, bias)
        ctx.save_for_backward(normal, inverse, weight)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_y: Tensor) -> tuple[Tensor, ...]:
        normal, inverse, weight = ctx.saved_tensors
        of_x, _, of_weight, of_bias = _add_norm_backward(of_y, None, normal, weight, inverse)
        return of_x, of_weight, of_bias


def _affine(norm: "Norm") -> tuple[Tensor, Tensor]:
    """Factor and shift of each channel."""
    if norm.kind == "batch":
        return norm.batch.weight, norm.batch.bias
    assert norm.bias is not None
    return norm.weight, norm.bias


def _add_norm(
    x: Tensor,
    more: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    norm: "Norm | None" = None,
    keep: bool = True,
    shift: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """
    ``x + more + shift`` normalised, in four forms.

    As it is; as ``more`` is; before weight and bias; and one over sigma. A ``shift`` of channels is
    taken away again by the normalisation, unless that is by averages of before.
    """
    batch, nodes, width = x.shape
    stats = None if norm is None or norm.kind != "batch" else norm.batch
    groups, rows = (1, batch * nodes) if stats is not None else (batch, nodes)
    kind = x.dtype if more is None else more.dtype
    y, moments = torch.empty_like(x), x.new_empty(3, groups, width)
    half = y if kind == x.dtype else torch.empty_like(x, dtype=kind)
    normal = torch.empty_like(x, dtype=kind) if keep else x.new_empty(0)
    means, inverses, variances = moments
    fixed = stats is not None and not stats.training
    epsilon = 1e-5 if stats is None else stats.eps
    if fixed:
        assert stats is not None and stats.running_mean is not None
        assert stats.running_var is not None
        means[0] = stats.running_mean if shift is None else stats.running_mean - shift
        inverses[0] = (stats.running_var + epsilon).rsqrt()
    native.call(
        "add_norm", kind, x, more, weight, bias, y, None if half is y else half,
        normal if keep else None, means,
        inverses, variances, groups, rows, width, epsilon, int(fixed),
    )  # fmt: skip
    if stats is not None and stats.training:
        mean = means[0] if shift is None else means[0] + shift
        _follow(stats, mean, variances[0], rows)
    return y, half, normal, inverses


def _follow(stats: nn.BatchNorm1d, mean: Tensor, variance: Tensor, rows: int) -> None:
    """The running averages, as `BatchNorm1d` keeps them."""
    assert stats.running_mean is not None and stats.running_var is not None
    assert stats.num_batches_tracked is not None and stats.momentum is not None
    stats.num_batches_tracked.add_(1)
    stats.running_mean.lerp_(mean, stats.momentum)
    stats.running_var.lerp_(variance * (rows / max(rows - 1, 1)), stats.momentum)


def _add_norm_backward(
    of_y: Tensor, of_more: Tensor | None, normal: Tensor, weight: Tensor, inverses: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of the sum, twice: as it is and as `normal` is; of weight and bias."""
    batch, nodes, width = of_y.shape
    groups = len(inverses)
    rows = batch * nodes // groups
    of_sum = torch.empty_like(of_y, memory_format=torch.contiguous_format)
    half = of_sum if normal.dtype == of_y.dtype else torch.empty_like(normal)
    of_affine = of_y.new_empty(-(-rows // PIECE) if groups == 1 else groups, 2, width)
    native.call(
        "add_norm_backward", normal.dtype, of_y.contiguous(), of_more, normal, weight, inverses,
        of_sum, None if half is of_sum else half, of_affine, groups, rows, width,
    )  # fmt: skip
    of_weight, of_bias = of_affine.sum(0)
    return of_sum, half, of_weight, of_bias


def _relu_backward(of_out: Tensor, out: Tensor) -> Tensor:
    """Gradient before the ReLU, in place; returns that of the bias before it."""
    width = out.shape[-1]
    rows = out.numel() // width
    of_bias = out.new_empty(-(-rows // PIECE), width, dtype=torch.float32)
    native.call("relu_backward", out.dtype, of_out, out, of_bias, rows, width)
    return of_bias.sum(0)


def _weight(of_out: Tensor, rows: Tensor) -> Tensor:
    """Gradient of the weight of a linear layer, in single precision."""
    return (of_out.flatten(0, 1).mT @ rows.flatten(0, 1)).float()
