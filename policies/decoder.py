"""The pointer decoder of the Attention Model, with the light additions that make it generalise."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nco.envs import Context, Features, FeatureSpec
from nco.policies.layers import attend


@dataclass(frozen=True)
class PointerCache:
    """
    What the decoder computes once per instance.

    Parameters
    ----------
    keys, values
        Of the glimpse, ``[B, H, N, D / H]``.
    logit_keys
        ``[B, N, D]``.
    fixed
        The part of the query that no step changes, ``[B, 1, D]``.
    by_node
        The part of the query that each context node adds, ``[K, B, N + 1, D]``; row N of every
        table stands for "no node yet".
    log_distance
        Minus the logarithm of the distances, ``[B, N, N]``, or None if the decoder has no use.
    """

    keys: Tensor
    values: Tensor
    logit_keys: Tensor
    fixed: Tensor
    by_node: Tensor
    log_distance: Tensor | None


class PointerDecoder(nn.Module):
    """
    One glimpse at the nodes, then one pointer (Kool et al. 2019, section 3.2).

    Parameters
    ----------
    spec
        Sizes of the environment's features.
    dim, heads
        Channels and glimpse heads.
    tanh_clipping
        Bound C of the logits.
    graph_context
        Adds the mean embedding to the query (the Attention Model does, POMO does not).
    project_logit_keys
        Own keys for the pointer (the Attention Model), or the embeddings themselves (POMO).
    residual
        Identity and feed-forward after the glimpse (ReLD, Huang et al. 2025).
    distance_bias
        Adds a learned multiple of minus log distance to the logits, the multiple read from the
        query; scale-free, since a factor on all distances cancels in the softmax.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        dim: int = 128,
        heads: int = 8,
        tanh_clipping: float = 10.0,
        graph_context: bool = True,
        project_logit_keys: bool = True,
        residual: bool = False,
        distance_bias: bool = False,
    ):
        super().__init__()
        self.heads = heads
        self.tanh_clipping = tanh_clipping
        tables = 2 + project_logit_keys + spec.context_nodes
        self.project_logit_keys = project_logit_keys
        self.node_tables = nn.Linear(dim, tables * dim, bias=False)
        self.no_node = nn.Parameter(torch.empty(spec.context_nodes, dim))
        self.graph = nn.Linear(dim, dim, bias=False) if graph_context else None
        self.scalars = nn.Linear(spec.context_dim, dim, bias=False) if spec.context_dim else None
        self.dynamic = (
            nn.Linear(spec.dynamic_dim, 3 * dim, bias=False) if spec.dynamic_dim else None
        )
        self.out = nn.Linear(dim, dim, bias=False)
        self.feed_forward = (
            nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))
            if residual
            else None
        )
        self.distance_weight = nn.Linear(dim, 1) if distance_bias else None
        if self.distance_weight is not None:
            nn.init.ones_(self.distance_weight.bias)

    def precompute(self, nodes: Tensor, features: Features) -> PointerCache:
        """All per-instance tables from the embeddings ``[B, N, D]``."""
        tables = self.node_tables(nodes).chunk(self.node_tables.out_features // nodes.shape[-1], -1)
        keys, values = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in tables[:2])
        logit_keys = tables[2] if self.project_logit_keys else nodes
        by_node = torch.stack(tables[2 + self.project_logit_keys :])
        blank = self.no_node[:, None, None, :].expand(-1, nodes.shape[0], 1, -1)
        mean = nodes.mean(1, keepdim=True)
        fixed = torch.zeros_like(mean) if self.graph is None else self.graph(mean)
        return PointerCache(
            keys=keys,
            values=values,
            logit_keys=logit_keys,
            fixed=fixed,
            by_node=torch.cat([by_node, blank.to(by_node.dtype)], dim=2),
            log_distance=None if self.distance_weight is None else minus_log_distance(features),
        )

    def forward(self, cache: PointerCache, context: Context) -> Tensor:
        """Log-probabilities ``[B, R, N]`` in float32."""
        nodes, mask = context.nodes, context.mask
        query = cache.fixed + _rows(cache.by_node, nodes)
        if self.scalars is not None:
            query = query + self.scalars(context.scalars)
        q = query.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        if self.dynamic is None or context.dynamic is None:
            glimpse = attend(q, cache.keys, cache.values, mask.unsqueeze(1))
        else:
            glimpse = self._dynamic_glimpse(q, cache, context.dynamic, mask)
        pointer = self.out(glimpse.transpose(1, 2).flatten(-2))
        if self.feed_forward is not None:
            pointer = pointer + query
            pointer = pointer + self.feed_forward(pointer)
        scores = (pointer @ cache.logit_keys.to(pointer.dtype).mT).float()
        if self.dynamic is not None and context.dynamic is not None:
            weight = self.dynamic.weight.chunk(3)[2]
            scores = scores + _dot(pointer @ weight.to(pointer.dtype), context.dynamic)
        logits = self.tanh_clipping * (scores * pointer.shape[-1] ** -0.5).tanh()
        if self.distance_weight is not None and cache.log_distance is not None:
            logits = logits + self.distance_weight(query).float() * _row(cache.log_distance, nodes)
        return logits.masked_fill(~mask, float("-inf")).log_softmax(-1)

    def _dynamic_glimpse(
        self, q: Tensor, cache: PointerCache, dynamic: Tensor, mask: Tensor
    ) -> Tensor:
        """
        The glimpse with keys and values that node features change at every step.

        Kool et al. (2019, appendix C.2) add a linear map of ``dynamic [B, R, N, f]`` to the keys
        and values of every rollout. Since it is linear, its share of the scores and of the mixed
        values is a product with the few features, and no ``[B, R, N, D]`` is ever built.
        """
        assert self.dynamic is not None
        for_keys, for_values, _ = self.dynamic.weight.chunk(3)  # each [D, f]
        for_keys = for_keys.unflatten(0, (self.heads, -1))
        for_values = for_values.unflatten(0, (self.heads, -1)).mT
        scores = (q @ cache.keys.to(q.dtype).mT).float()
        scores = scores + _dot(q @ for_keys.to(q.dtype), dynamic.unsqueeze(1))
        scores = scores * q.shape[-1] ** -0.5
        weights = scores.masked_fill(~mask.unsqueeze(1), float("-inf")).softmax(-1)
        mixed = weights.to(cache.values.dtype) @ cache.values
        amounts = torch.einsum("bhrn,brnf->bhrf", weights, dynamic)
        return mixed + (amounts @ for_values.float()).to(mixed.dtype)


