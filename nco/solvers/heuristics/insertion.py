"""A tour to begin with."""

import numpy as np
from tensordict import TensorDict

from nco.data.metric import pairwise


def farthest_insertion(instance: TensorDict) -> list[int]:
    """
    A tour that always takes in the node farthest from it, where that costs least.

    Rosenkrantz, Stearns and Lewis (1977). All distances are held in memory at once; they may
    differ by direction.

    Parameters
    ----------
    instance
        Of batch size 1.
    """
    distance = pairwise(instance)[0].double().cpu().numpy()
    apart = distance.mean(0) + distance.mean(1)
    tour = np.array([int(apart.argmax())])
    nearest = np.minimum(distance[tour[0]], distance[:, tour[0]])
    nearest[tour[0]] = -1  # those on the tour are never the farthest
    while len(tour) < len(distance):
        node = int(nearest.argmax())
        after = np.roll(tour, -1)
        detour = distance[tour, node] + distance[node, after] - distance[tour, after]
        tour = np.insert(tour, int(detour.argmin()) + 1, node)
        np.minimum(nearest, distance[node], out=nearest)
        np.minimum(nearest, distance[:, node], out=nearest)
        nearest[tour] = -1
    return [int(node) for node in tour]
