"""The attention policy once more as loops over instances, heads and nodes."""

import math

import torch
from torch import Tensor, nn

from nco.envs import Context, Features
from nco.policies import AttentionPolicy
from nco.policies.decoder import PointerDecoder
from nco.policies.encoder import AttentionEncoder
from nco.policies.layers import EncoderLayer, Norm


def softmax(scores: list[Tensor]) -> list[Tensor]:
    """Of a list of numbers."""
    top = max(float(s) for s in scores)
    powers = [(s - top).exp() for s in scores]
    total = sum(powers)
    return [p / total for p in powers]


def attention(q: Tensor, keys: list[Tensor], values: list[Tensor], heads: int) -> Tensor:
    """One query ``[D]`` on lists of keys and values ``[D]``: all heads side by side, ``[D]``."""
    size = len(q) // heads
    mixed = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = [q[part] @ key[part] / math.sqrt(size) for key in keys]
        mixed.append(sum(w * v[part] for w, v in zip(softmax(scores), values, strict=True)))
    return torch.cat(mixed)


def normalise(norm: Norm, x: Tensor) -> Tensor:
    """`Norm` on ``[B, N, D]``, with PyTorch's own layers of the field."""
    if norm.kind == "none":
        return x
    if norm.kind == "batch":
        flat = x.reshape(-1, x.shape[-1])
        own = norm.batch
        mean, variance = own.running_mean, own.running_var
        if norm.training:
            mean, variance = flat.mean(0), flat.var(0, unbiased=False)
        return (x - mean) / (variance + 1e-5).sqrt() * own.weight + own.bias
    if norm.kind == "instance":
        normal = nn.InstanceNorm1d(x.shape[-1])(x.mT).mT
        return normal * norm.weight + norm.bias
    if norm.kind == "rms":
        return nn.RMSNorm(x.shape[-1], eps=1e-5, elementwise_affine=False)(x) * norm.weight
    return nn.LayerNorm(x.shape[-1], elementwise_affine=False)(x) * norm.weight + norm.bias


def encoder_layer(layer: EncoderLayer, x: Tensor) -> Tensor:
    """Attention per instance, head and node, then the node-wise network, ``[B, N, D]``."""
    gates = (1.0, 1.0) if layer.gates is None else layer.gates
    block = layer.attention
    wq, wk, wv = block.qkv.weight.chunk(3)
    after = torch.stack(
        [
            torch.stack(
                [
                    attention(wq @ h, [wk @ g for g in nodes], [wv @ g for g in nodes], block.heads)
                    for h in nodes
                ]
            )
            for nodes in x
        ]
    )
    after = after @ block.out.weight.mT + block.out.bias
    x = normalise(layer.norm_attention, x + gates[0] * after)
    first, _, second = layer.feed_forward
    hidden = (x @ first.weight.mT + first.bias).clamp_min(0)
    return normalise(
        layer.norm_feed_forward, x + gates[1] * (hidden @ second.weight.mT + second.bias)
    )


def encode(encoder: AttentionEncoder, features: Features) -> Tensor:
    """Node embeddings ``[B, N, D]``."""
    embedding, rows = encoder.embedding, []
    for b, nodes in enumerate(features.nodes):
        for n, node in enumerate(nodes):
            depot = embedding.depot is not None and n < features.num_depots
            linear = embedding.depot if depot else embedding.customer
            embedded = linear.weight @ (node[:2] if depot else node) + linear.bias
            if depot and embedding.vehicle is not None:
                embedded = embedded + embedding.vehicle.weight @ features.vehicles[b, n]
            rows.append(embedded)
    x = torch.stack(rows).view(*features.nodes.shape[:2], -1)
    for layer in encoder.layers:
        x = encoder_layer(layer, x)
    return x


def point(
    decoder: PointerDecoder, h: Tensor, features: Features, context: Context, b: int, r: int
) -> Tensor:
    """Log-probabilities ``[N]`` of one rollout from the embeddings ``h [N, D]`` of its instance."""
    coords, count = features.coords[b], features.num_depots
    tables = list(decoder.node_tables.weight.split(h.shape[-1]))
    w_key, w_value = tables[:2]
    w_logit = tables[2] if decoder.project_logit_keys else torch.eye(h.shape[-1])
    w_context = tables[2 + decoder.project_logit_keys :]
    query = torch.zeros(h.shape[-1]) if decoder.graph is None else decoder.graph.weight @ h.mean(0)
    for k, node in enumerate(context.nodes[b, r].tolist()):
        query = query + (w_context[k] @ h[node] if node >= 0 else decoder.no_node[k])
    if decoder.scalars is not None:
        query = query + decoder.scalars.weight @ context.scalars[b, r]
    allowed = [n for n, free in enumerate(context.mask[b, r].tolist()) if free]
    current = int(context.nodes[b, r, -1])
    if decoder.neighbours:
        depots = [n for n in allowed if n < count]
        customers = [n for n in allowed if n >= count]
        here = coords[max(current, 0)].tolist()
        customers.sort(key=lambda n: math.dist(coords[n].tolist(), here))
        allowed = depots + customers[: decoder.neighbours]
    keys, values, logit_keys = ([w @ h[n] for n in allowed] for w in (w_key, w_value, w_logit))
    if decoder.dynamic is not None:
        assert context.dynamic is not None
        added = [decoder.dynamic.weight @ context.dynamic[b, r, n] for n in allowed]
        d_key, d_value, d_logit = zip(*(a.chunk(3) for a in added), strict=True)
        keys = [k + d for k, d in zip(keys, d_key, strict=True)]
        values = [v + d for v, d in zip(values, d_value, strict=True)]
        logit_keys = [k + d for k, d in zip(logit_keys, d_logit, strict=True)]
    pointer = decoder.out.weight @ attention(query, keys, values, decoder.heads)
    if decoder.feed_forward is not None:
        pointer = pointer + query
        first, _, second = decoder.feed_forward
        hidden = (first.weight @ pointer + first.bias).clamp_min(0)
        pointer = pointer + second.weight @ hidden + second.bias
    logits = [
        decoder.tanh_clipping * torch.tanh(pointer @ key / math.sqrt(len(pointer)))
        for key in logit_keys
    ]
    if decoder.distance_weight is not None and current >= 0:
        factor = decoder.distance_weight.weight[0] @ query + decoder.distance_weight.bias[0]
        for i, n in enumerate(allowed):
            away = math.dist(coords[n].tolist(), coords[current].tolist())
            logits[i] = logits[i] - factor * math.log(max(away, 1e-3))
    scores = torch.full((len(h),), -torch.inf)
    for n, p in zip(allowed, softmax(logits), strict=True):
        scores[n] = p.log()
    return scores


def step(policy: AttentionPolicy, features: Features, context: Context) -> Tensor:
    """Log-probabilities ``[B, R, N]`` of the whole policy, one rollout after another."""
    nodes = encode(policy.encoder, features)
    assert features.coords is not None
    batch, rollouts, _ = context.mask.shape
    return torch.stack(
        [
            torch.stack(
                [point(policy.decoder, nodes[b], features, context, b, r) for r in range(rollouts)]
            )
            for b in range(batch)
        ]
    )