def _dot(query: Tensor, features: Tensor) -> Tensor:
    """``query [..., R, f]`` times ``features [..., R, N, f]`` in float32: ``[..., R, N]``."""
    return (features @ query.float().unsqueeze(-1)).squeeze(-1)


def minus_log_distance(features: Features) -> Tensor:
    """``-log d`` for all pairs, ``[B, N, N]``, distances below 1e-3 of the square taken as that."""
    distance = features.distance
    if distance is None:
        assert features.coords is not None
        distance = torch.cdist(
            features.coords, features.coords, compute_mode="donot_use_mm_for_euclid_dist"
        )
    return -distance.clamp_min(1e-3).log()


def _rows(tables: Tensor, nodes: Tensor) -> Tensor:
    """Sum over K of row ``nodes[B, R, k]`` of ``tables[k]``: ``[B, R, D]``; -1 takes the last."""
    count, batch, n, dim = tables.shape
    # Rows of one flat table by index_select: a gather would need the index spread over D.
    offset = torch.arange(count * batch, device=nodes.device).view(count, batch, 1) * n
    index = torch.where(nodes < 0, n - 1, nodes).permute(2, 0, 1) + offset
    rows = tables.flatten(0, 2).index_select(0, index.flatten())
    return rows.view(count, batch, -1, dim).sum(0)


def _row(table: Tensor, nodes: Tensor) -> Tensor:
    """Row of the current node in ``table [B, N, N]``: ``[B, R, N]``; zeros where there is none."""
    batch, n, _ = table.shape
    current = nodes[..., -1]
    offset = torch.arange(batch, device=nodes.device).unsqueeze(-1) * n
    rows = table.flatten(0, 1).index_select(0, (current.clamp_min(0) + offset).flatten())
    return torch.where(current.unsqueeze(-1) < 0, 0, rows.view(batch, -1, n))
