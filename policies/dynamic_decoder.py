"""An attention policy that weighs what each move would mean: ways, waits and time to spare."""

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor, nn

from nco.envs import Context, Features, FeatureSpec, RoutingEnv
from nco.policies.attention import AttentionPolicy
from nco.policies.base import NativeRollout, Plan, Policy, Trajectory
from nco.policies.decoder import PointerCache, PointerDecoder
from nco.policies.encoder import Embedded, both
from nco.policies.layers import Normalization, init_uniform, rows


@dataclass(frozen=True, kw_only=True)
class ForesightCache(PointerCache):
    """
    With one table more.

    Parameters
    ----------
    opinions
        What each context node adds to the weights of the moves' features, ``[K, B, N + 1, F]``;
        row N stands for "no node yet".
    """

    opinions: Tensor


class ForesightDecoder(PointerDecoder):
    """
    A pointer whose logits get a learned function of every node's dynamic features.

    A node's dynamic features become ``F`` numbers by one hidden layer, the same for all nodes; the
    context (its nodes, its scalars) says what each of them counts, and the sum is added to the
    logit. The glimpse does not see these features: unlike `PointerDecoder`'s, which puts them into
    its keys and values, this costs a few numbers for each pair and no attention of its own.

    Parameters
    ----------
    spec
        Sizes of the environment's features, some dynamic ones among them.
    dim, heads, tanh_clipping, graph_context, distance_bias
        See `PointerDecoder`; the glimpse has a residual feed-forward.
    width
        Number F of functions of a node's dynamic features.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        dim: int = 128,
        heads: int = 8,
        tanh_clipping: float = 10.0,
        graph_context: bool = True,
        distance_bias: bool = True,
        width: int = 16,
    ):
        plain = replace(spec, dynamic_dim=0)
        super().__init__(
            plain,
            dim,
            heads,
            tanh_clipping,
            graph_context,
            residual=True,
            distance_bias=distance_bias,
        )
        self.width = width
        self.meanings = nn.Linear(spec.dynamic_dim, width)
        self.opinion_tables = nn.Linear(dim, spec.context_nodes * width, bias=False)
        self.no_opinion = nn.Parameter(torch.empty(spec.context_nodes, width))
        self.opinion_scalars = nn.Linear(spec.context_dim, width)

    def precompute(self, embedded: Embedded, features: Features) -> ForesightCache:
        cache = super().precompute(embedded, features)
        nodes, _ = both(embedded)
        tables = torch.stack(self.opinion_tables(nodes).chunk(len(self.no_opinion), -1))
        blank = self.no_opinion[:, None, None, :].expand(-1, nodes.shape[0], 1, -1)
        known = {field.name: getattr(cache, field.name) for field in fields(PointerCache)}
        return ForesightCache(**known, opinions=torch.cat([tables, blank.to(tables.dtype)], 2))

    def forward(self, cache: PointerCache, context: Context) -> Tensor:
        """Log-probabilities ``[B, R, N]`` in float32."""
        assert isinstance(cache, ForesightCache) and context.dynamic is not None
        scores = super().forward(cache, context)
        meant = self.meanings(context.dynamic).relu()  # [B, R, N, F]
        weight = rows(cache.opinions, context.nodes)
        weight = weight + self.opinion_scalars(context.scalars).to(weight.dtype)
        bias = (meant @ weight.unsqueeze(-1).to(meant.dtype)).squeeze(-1).float()
        # What is added to log-probabilities is added to logits, but for a constant.
        return (scores + bias).log_softmax(-1)


class ForesightPolicy(AttentionPolicy):
    """
    `AttentionPolicy` with a `ForesightDecoder`, for environments with dynamic features.

    Parameters
    ----------
    env
        The problem, of which only the sizes of the features are read.
    dim, heads, layers, hidden, norm
        Of the encoder, see `nco.policies.encoder.AttentionEncoder`.
    tanh_clipping, graph_context, distance_bias, width
        Of the decoder, see `ForesightDecoder`.
    """

    def __init__(
        self,
        env: RoutingEnv,
        dim: int = 128,
        heads: int = 8,
        layers: int = 6,
        hidden: int = 512,
        norm: Normalization = "instance",
        tanh_clipping: float = 10.0,
        graph_context: bool = True,
        distance_bias: bool = True,
        width: int = 16,
    ):
        super().__init__(env, dim, heads, layers, hidden, norm)
        self.decoder = ForesightDecoder(
            env.spec, dim, heads, tanh_clipping, graph_context, distance_bias, width
        )
        init_uniform(self.decoder)

    def drive(
        self, embeddings: PointerCache, plan: Plan, rng: torch.Generator | None
    ) -> NativeRollout | None:
        return None  # the kernels know nothing of dynamic features

    def evaluate(self, embeddings: PointerCache, trajectory: Trajectory | NativeRollout) -> Tensor:
        return Policy.evaluate(self, embeddings, trajectory)
