"""The gated graph convolution with edge features of its own."""

from torch import Tensor, nn
from torch_geometric.utils import scatter

from nco.envs import Features, FeatureSpec
from nco.policies.encoder import Encoder, NodeEmbedding
from nco.policies.graph.neighbours import near_graph
from nco.policies.layers import Norm, Normalization


class GatedGCNLayer(nn.Module):
    """
    Neighbours, weighted by gates that follow from both ends and the edge (Bresson & Laurent 2018).

    Edges carry embeddings that every layer updates, as in Joshi et al. (2019, equations 4 and 5).

    Parameters
    ----------
    dim
        Channels of nodes and edges.
    norm
        See `nco.policies.layers.Norm`.
    """

    def __init__(self, dim: int, norm: Normalization):
        super().__init__()
        self.node = nn.Linear(dim, 4 * dim)  # own part, message, gate as target, gate as source
        self.edge = nn.Linear(dim, dim)
        self.norm_node = Norm(dim, norm)
        self.norm_edge = Norm(dim, norm)

    def forward(self, x: Tensor, e: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes ``[B, N, D]`` and edges ``[B, E, D]``, updated."""
        own, message, heard, sent = self.node(x).flatten(0, 1).chunk(4, dim=-1)
        source, target = edges
        update = self.edge(e).flatten(0, 1)
        update = update + heard.index_select(0, target) + sent.index_select(0, source)
        # In float32: a depot hears from thousands of nodes.
        gate = update.float().sigmoid()
        total = scatter(gate * message.index_select(0, source), target, dim_size=len(own))
        weight = scatter(gate, target, dim_size=len(own))
        mixed = own + (total / (weight + 1e-6)).to(own.dtype)
        x = x + self.norm_node(mixed.view_as(x)).relu()
        return x, e + self.norm_edge(update.view_as(e)).relu()


class GatedGCN(Encoder):
    """
    A stack of gated graph convolutions over the graph of near nodes.

    Parameters
    ----------
    spec
        Sizes of the environment's features.
    dim, layers
        Channels, layers.
    neighbours
        Customers that a customer hears from, see `near_graph`.
    norm
        See `nco.policies.layers.Norm`.
    """

    def __init__(
        self,
        spec: FeatureSpec,
        dim: int = 128,
        layers: int = 6,
        neighbours: int = 16,
        norm: Normalization = "batch",
    ):
        super().__init__()
        self.dim = dim
        self.neighbours = neighbours
        self.embedding = NodeEmbedding(spec, dim)
        self.edge_embedding = nn.Linear(2, dim)
        self.layers = nn.ModuleList(GatedGCNLayer(dim, norm) for _ in range(layers))

    def forward(self, features: Features) -> Tensor:
        graph = near_graph(features, self.neighbours, features.num_depots)
        x = self.embedding(features)
        e = self.edge_embedding(graph.lengths).view(len(x), -1, self.dim)
        for layer in self.layers:
            x, e = layer(x, e, graph.edges)
        return x
