"""
Kernels of the networks for the CPU.

PyTorch has no fast path for attention with small heads and few nodes on a CPU, and takes many calls
for every step of a rollout. The folder `kernels` has both. Where none are built (see
`nco.data.native`), everything is plain PyTorch and gives the same results. Other devices never come
here.
"""

import ctypes

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nco.data.native import arguments, at, is_exactly, library, threads

WIDEST = 128  # channels of a head that the kernels have room for

# Where PyTorch's own attention is faster (benchmarks/kernels.py), it is taken.
FEWEST_SCORES = 10_000  # below, calling a kernel costs more than it saves
# For a gradient of many nodes or wide heads, whole matrix products beat blocks of eight rows.
MOST_NODES_FOR_GRADIENT = 512
MOST_CHANNELS_FOR_GRADIENT = 32


def fits(*tensors: Tensor) -> bool:
    """Whether the kernels take such tensors: in single precision, on the CPU."""
    return all(t.dtype == torch.float32 for t in tensors) and on_cpu(*tensors)


def on_cpu(*tensors: Tensor) -> bool:
    """Whether there are kernels where the tensors are."""
    plain = all(t.device.type == "cpu" and t.numel() for t in tensors)
    return plain and not torch.compiler.is_compiling() and library() is not None


def fits_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> bool:
    """Whether `attention` takes ``[B, H, Q, d]``, ``[B, H, N, d]`` twice and the mask."""
    shaped = q.ndim == k.ndim == v.ndim == 4 and q.shape[-1] % 16 == 0 and q.shape[-1] <= WIDEST
    if not shaped or (mask is not None and mask.shape != (len(q), 1, q.shape[2], k.shape[2])):
        return False
    return fits(q, k, v)


def fits_self_attention(qkv: Tensor) -> bool:
    """Whether `self_attention` takes ``[B, N, 3, H, d]``."""
    fitting = qkv.shape[-1] % 16 == 0 and qkv.shape[-1] <= WIDEST and on_cpu(qkv)
    return fitting and qkv.dtype in (torch.float32, torch.bfloat16)


def attention_pays(batch: int, queries: int, nodes: int, heads: int, d: int, graded: bool) -> bool:
    """Whether the kernels are at least as fast as PyTorch's attention of these sizes."""
    if graded and (nodes > MOST_NODES_FOR_GRADIENT or d > MOST_CHANNELS_FOR_GRADIENT):
        return False
    return batch * heads * queries * nodes >= FEWEST_SCORES


