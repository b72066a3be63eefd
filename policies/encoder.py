"""The encoder of the Attention Model: node features to node embeddings."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from nco.envs import Features, FeatureSpec
from nco.policies.layers import EncoderLayer, Normalization


class Encoder(nn.Module, ABC):
    """Anything that turns `Features` into node embeddings ``[B, N, dim]``."""

    dim: int

    @abstractmethod
    def forward(self, features: Features) -> Tensor:
        """Embeds the nodes of each instance."""


class NodeEmbedding(nn.Module):
    """
    Linear embedding of node features, one map for depots and one for customers.

    A depot has coordinates only; its other features are zero and have no weight.

    Parameters
    ----------
    spec
        Sizes of the environment's features.
    dim
        Channels of the embedding.
    """

    def __init__(self, spec: FeatureSpec, dim: int):
        super().__init__()
        self.num_depots = spec.num_depots
        self.depot = nn.Linear(2, dim) if spec.num_depots else None
        self.customer = nn.Linear(spec.node_dim, dim)

    def forward(self, nodes: Tensor) -> Tensor:
        customers = self.customer(nodes[:, self.num_depots :])
        if self.depot is None:
            return customers
        return torch.cat([self.depot(nodes[:, : self.num_depots, :2]), customers], dim=1)


class AttentionEncoder(Encoder):
    """
    A stack of attention layers over all nodes (Kool et al. 2019, section 3.1).

    Parameters
    ----------
    spec
        Sizes of the environment's features.
    dim, heads, layers, hidden
        Channels, attention heads, layers, width of the feed-forward sublayers.
    norm
        ``batch`` as in the Attention Model, ``instance`` as in POMO, ``layer`` or ``none``.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        dim: int = 128,
        heads: int = 8,
        layers: int = 3,
        hidden: int = 512,
        norm: Normalization = "batch",
    ):
        super().__init__()
        self.dim = dim
        self.embedding = NodeEmbedding(spec, dim)
        stack = [EncoderLayer(dim, heads, hidden, norm) for _ in range(layers)]
        self.layers = nn.Sequential(*stack)

    def forward(self, features: Features) -> Tensor:
        return self.layers(self.embedding(features.nodes))
