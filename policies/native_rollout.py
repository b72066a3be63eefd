"""Whole rollouts of a pointer decoder by the kernels for the CPU, and their likelihood."""

import ctypes
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nco.data.native import at, is_exactly, threads
from nco.policies import native
from nco.policies.base import NativeRollout, OutOfTime, Plan, not_finite
from nco.policies.decoder import PointerCache, PointerDecoder


class _Decoder(ctypes.Structure):
    """`Decoder` of rollout.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("keys", "values", "logit_keys")),
        *(
            (f"{name}_{of}", ctypes.c_int64)
            for name in ("keys", "values", "logit_keys")
            for of in ("batch", "row")
        ),
        *((name, ctypes.c_void_p) for name in ("by_node", "scalar")),
        *(
            (name, ctypes.c_void_p)
            for name in ("out", "hidden", "hidden_bias", "back", "back_bias")
        ),
        *((name, ctypes.c_void_p) for name in ("out_half", "hidden_half", "back_half")),
        *((name, ctypes.c_void_p) for name in ("distance", "log_distance")),
        *((name, ctypes.c_int64) for name in ("tables", "heads", "d", "wide")),
        ("clip", ctypes.c_float),
    ]


class _Call(ctypes.Structure):
    """`Call` of rollout.cpp."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("batch", "rollouts", "nodes", "steps")),
        *((name, ctypes.c_void_p) for name in ("demand", "capacity", "first", "given", "draws")),
        ("coldness", ctypes.c_float),
        ("seconds", ctypes.c_double),
        ("threads", ctypes.c_int64),
    ]


class _Gradients(ctypes.Structure):
    """`Gradients` of rollout.cpp."""

    _fields_ = [
        (name, ctypes.c_void_p)
        for name in ("of_likelihood", "keys", "values", "logit_keys", "by_node", "scalar")
    ]


def fits(decoder: PointerDecoder, cache: PointerCache, plan: Plan) -> bool:
    """Whether the kernels know all of the decoder, and what is asked of it."""
    heads, d = decoder.heads, cache.keys.shape[-1]
    depot = plan.native_rules.demand is not None
    asked = 0 if decoder.scalars is None else decoder.scalars.in_features
    return (
        native.on_cpu(cache.keys)
        and cache.keys.dtype in (torch.float32, torch.bfloat16)
        and native.in_known_precision()
        and cache.near is None
        and cache.folded == (decoder.feed_forward is None)
        and d % 16 == 0
        and (heads * d) % 32 == 0
        and (asked, len(cache.by_node)) == ((1, 1) if depot else (0, 2))
        and is_exactly(decoder, PointerDecoder)
        and decoder.dynamic is None
        and native.is_linear(decoder.out, False)
        and (decoder.scalars is None or native.is_linear(decoder.scalars, False))
        and (decoder.feed_forward is None or native.is_feed_forward(decoder.feed_forward))
        and (decoder.distance_weight is None or native.is_linear(decoder.distance_weight, True))
    )


def drive(
    decoder: PointerDecoder, cache: PointerCache, plan: Plan, rng: torch.Generator | None
) -> NativeRollout:
    """All rollouts at once, without gradients."""
    with torch.no_grad():
        tables = _tables(decoder, cache)
        draws = None
        if plan.temperature:
            choices = plan.steps - (plan.first is not None)
            shape = (choices, cache.keys.shape[0], plan.rollouts)
            draws = torch.rand(shape, generator=rng)
        actions, likelihood, taken = _run(decoder, cache, tables, plan, draws, None)
        backwards = cache.folded and decoder.distance_weight is None
        return NativeRollout(actions[..., :taken].contiguous(), likelihood, plan, cache, backwards)


def likelihood(decoder: PointerDecoder, cache: PointerCache, driven: NativeRollout) -> Tensor:
    """Log-likelihood ``[B, R]`` of rollouts that were driven, differentiable."""
    found = driven.likelihood
    if cache is not driven.embeddings or driven.plan.temperature not in (0, 1):
        with torch.no_grad():
            given = driven.actions
            _, found, _ = _run(decoder, cache, _tables(decoder, cache), driven.plan, None, given)
    result: Tensor = _Likelihood.apply(*_tables(decoder, cache), found, decoder, cache, driven)
    return result


class _Likelihood(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, keys: Tensor, values: Tensor, logit_keys: Tensor, by_node: Tensor,
        scalar: Tensor | None, found: Tensor, decoder: PointerDecoder, cache: PointerCache,
        driven: NativeRollout,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(keys, values, logit_keys, by_node, scalar)
        ctx.decoder, ctx.cache, ctx.driven = decoder, cache, driven
        return found.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, of_likelihood: Tensor):  # type: ignore[no-untyped-def]
        tables = ctx.saved_tensors
        keys, values, logit_keys, by_node, scalar = tables
        grads = [t.new_zeros(t.shape) for t in (keys, values, logit_keys, by_node)]
        of_scalar = None if scalar is None else keys.new_zeros(len(keys), keys.shape[-1])
        of_likelihood = of_likelihood.contiguous()
        places = [at(t) for t in (of_likelihood, *grads, of_scalar)]
        net = _net(ctx.decoder, ctx.cache, tables)
        call = _call(ctx.driven.plan, keys, None, ctx.driven.actions)
        gradients = _Gradients(*places)
        run = native.kernels().rollout_backward
        _complain(run(*map(ctypes.byref, (net, call, gradients))), call.steps)
        return *grads, None if of_scalar is None else of_scalar.sum(0), None, None, None, None


