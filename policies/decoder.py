"""The pointer decoder of the Attention Model, with the light additions that make it generalise."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nco.data.native import is_exactly
from nco.envs import Context, Features, FeatureSpec
from nco.policies.candidates import nearest_allowed
from nco.policies.encoder import Embedded, both
from nco.policies.layers import attend, point, require_heads, rows


@dataclass(frozen=True)
class PointerCache:
    """
    What the decoder computes once per instance.

    Parameters
    ----------
    keys, values
        Of the glimpse, ``[B, H, N, D / H]``.
    logit_keys
        ``[B, N, D]``; unless something comes in between (see `PointerDecoder.folded`), they hold
        the projection of the glimpse, too.
    by_node
        The part of the query that each context node adds, ``[K, B, N + 1, D]``; row N of every
        table stands for "no node yet". The first table holds what no step changes, too.
    log_distance
        Minus the logarithm of the distances, ``[B, N, N]``, or None if the decoder has no use.
    near
        What the distances of a restricted decoder are computed from, or None if it looks at all.
    folded
        Whether the logit keys hold the projection of the glimpse.
    """

    keys: Tensor
    values: Tensor
    logit_keys: Tensor
    by_node: Tensor
    log_distance: Tensor | None
    near: Features | None = None
    folded: bool = False


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
    neighbours
        Looks at this many of the nearest customers that the mask allows, and at the depots; 0
        looks at all. It has no weights: a policy may be trained without and decode large instances
        with it. (To learn from solutions that go elsewhere, leave it off.)
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
        neighbours: int = 0,
    ):
        super().__init__()
        self.neighbours = neighbours
        require_heads(dim, heads)
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

    @property
    def folded(self) -> bool:
        """
        Whether the glimpse is projected and compared with the logit keys in one product.

        ``(W g) . k = g . (W' k)``: once for every node instead of once for every decision. Only
        where the projection is a plain one, without hooks.
        """
        between = self.feed_forward is not None or self.dynamic is not None or self.neighbours
        return not between and is_exactly(self.out, nn.Linear)

    def precompute(self, embedded: Embedded, features: Features) -> PointerCache:
        """
        All per-instance tables from the embeddings ``[B, N, D]``.

        Of two embeddings of a node, the first tells what it is to leave it, the second what it is
        to go there: queries come from the first, keys and values from the second.
        """
        nodes, targets = both(embedded)
        count = self.node_tables.out_features // nodes.shape[-1]
        tables = self.node_tables(nodes).chunk(count, -1)
        of_targets = tables if targets is nodes else self.node_tables(targets).chunk(count, -1)
        keys, values = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in of_targets[:2])
        logit_keys = of_targets[2] if self.project_logit_keys else targets
        if folded := self.folded:
            logit_keys = logit_keys @ self.out.weight.to(logit_keys.dtype)
        by_node = torch.stack(tables[2 + self.project_logit_keys :])
        blank = self.no_node[:, None, None, :].expand(-1, nodes.shape[0], 1, -1)
        by_node = torch.cat([by_node, blank.to(by_node.dtype)], dim=2)
        if self.graph is not None:
            fixed = self.graph(nodes.mean(1, keepdim=True)).to(by_node.dtype)
            by_node = torch.cat([by_node[:1] + fixed, by_node[1:]])
        restricted = 0 < self.neighbours < nodes.shape[1] - features.num_depots
        table = self.distance_weight is not None and not restricted
        return PointerCache(
            keys=keys,
            values=values,
            logit_keys=logit_keys,
            by_node=by_node,
            log_distance=minus_log_distance(features) if table else None,
            near=features if restricted else None,
            folded=folded,
        )

    def forward(self, cache: PointerCache, context: Context) -> Tensor:
        """Log-probabilities ``[B, R, N]`` in float32."""
        nodes, mask = context.nodes, context.mask
        query = rows(cache.by_node, nodes)
        if self.scalars is not None and not is_exactly(self.scalars, nn.Linear):
            query = query + self.scalars(context.scalars).to(query.dtype)
        elif self.scalars is not None:
            added = torch.addmm(
                query.flatten(0, 1),
                context.scalars.flatten(0, 1).to(query.dtype),
                self.scalars.weight.mT,
            )
            query = added.view_as(query)
        if cache.near is not None:
            return self._among_near(query, cache, cache.near, context)
        changing = self.dynamic is not None and context.dynamic is not None
        if changing and not is_exactly(self.dynamic, nn.Linear):
            return self._with_own_keys(query, cache, context)
        q = query.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        if self.dynamic is None or context.dynamic is None:
            glimpse = attend(q, cache.keys, cache.values, mask.unsqueeze(1))
        else:
            glimpse = self._dynamic_glimpse(q, cache, context.dynamic, mask)
        pointer = self._pointer(glimpse.transpose(1, 2).flatten(-2), query, cache)
        scores = (pointer @ cache.logit_keys.to(pointer.dtype).mT).float()
        if self.dynamic is not None and context.dynamic is not None:
            weight = self.dynamic.weight.chunk(3)[2]
            scores = scores + _dot(pointer @ weight.to(pointer.dtype), context.dynamic)
        bias = None
        if self.distance_weight is not None and cache.log_distance is not None:
            bias = self.distance_weight(query).float() * _row(cache.log_distance, nodes)
        return point(scores, bias, mask, self.tanh_clipping, pointer.shape[-1] ** -0.5)

    def _pointer(self, glimpse: Tensor, query: Tensor, cache: PointerCache) -> Tensor:
        """What points at the next node, ``[B, R, D]``, from the mixed values of the glimpse."""
        if cache.folded:
            return glimpse
        pointer = self.out(glimpse)
        if self.feed_forward is not None:
            pointer = pointer + query
            pointer = pointer + self.feed_forward(pointer)
        return pointer

    def _among_near(
        self, query: Tensor, cache: PointerCache, features: Features, context: Context
    ) -> Tensor:
        """Log-probabilities ``[B, R, N]``, finite at most for the nearest nodes and depots."""
        current, mask = context.nodes[..., -1], context.mask
        few = nearest_allowed(features, current, mask, self.neighbours, features.num_depots)
        batch = torch.arange(len(mask), device=mask.device)[:, None, None]
        # [B, R, C, D] each; heads are split again below.
        keys = cache.keys.transpose(1, 2)[batch, few.nodes].flatten(-2).float()
        values = cache.values.transpose(1, 2)[batch, few.nodes].flatten(-2).float()
        logit_keys = cache.logit_keys[batch, few.nodes].float()
        added = None
        if self.dynamic is not None and context.dynamic is not None:
            wide = few.nodes.unsqueeze(-1).expand(-1, -1, -1, context.dynamic.shape[-1])
            added = self.dynamic(context.dynamic.gather(2, wide))
        tables = (keys, values, logit_keys)
        pointer, scores = self._point_at_own(query, cache, tables, added, few.mask)
        logits = self.tanh_clipping * (scores * pointer.shape[-1] ** -0.5).tanh()
        if self.distance_weight is not None:
            closeness = -few.distance.clamp_min(1e-3).log()
            closeness = torch.where(current.unsqueeze(-1) < 0, 0, closeness)
            logits = logits + self.distance_weight(query).float() * closeness
        log_probs = logits.masked_fill(~few.mask, float("-inf")).log_softmax(-1)
        outside = torch.full_like(mask, float("-inf"), dtype=log_probs.dtype)
        return outside.scatter(-1, few.nodes, log_probs)

    def _with_own_keys(self, query: Tensor, cache: PointerCache, context: Context) -> Tensor:
        """Log-probabilities ``[B, R, N]``, whatever module changes the keys at every step."""
        assert self.dynamic is not None and context.dynamic is not None
        keys, values = (
            t.transpose(1, 2).flatten(-2).unsqueeze(1).float() for t in (cache.keys, cache.values)
        )
        tables = (keys, values, cache.logit_keys.unsqueeze(1).float())
        added = self.dynamic(context.dynamic)
        pointer, scores = self._point_at_own(query, cache, tables, added, context.mask)
        bias = None
        if self.distance_weight is not None and cache.log_distance is not None:
            row = _row(cache.log_distance, context.nodes)
            bias = self.distance_weight(query).float() * row
        scale = pointer.shape[-1] ** -0.5
        return point(scores, bias, context.mask, self.tanh_clipping, scale)

    def _point_at_own(
        self, query: Tensor, cache: PointerCache, tables: tuple[Tensor, Tensor, Tensor],
        added: Tensor | None, mask: Tensor,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """
        What points ``[B, R, D]``, and its scores ``[B, R, C]``, of rollouts with keys of their own.

        Parameters
        ----------
        query
            ``[B, R, D]``.
        tables
            Keys, values and logit keys, ``[B, R, C, D]`` or with one for all R.
        added
            What is added to the three of them, ``[B, R, C, 3 D]``.
        mask
            ``[B, R, C]``.
        """
        if added is not None:
            parts = zip(tables, added.float().chunk(3, dim=-1), strict=True)
            tables = tuple(table + part for table, part in parts)  # type: ignore[assignment]
        keys, values = (t.unflatten(-1, (self.heads, -1)).transpose(2, 3) for t in tables[:2])
        q = query.unflatten(-1, (self.heads, -1)).unsqueeze(-2).to(keys.dtype)
        glimpse = attend(q, keys, values, mask[:, :, None, None])  # one query: [B, R, H, 1, d]
        pointer = self._pointer(glimpse.flatten(-3).to(query.dtype), query, cache)
        return pointer, _dot(pointer, tables[2])

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


def _row(table: Tensor, nodes: Tensor) -> Tensor:
    """Row of the current node in ``table [B, N, N]``: ``[B, R, N]``; zeros where there is none."""
    batch, n, _ = table.shape
    current = nodes[..., -1]
    offset = torch.arange(batch, device=nodes.device).unsqueeze(-1) * n
    rows = table.flatten(0, 1).index_select(0, (current.clamp_min(0) + offset).flatten())
    return torch.where(current.unsqueeze(-1) < 0, 0, rows.view(batch, -1, n))
