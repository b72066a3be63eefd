"""Attention between neighbours, by the convolutions of torch-geometric."""

import torch
from torch import Tensor, nn
from torch_geometric.nn import GATv2Conv, TransformerConv

from nco.envs import Features, FeatureSpec
from nco.policies.encoder import Encoder, NodeEmbedding
from nco.policies.graph.neighbours import Graph, near_graph
from nco.policies.layers import Norm, Normalization


class ConvolutionLayer(nn.Module):
    """
    A convolution and a feed-forward sublayer, each with a skip connection and a normalisation.

    Parameters
    ----------
    convolution
        Called with nodes ``[B * N, D]``, edges ``[2, E]`` and edge features ``[E, 2]``.
    dim, hidden
        Channels, width of the feed-forward sublayer.
    norm
        See `nco.policies.layers.Norm`.
    """

    def __init__(self, convolution: nn.Module, dim: int, hidden: int, norm: Normalization):
        super().__init__()
        self.convolution = convolution
        self.norm_convolution = Norm(dim, norm)
        self.feed_forward = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.norm_feed_forward = Norm(dim, norm)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        # A depot hears from thousands of nodes: such sums need all the digits of float32.
        with torch.autocast(x.device.type, enabled=False):
            heard = self.convolution(x.float().flatten(0, 1), graph.edges, graph.lengths)
        x = self.norm_convolution(x + heard.view_as(x))
        return self.norm_feed_forward(x + self.feed_forward(x))


class ConvolutionEncoder(Encoder):
    """
    A stack of convolution layers over the graph of near nodes.

    Parameters
    ----------
    spec
        Sizes of the environment's features.
    convolutions
        One for each layer, see `ConvolutionLayer`.
    dim, hidden, norm
        See `ConvolutionLayer`.
    neighbours
        See `near_graph`.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        convolutions: list[nn.Module],
        dim: int,
        hidden: int,
        neighbours: int,
        norm: Normalization,
    ):
        super().__init__()
        self.dim = dim
        self.neighbours = neighbours
        self.embedding = NodeEmbedding(spec, dim)
        self.layers = nn.ModuleList(
            ConvolutionLayer(convolution, dim, hidden, norm) for convolution in convolutions
        )

    def forward(self, features: Features) -> Tensor:
        graph = near_graph(features, self.neighbours, features.num_depots)
        x = self.embedding(features)
        for layer in self.layers:
            x = layer(x, graph)
        return x


class GATv2(ConvolutionEncoder):
    """
    Graph attention whose scores come from a small network (Brody et al. 2022).

    Parameters
    ----------
    spec
        Sizes of the environment's features.
    dim, heads, layers, hidden
        Channels, attention heads, layers, width of the feed-forward sublayers.
    neighbours
        Customers that a customer hears from, see `near_graph`.
    norm
        See `nco.policies.layers.Norm`.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        dim: int = 128,
        heads: int = 8,
        layers: int = 3,
        hidden: int = 512,
        neighbours: int = 16,
        norm: Normalization = "batch",
    ):
        convolutions: list[nn.Module] = [
            GATv2Conv(dim, dim // heads, heads, edge_dim=2, add_self_loops=False)
            for _ in range(layers)
        ]
        super().__init__(spec, convolutions, dim, hidden, neighbours, norm)


class GraphTransformer(ConvolutionEncoder):
    """
    Dot-product attention between neighbours, distances in keys and values (Shi et al. 2021).

    Parameters
    ----------
    spec
        Sizes of the environment's features.
    dim, heads, layers, hidden
        Channels, attention heads, layers, width of the feed-forward sublayers.
    neighbours
        Customers that a customer hears from, see `near_graph`.
    norm
        See `nco.policies.layers.Norm`.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        dim: int = 128,
        heads: int = 8,
        layers: int = 3,
        hidden: int = 512,
        neighbours: int = 16,
        norm: Normalization = "batch",
    ):
        convolutions: list[nn.Module] = [
            TransformerConv(dim, dim // heads, heads, edge_dim=2, root_weight=False)
            for _ in range(layers)
        ]
        super().__init__(spec, convolutions, dim, hidden, neighbours, norm)
