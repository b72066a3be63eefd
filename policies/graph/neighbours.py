"""The graph that message passing runs on: near customers, and the depot with every customer."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nco.data.nearest import nearest_points
from nco.envs import Features

BLOCK = 2**22  # distances that are in memory at once
TREE = 1000  # points from which on a tree is faster


@dataclass(frozen=True)
class Graph:
    """
    A directed graph over the nodes of B instances, all with the same number of edges.

    Parameters
    ----------
    edges
        Source and target of every edge, ``[2, B * E]``, instance after instance; node i of
        instance b has the number ``b * N + i``.
    lengths
        Distance from source to target, and back, ``[B * E, 2]``.
    """

    edges: Tensor
    lengths: Tensor


def near_graph(features: Features, neighbours: int, num_depots: int) -> Graph:
    """
    Connects every customer with its nearest ones, and every depot with all nodes.

    A customer hears from its ``neighbours`` nearest customers (all others, if there are fewer) and
    from every depot; a depot from every customer. Thus E = ``neighbours`` * customers
    + 2 * depots * customers + depots * (depots - 1), and no edge occurs twice.

    Parameters
    ----------
    features
        Of the instances: distances if they have them, else coordinates.
    neighbours
        Customers that a customer hears from.
    num_depots
        Depots at the front of the node order.
    """
    batch, nodes, _ = features.nodes.shape
    device = features.nodes.device
    near = nearest(features, min(neighbours, nodes - num_depots - 1), num_depots)
    customers = torch.arange(num_depots, nodes, device=device)
    target = customers.unsqueeze(-1).expand_as(near[0]).expand_as(near)
    depot, node = torch.cartesian_prod(
        torch.arange(num_depots, device=device), torch.arange(nodes, device=device)
    ).unbind(-1)
    other = depot != node
    back = node >= num_depots  # between depots, both directions are there already
    fixed = [torch.cat([depot[other], node[back]]), torch.cat([node[other], depot[back]])]
    ends = [
        torch.cat([part.flatten(1), always.expand(batch, -1)], dim=1)
        for part, always in zip((near, target), fixed, strict=True)
    ]
    lengths = torch.stack([_lengths(features, *ends), _lengths(features, *ends[::-1])], dim=-1)
    offset = torch.arange(batch, device=device).unsqueeze(-1) * nodes
    edges = torch.stack([(end + offset).flatten() for end in ends])
    return Graph(edges, lengths.flatten(0, 1))


def nearest(features: Features, count: int, first: int = 0, block: int = BLOCK) -> Tensor:
    """
    The nearest other nodes of every node, ``[B, N - first, count]``, the nearest one first.

    Exact. Large sets of points on the CPU are searched by a tree, in N log N; everything else by
    looking at all pairs, of which at most ``block`` (and one row a node of each instance) are in
    memory at once.

    Parameters
    ----------
    features
        Distances (then a node's neighbours are those that it reaches soonest) or coordinates.
    count
        Neighbours of each node, less than the nodes there are.
    first
        Nodes before this one have no neighbours and are none.
    block
        Distances that are in memory at once.
    """
    coords = features.coords if features.distance is None else None
    many = features.nodes.shape[1] - first >= TREE
    if coords is not None and coords.device.type == "cpu" and many:
        return nearest_points(coords[:, first:], count) + first
    return nearest_by_rows(features, count, first, block)


def nearest_by_rows(features: Features, count: int, first: int, block: int) -> Tensor:
    """See `nearest`: by brute force, some rows of the distances of all pairs at a time."""
    batch, nodes, _ = features.nodes.shape
    rows = max(1, block // (batch * nodes))
    found = []
    for begin in range(first, nodes, rows):
        end = min(begin + rows, nodes)
        distance = _block(features, begin, end, first)
        inner = torch.arange(end - begin, device=distance.device)
        distance[:, inner, inner + begin - first] = torch.inf
        order = distance.topk(count, dim=-1, largest=False).indices
        found.append(order + first)
    return torch.cat(found, dim=1)


def _block(features: Features, begin: int, end: int, first: int) -> Tensor:
    """A copy of the distances from nodes begin..end to those from ``first`` on."""
    if features.distance is not None:
        return features.distance[:, begin:end, first:].clone()
    assert features.coords is not None
    from_rows, to = features.coords[:, begin:end], features.coords[:, first:]
    return torch.cdist(from_rows, to, compute_mode="donot_use_mm_for_euclid_dist")


def _lengths(features: Features, source: Tensor, target: Tensor) -> Tensor:
    """Distances ``[B, E]`` between given nodes ``[B, E]``."""
    if features.distance is not None:
        flat = source * features.distance.shape[-1] + target
        return features.distance.flatten(1).gather(1, flat).float()
    assert features.coords is not None
    wide = source.unsqueeze(-1).expand(-1, -1, 2), target.unsqueeze(-1).expand(-1, -1, 2)
    return (features.coords.gather(1, wide[0]) - features.coords.gather(1, wide[1])).norm(dim=-1)
