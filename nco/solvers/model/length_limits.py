"""How long routes may be, as the integers of a classical solver."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nco.solvers.model.scaling import Scaling


def length_bounds(
    scaling: Scaling,
    distance: NDArray[np.float64],
    limit: NDArray[np.float64],
    depots: tuple[int, ...],
    pairs: Mapping[int, int] | None = None,
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
    pairs
        Shipments: routes with one of them are kept as well.
    """
    bounds = scaling.at_most(limit)
    legs = scaling.at_least(distance)
    for kind, depot in enumerate(depots):
        if pairs:
            ends = list(pairs.keys()), list(pairs.values())
            ways = distance[depot, ends[0]] + distance[ends] + distance[ends[1], depot]
            units = legs[depot, ends[0]] + legs[ends] + legs[ends[1], depot]
            bounds[kind] = max(bounds[kind], units[ways <= limit[kind]].max(initial=0))
        possible = distance[depot] + distance[:, depot] <= limit[kind]
        alone = legs[depot] + legs[:, depot]
        bounds[kind] = max(bounds[kind], alone[possible].max(initial=0))
    return bounds