def needs_gradient(*tensors: Tensor) -> bool:
    """Whether a result of these will have one."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """See `nco.policies.layers.attend`; the result is ``[B, H, Q, d]``, heads side by side."""
    found: Tensor = _Attention.apply(q, k, v, mask)
    return found


def self_attention(qkv: Tensor) -> Tensor:
    """Attention of nodes to each other, ``[B, N, 3, H, d]`` to ``[B, N, H * d]`` of its kind."""
    found: Tensor = _SelfAttention.apply(qkv)
    return found


def pointer(x: Tensor, extra: Tensor | None, mask: Tensor, clip: float, scale: float) -> Tensor:
    """Log-softmax of ``clip * tanh(scale * x) + extra`` over what the mask allows, all [.., N]."""
    found: Tensor = _Pointer.apply(x, extra, mask, clip, scale)
    return found


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:  # type: ignore[no-untyped-def]
        q, k, v = (_side_by_side(t.transpose(1, 2)) for t in (q, k, v))
        allowed = None if mask is None else mask.squeeze(1).contiguous()
        out, norms = _forward(q, k, v, allowed)
        ctx.save_for_backward(q, k, v, out, norms, allowed)
        return out.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx, of_out: Tensor):  # type: ignore[no-untyped-def]
        q, k, v, out, norms, allowed = ctx.saved_tensors
        grads = [torch.empty_like(t, memory_format=torch.contiguous_format) for t in (q, k, v)]
        grads[1].zero_()
        grads[2].zero_()
        _backward(q, k, v, allowed, out, norms, of_out.transpose(1, 2), *grads)
        return *(g.transpose(1, 2) for g in grads), None


class _SelfAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, qkv: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        qkv = qkv.contiguous()
        out, norms = self_attention_forward(qkv)
        ctx.save_for_backward(qkv, out, norms)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, of_out: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        qkv, out, norms = ctx.saved_tensors
        return self_attention_backward(qkv, out, norms, of_out.contiguous())


class _Pointer(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, x: Tensor, extra: Tensor | None, mask: Tensor, clip: float, scale: float
    ) -> Tensor:
        x, mask = x.contiguous(), mask.contiguous()
        extra = None if extra is None else extra.contiguous()
        out = torch.empty_like(x)
        rows = x.numel() // x.shape[-1]
        kernels().pointer(
            *map(at, (x, extra, mask, out)), *map(_int, (rows, x.shape[-1])), _float(scale),
            _float(clip), threads(x.numel()),
        )  # fmt: skip
        ctx.save_for_backward(x, out)
        ctx.clip, ctx.scale, ctx.extra = clip, scale, extra is not None
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, of_out: Tensor):  # type: ignore[no-untyped-def]
        x, out = ctx.saved_tensors
        of_x = torch.empty_like(x)
        of_extra = torch.empty_like(x) if ctx.extra else None
        rows = x.numel() // x.shape[-1]
        kernels().pointer_backward(
            *map(at, (x, out, of_out.contiguous(), of_x, of_extra)),
            *map(_int, (rows, x.shape[-1])), _float(ctx.scale), _float(ctx.clip),
            threads(x.numel()),
        )  # fmt: skip
        return of_x, of_extra, None, None, None


def self_attention_forward(qkv: Tensor) -> tuple[Tensor, Tensor]:
    """The mixture ``[B, N, H * d]``, and what `self_attention_backward` needs."""
    batch, nodes, _, heads, d = qkv.shape
    out, norms = qkv.new_empty(batch, nodes, heads * d), _norms(qkv)
    call("self_attention", qkv.dtype, qkv, out, norms, batch, nodes, heads, d)
    return out, norms


def self_attention_backward(qkv: Tensor, out: Tensor, norms: Tensor, of_out: Tensor) -> Tensor:
    """Gradient of ``qkv``, given that of the mixture."""
    batch, nodes, _, heads, d = qkv.shape
    of_qkv = torch.empty_like(qkv)
    tensors = (qkv, out, norms, of_out, of_qkv)
    call("self_attention_backward", qkv.dtype, *tensors, batch, nodes, heads, d)
    return of_qkv


def _norms(qkv: Tensor) -> Tensor:
    batch, nodes, _, heads, _ = qkv.shape
    return qkv.new_empty(batch, nodes, heads, 2, dtype=torch.float32)


def _forward(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """``[B, Q, H, d]`` and ``[B, N, H, d]`` to the mixture and the norms ``[B, Q, H, 2]``."""
    batch, queries, heads, d = q.shape
    out, norms = q.new_empty(q.shape), q.new_empty(batch, queries, heads, 2)
    parts = [part for t in (q, k, v) for part in (at(t), *_strides(t))]
    masked = (at(mask), *(_strides(mask) if mask is not None else (_int(0), _int(0))))
    sizes = map(_int, (batch, queries, k.shape[1], heads, d))
    workers = threads(batch * queries * k.shape[1] * heads)
    kernels().attention(*parts, *masked, at(out), at(norms), *sizes, workers)
    return out, norms


def _backward(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, out: Tensor, norms: Tensor,
    of_out: Tensor, of_q: Tensor, of_k: Tensor, of_v: Tensor,
) -> None:  # fmt: skip
    """Fills the gradients, in the layout of `_forward`; those of keys and values start at zero."""
    batch, queries, heads, d = q.shape
    of_out = of_out.contiguous()
    parts = [part for t in (q, k, v) for part in (at(t), *_strides(t))]
    masked = (at(mask), *(_strides(mask) if mask is not None else (_int(0), _int(0))))
    grads = [part for t in (of_q, of_k, of_v) for part in (at(t), *_strides(t))]
    sizes = map(_int, (batch, queries, k.shape[1], heads, d))
    workers = threads(batch * queries * k.shape[1] * heads)
    saved = map(at, (out, norms, of_out))
    kernels().attention_backward(*parts, *masked, *saved, *grads, *sizes, workers)


def is_linear(module: object, bias: bool) -> bool:
    """Whether a module is a linear map in single precision, with or without a bias, and no more."""
    if not isinstance(module, nn.Linear) or not is_exactly(module, nn.Linear):
        return False
    return (module.bias is not None) is bias and all(map(is_plain, module.parameters()))


def is_plain(weight: Tensor) -> bool:
    """Whether a weight is of PyTorch's own class, on the CPU, in single precision."""
    known = type(weight) is nn.Parameter or type(weight) is Tensor
    return known and weight.dtype == torch.float32 and weight.device.type == "cpu"


def is_feed_forward(module: object) -> bool:
    """Whether a module is two linear maps with biases and a ReLU between them, and no more."""
    if not isinstance(module, nn.Sequential) or not is_exactly(module, nn.Sequential):
        return False
    parts = list(module)
    return (
        len(parts) == 3
        and is_linear(parts[0], True)
        and is_exactly(parts[1], nn.ReLU)
        and is_linear(parts[2], True)
    )


def in_known_precision() -> bool:
    """Whether autocast asks for nothing but bfloat16 on the CPU."""
    return in_half() or not torch.is_autocast_enabled("cpu")


def in_half() -> bool:
    """Whether autocast asks for bfloat16 on the CPU."""
    asked = torch.get_autocast_dtype("cpu") == torch.bfloat16
    return asked and torch.is_autocast_enabled("cpu")


def has_tiles() -> bool:
    """Whether there is a matrix unit for bfloat16 that the kernels know."""
    return bool(kernels().has_tiles())


def call(name: str, kind: torch.dtype, *values: Tensor | float | None) -> None:
    """The kernel for numbers of this kind: places of tensors, whole numbers, real ones; threads."""
    work = max(t.numel() for t in values if isinstance(t, Tensor))
    run = getattr(kernels(), f"{name}_{'half' if kind == torch.bfloat16 else 'single'}")
    run(*arguments(*values), threads(work))


def _side_by_side(t: Tensor) -> Tensor:
    """``[B, N, H, d]`` with the heads of a node side by side in memory."""
    return t if t.stride(3) == 1 and t.stride(2) == t.shape[3] else t.contiguous()


def kernels() -> ctypes.CDLL:
    """The kernels, for those who have asked whether there are any."""
    found = library()
    assert found is not None  # callers have asked
    return found


def _strides(t: Tensor) -> tuple[ctypes.c_int64, ctypes.c_int64]:
    return ctypes.c_int64(t.stride(0)), ctypes.c_int64(t.stride(1))


def _int(value: int) -> ctypes.c_int64:
    return ctypes.c_int64(value)


def _float(value: float) -> ctypes.c_float:
    return ctypes.c_float(value)
