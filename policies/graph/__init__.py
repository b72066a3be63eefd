"""Graph encoders: message passing between near nodes, at a cost linear in their number."""

from nco.policies.graph.convolution import GATv2, GraphTransformer
from nco.policies.graph.gated_gcn import GatedGCN
from nco.policies.graph.neighbours import Graph, near_graph

__all__ = ["GATv2", "GatedGCN", "Graph", "GraphTransformer", "near_graph"]
