"""A tour of very many nodes to begin with."""

import torch
from tensordict import TensorDict

from nco.data.instance import num_nodes
from nco.data.metric import legs_from
from nco.data.nearest import nearest_points

NEAR = 10  # nodes that are looked at before all others are


def nearest_neighbour(instance: TensorDict) -> list[int]:
    """
    A tour that always goes on to the nearest node that it has not visited.

    Rosenkrantz, Stearns and Lewis (1977). A few neighbours of each node are known in advance, by
    their distance in the plane; where all of them are visited, all nodes are looked at.

    Parameters
    ----------
    instance
        Of batch size 1.
    """
    nodes = num_nodes(instance)
    near: list[list[int]] = [[] for _ in range(nodes)]
    if "distance" not in instance.keys() and nodes > NEAR:
        near = nearest_points(instance["locs"].cpu(), NEAR)[0].tolist()
    tour, free = [0], torch.ones(nodes, dtype=torch.bool, device=instance.device)
    left = set(range(1, nodes))
    free[0] = False
    while left:
        here = tour[-1]
        node = next((other for other in near[here] if other in left), None)
        if node is None:
            legs = legs_from(instance, torch.tensor([[here]], device=free.device))[0, 0]
            node = int(legs.masked_fill(~free, torch.inf).argmin())
        tour.append(node)
        left.discard(node)
        free[node] = False
    return tour
