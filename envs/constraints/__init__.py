"""
The rules of routing problems, one a file.

How depots and fleets are represented
-------------------------------------
Depot nodes open the node order, one for each pair of a depot and a kind of vehicle (see
`nco.data.instance`): V of them, one by default. A move to depot node ``v`` does two things at
once: the running route ends *at the depot node it left*, and the next one begins at ``v``, with
the vehicle of ``v``. So the rules of a single depot hold unchanged (V = 1: a move to node 0 ends a
route and begins the next), no move is spent on choosing a vehicle, and a route never returns to
another depot than its own. With several depot nodes the first move chooses the first of them; when
every customer is served, the last move goes to the route's own one.

``State.first`` is the depot node of the running route, ``State.current`` where the vehicle is:
a depot node when the route has just begun. A rule asks ``action < V`` to know that a route ended,
and takes what belongs to a vehicle (``[B, V]``) at ``State.first``. For the checker a `Route` has
the depot node both as ``start`` and as ``end`` (None on an open route) and as ``vehicle``.

A vehicle that drives several trips (reloads) is a depot node of its own, to which the moves come
back; its routes are its trips in the order of the solution.

Rules that yield
----------------
Whether a limited fleet can still serve all customers is a packing problem: no cheap mask can tell.
Such a rule *yields*: where all rules together leave no move, it is lifted, so that every rollout is
completed; the checker then names what was broken, and `RoutingEnv.broken` tells it from the state
of complete rollouts. Everything else never yields: a rollout that is not broken is feasible.

Lengths, times and missing legs yield in the same way where a detour may be shorter than the direct
leg (rounded distances, matrices): masks test the shortest way home over any customers, so that they
forbid no solution, and what turns out to lead nowhere is lifted. See `nco.envs.bounds`.
"""

from nco.envs.constraints.allowed_vehicles import AllowedVehicles
from nco.envs.constraints.capacity import Capacity
from nco.envs.constraints.distance_limit import DistanceLimit
from nco.envs.constraints.duration_limit import DurationLimit
from nco.envs.constraints.fleet import Fleet, MinimumRoutes
from nco.envs.constraints.linehaul_first import LinehaulFirst, LinehaulOnEachRoute
from nco.envs.constraints.maximum_load import MaximumLoad
from nco.envs.constraints.minimum_prize import MinimumPrize
from nco.envs.constraints.mixed_load import MixedLoad
from nco.envs.constraints.multi_trip import TripWindows
from nco.envs.constraints.one_commodity import OneCommodity
from nco.envs.constraints.open_routes import OpenRoutes
from nco.envs.constraints.pickup_delivery import PickupDelivery
from nco.envs.constraints.single_precision import (
    SinglePrecisionCapacity,
    SinglePrecisionSplitCapacity,
)
from nco.envs.constraints.split_capacity import SplitCapacity
from nco.envs.constraints.time_windows import TimeWindows

__all__ = [
    "AllowedVehicles",
    "Capacity",
    "DistanceLimit",
    "DurationLimit",
    "Fleet",
    "LinehaulFirst",
    "LinehaulOnEachRoute",
    "MaximumLoad",
    "MinimumPrize",
    "MinimumRoutes",
    "MixedLoad",
    "OneCommodity",
    "OpenRoutes",
    "PickupDelivery",
    "SinglePrecisionCapacity",
    "SinglePrecisionSplitCapacity",
    "SplitCapacity",
    "TimeWindows",
    "TripWindows",
]