def _tables(decoder: PointerDecoder, cache: PointerCache) -> tuple[Tensor | None, ...]:
    """Keys, values, logit keys, each ``[B, N, D]``, ``by_node``, the weight of the scalar."""
    keys, values = (t.transpose(1, 2).flatten(2).float() for t in (cache.keys, cache.values))
    scalar = None if decoder.scalars is None else decoder.scalars.weight.squeeze(-1).contiguous()
    rows = [t if t.stride(-1) == 1 else t.contiguous() for t in (keys, values)]
    return *rows, cache.logit_keys.float(), cache.by_node.float().contiguous(), scalar


def _run(
    decoder: PointerDecoder, cache: PointerCache, tables: tuple[Tensor | None, ...], plan: Plan,
    draws: Tensor | None, given: Tensor | None,
) -> tuple[Tensor, Tensor, int]:  # fmt: skip
    """
    Actions ``[B, R, T]``, their log-likelihood ``[B, R]``, and how many steps were taken.

    Raises
    ------
    OutOfTime
        The deadline of the plan passed.
    FloatingPointError
        Logits are not finite.
    IndexError
        A move that was imposed or given is not the number of a node.
    """
    keys = tables[0]
    assert keys is not None
    net, call = _net(decoder, cache, tables), _call(plan, keys, draws, given)
    shape = (len(keys), plan.rollouts, call.steps)
    actions = torch.empty(shape, dtype=torch.long)
    found = keys.new_empty(shape[:2])
    run = native.kernels().rollout
    taken = int(run(ctypes.byref(net), ctypes.byref(call), at(actions), at(found)))
    _complain(taken, call.steps)
    return actions, found, taken


def _complain(found: int, steps: int) -> None:
    """Errors for what a kernel of rollout.cpp returns."""
    if found == -1:
        raise OutOfTime
    if found == -2:
        raise IndexError("rollout: a move that was imposed or given is not the number of a node")
    if found < 0:
        raise not_finite(*divmod(-3 - found, steps))


def _net(decoder: PointerDecoder, cache: PointerCache, tables: Any) -> _Decoder:
    """Points to the tensors, which have to outlive it."""
    keys, values, logit_keys, by_node, scalar = tables
    net = _Decoder()
    for name, t in (("keys", keys), ("values", values), ("logit_keys", logit_keys)):
        setattr(net, name, t.data_ptr())
        setattr(net, f"{name}_batch", t.stride(0))
        setattr(net, f"{name}_row", t.stride(1))
    net.by_node, net.tables = by_node.data_ptr(), len(by_node)
    net.scalar = None if scalar is None else scalar.data_ptr()
    net.heads, net.d, net.clip = decoder.heads, cache.keys.shape[-1], decoder.tanh_clipping
    kept = []
    if decoder.feed_forward is not None:
        first, _, second = decoder.feed_forward
        assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
        weights = [
            decoder.out.weight.mT,
            first.weight.mT,
            first.bias,
            second.weight.mT,
            second.bias,
        ]
        kept += [t.detach().float().contiguous() for t in weights]
        names = ("out", "hidden", "hidden_bias", "back", "back_bias")
        for name, t in zip(names, kept, strict=True):
            setattr(net, name, t.data_ptr())
        net.wide = first.out_features
        if _in_half(first.out_features, first.in_features):
            halves = [_in_pairs(kept[k]) for k in (0, 1, 3)]
            net.out_half, net.hidden_half, net.back_half = (t.data_ptr() for t in halves)
            kept += halves
    if decoder.distance_weight is not None and cache.log_distance is not None:
        weight = decoder.distance_weight
        kept += [torch.cat([weight.weight.detach().flatten(), weight.bias.detach()]).float()]
        kept += [cache.log_distance.float().contiguous()]
        net.distance, net.log_distance = (t.data_ptr() for t in kept[-2:])
    net.kept = kept
    return net


def _in_half(wide: int, width: int) -> bool:
    """Whether the feed-forward is to be in bfloat16, and can."""
    return native.in_half() and wide % 32 == 0 and width % 32 == 0 and native.has_tiles()


def _in_pairs(weight: Tensor) -> Tensor:
    """``[K, N]`` as ``[K / 2, N, 2]`` in bfloat16."""
    return weight.unflatten(0, (-1, 2)).transpose(1, 2).to(torch.bfloat16).contiguous()


def _call(plan: Plan, keys: Tensor, draws: Tensor | None, given: Tensor | None) -> _Call:
    """Points to the tensors of the plan, and to those that are given."""
    call = _Call()
    call.batch, call.nodes, _ = keys.shape
    call.rollouts = plan.rollouts
    call.steps = plan.steps if given is None else given.shape[-1]
    call.demand, call.capacity = at(plan.native_rules.demand), at(plan.native_rules.capacity)
    first = None if plan.first is None else plan.first.contiguous()
    call.first, call.given, call.draws = at(first), at(given), at(draws)
    call.coldness = 1 / plan.temperature if plan.temperature and given is None else 1.0
    left = None if plan.deadline is None else plan.deadline - time.perf_counter()
    call.seconds = float("inf") if left is None or given is not None else left
    call.threads = threads(keys.numel() * plan.rollouts)
    call.kept = first
    return call
