"""The encoder of the Attention Model: node features to node embeddings."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from nco.envs import Features, FeatureSpec
from nco.policies.layers import Activation, EncoderLayer, Norm, Normalization
from nco.policies.recorded import Recorded

# Of nodes, or of nodes as origins and as targets: rows and columns of a matrix of distances.
Embedded = Tensor | tuple[Tensor, Tensor]


def both(embedded: Embedded) -> tuple[Tensor, Tensor]:
    """Embeddings of nodes as origins and as targets; the same ones where there is one kind."""
    return embedded if isinstance(embedded, tuple) else (embedded, embedded)


class Encoder(Recorded, nn.Module, ABC):
    """
    Anything that turns `Features` into node embeddings ``[B, N, dim]``.

    An encoder of asymmetric distances may return two for each node, of the rows and of the columns
    of the matrix (MatNet, Kwon et al. 2021): see `nco.policies.decoder.PointerDecoder.precompute`.
    """

    dim: int

    @abstractmethod
    def forward(self, features: Features) -> Embedded:
        """Embeds the nodes of each instance."""


class NodeEmbedding(nn.Module):
    """
    Linear embedding of node features, one map for depots and one for customers.

    A depot's other node features are zero and have no weight. What is particular to its vehicles,
    and what concerns the whole instance (limits, open ends), is added to it, as RouteFinder does
    (Berto et al. 2025).

    Parameters
    ----------
    spec
        Sizes of the environment's features.
    dim
        Channels of the embedding.
    vehicle_features
        Whether to look at `Features.vehicles`; the Attention Model does not.
    """

    def __init__(self, spec: FeatureSpec, dim: int, vehicle_features: bool = True):
        super().__init__()
        self.depot = nn.Linear(2, dim) if spec.num_depots else None
        self.vehicle = (
            nn.Linear(spec.vehicle_dim, dim, bias=False)
            if spec.vehicle_dim and vehicle_features
            else None
        )
        self.customer = nn.Linear(spec.node_dim, dim)

    def forward(self, features: Features) -> Tensor:
        depots = features.num_depots
        customers = self.customer(features.nodes[:, depots:])
        if self.depot is None:
            return customers
        depot = self.depot(features.nodes[:, :depots, :2])
        if self.vehicle is not None:
            depot = depot + self.vehicle(features.vehicles)
        return torch.cat([depot, customers], dim=1)


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
        ``batch`` as in the Attention Model, ``instance`` as in POMO, ``layer``, ``rms`` or
        ``none``.
    pre_norm, activation
        See `EncoderLayer`; RouteFinder's encoder is ``norm="rms", pre_norm=True,
        activation="swiglu"``.
    vehicle_features
        See `NodeEmbedding`.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        dim: int = 128,
        heads: int = 8,
        layers: int = 3,
        hidden: int = 512,
        norm: Normalization = "batch",
        pre_norm: bool = False,
        activation: Activation = "relu",
        vehicle_features: bool = True,
    ):
        super().__init__()
        self.dim = dim
        self.embedding = NodeEmbedding(spec, dim, vehicle_features)
        stack: list[nn.Module] = [
            EncoderLayer(dim, heads, hidden, norm, pre_norm, activation) for _ in range(layers)
        ]
        if pre_norm:
            stack.append(Norm(dim, norm))
        self.layers = nn.Sequential(*stack)

    def forward(self, features: Features) -> Tensor:
        return self.layers(self.embedding(features))
