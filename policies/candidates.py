"""The nodes near where a vehicle stands, found anew at every step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nco.envs import Features


@dataclass(frozen=True)
class Candidates:
    """
    The few nodes that a restricted decoder looks at.

    Parameters
    ----------
    nodes
        Their indices, ``[B, R, C]``.
    mask
        Which of them may come next, ``[B, R, C]`` bool.
    distance
        From the current node, ``[B, R, C]``; where there is none, from node 0.
    """

    nodes: Tensor
    mask: Tensor
    distance: Tensor


def nearest_allowed(
    features: Features, current: Tensor, mask: Tensor, count: int, num_depots: int
) -> Candidates:
    """
    The nearest customers that may come next, and all depots.

    Nodes that the mask forbids are passed over, so that wherever there is a move, there is one
    among the candidates: with all near customers served, they are those that are left, however
    far. Before the first node of a tour they are the ones around node 0. One row of distances a
    rollout is computed, never a table of all pairs.

    Parameters
    ----------
    features
        Of the instances: distances if they have them, else coordinates.
    current
        Where the vehicles are, ``[B, R]``; -1 before the first node.
    mask
        ``[B, R, N]`` bool.
    count
        Customers to look at.
    num_depots
        Depots at the front of the node order.
    """
    distance = distances_from(features, current.clamp_min(0))
    key = distance.masked_fill(~mask, torch.inf)
    key[..., :num_depots] = -1
    nodes = key.topk(count + num_depots, dim=-1, largest=False).indices
    return Candidates(nodes, mask.gather(-1, nodes), distance.gather(-1, nodes))


def distances_from(features: Features, origin: Tensor) -> Tensor:
    """Distances ``[B, R, N]`` from nodes ``[B, R]`` to all nodes, in the unit of coordinates."""
    batch = torch.arange(len(origin), device=origin.device).unsqueeze(-1)
    if features.distance is not None:
        return features.distance[batch, origin].float()
    assert features.coords is not None
    here = features.coords[batch, origin]
    return torch.cdist(here, features.coords, compute_mode="donot_use_mm_for_euclid_dist")
