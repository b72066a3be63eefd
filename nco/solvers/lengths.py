"""How long routes may be, as the integers of a classical solver."""

import numpy as np
from numpy.typing import NDArray

from nco.solvers.scaling import Scaling


def length_bounds(
    scaling: Scaling,
    distance: NDArray[np.float64],
    limit: NDArray[np.float64],
    depots: tuple[int, ...],
) -> NDArray[np.int64]:
    """
    Bounds ``[V]`` on sums of ``scaling.at_least(distance)``, rounded down.

    Where scaling is inexact they are moved by the units it takes to keep the routes with one
    customer that are possible: limits of generated instances often are just enough for these.

    Parameters
    ----------
    distance
        ``[N, N]``.
    limit
        ``[V]``, one for each depot node.
    """
    bounds = scaling.at_most(limit)
    legs = scaling.at_least(distance)
    for kind, depot in enumerate(depots):
        possible = distance[depot] + distance[:, depot] <= limit[kind]
        alone = legs[depot] + legs[:, depot]
        bounds[kind] = max(bounds[kind], alone[possible].max(initial=0))
    return bounds
