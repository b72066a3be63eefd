"""The shortest ways between nodes over other customers: what no route can be quicker than."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.metric import Metric
from nco.data.metric import pairwise as all_legs
from nco.envs.checking.view import InstanceView

Matrix = NDArray[np.float64]
MAX_NODES = 5000  # a matrix of 200 MB; beyond it, ways of length 0 bound nothing
ROUNDING = 1e-12  # relative: what the order of a sum may change it by
DIRECT = {Metric.EUCLIDEAN, Metric.GREAT_CIRCLE}  # unrounded: no detour is shorter


class ShortestWays(InstanceView):
    """
    An instance in plain numbers whose legs are shortest ways: a relaxation.

    A way leads over any customers, but over no other depot, and counts the service at every
    customer between its ends; windows, loads and repeated visits are left out of account. So a
    route through some nodes in an order is never shorter or quicker than the legs from one of them
    to the next here, with or without the triangle inequality, and a rule that refuses those refuses
    every such route. Where the direct leg is the shortest way it is that number to the last bit;
    other ways are shorter by `ROUNDING`.
    """

    def lengths(self, stops: Sequence[int]) -> list[float]:
        if self._is_direct("length"):
            return super().lengths(stops)
        return [self._way("length", 1.0, a, b) for a, b in pairwise(stops)]

    def times(self, stops: Sequence[int], vehicle: int = 0) -> list[float]:
        if self._is_direct("time"):
            return super().times(stops, vehicle)
        speed = self.of_vehicle("speed", vehicle, 1)
        return [self._way("time", speed, a, b) for a, b in pairwise(stops)]

    def _is_direct(self, kind: str) -> bool:
        """Whether the metric keeps a detour from being shorter."""
        if "distance" in self.instance.keys() or (kind == "time" and self.has("duration")):
            return False
        return not self.has("metric") or Metric(int(self.instance["metric"][0])) in DIRECT

    def _way(self, kind: str, speed: float, origin: int, target: int) -> float:
        if self.nodes > MAX_NODES or origin == target:
            return 0.0
        direct = float(self._legs(kind, speed)[origin, target])
        if target < self.depots:
            way = self._ways(kind, speed, target, True)[origin]
        else:
            way = self._ways(kind, speed, origin, False)[target]
        # Sums of times are rounded as coarsely as the moments are late.
        if way == np.inf:
            return direct
        slack = ROUNDING * (way + self._late * (kind == "time"))
        return direct if direct - slack <= way else max(float(way) - slack, 0.0)

    def _ways(self, kind: str, speed: float, node: int, back: bool) -> Matrix:
        """Shortest ways from a node to all others, or back from all others to it."""
        # Here: slow to import, for where detours may be shorter alone.
        from scipy.sparse.csgraph import csgraph_from_dense, dijkstra

        key = (kind, speed, node, back)
        if key not in self._known:
            legs = self._legs(kind, speed).copy()
            service = np.array(self.service if kind == "time" else [0.0] * self.nodes)
            others = [depot for depot in range(self.depots) if depot != node]
            # The service at the near end of a leg: the one at the source is no part of the way.
            legs += service[:, None]
            legs[others] = np.inf  # a way may end at another depot, but not lead on from it
            if back:
                legs = legs.T
            graph = csgraph_from_dense(legs, null_value=np.inf)
            found: Matrix = dijkstra(graph, indices=node)
            # Back, it was counted for the origins; there, for the node itself.
            self._known[key] = found - (service if back else service[node])
        return self._known[key]

    @cached_property
    def _late(self) -> float:
        """The size of the moments to which times are added."""
        windows = [moment for window in self.windows for moment in window if moment != np.inf]
        return max(*windows, *self.service, *self.release, 0.0)

    @cached_property
    def _known(self) -> dict[tuple[str, float, int, bool], Matrix]:
        return {}

    @cached_property
    def _tables(self) -> dict[tuple[str, float], Matrix]:
        return {}

    def _legs(self, kind: str, speed: float) -> Matrix:
        """All legs in steps, ``[N, N]``."""
        if (kind, speed) not in self._tables:
            given = kind == "time" and self.has("duration")
            instance = self.instance
            if given:
                instance = TensorDict({"distance": instance["duration"]}, batch_size=[1])
            legs = all_legs(instance)[0].double().cpu().numpy()
            steps = self.time_steps if given else self.length_steps
            if steps != 1:
                legs = legs * steps
                whole = legs.round()
                legs = np.where(np.abs(legs - whole) < 1e-6, whole, legs)
            legs = legs / speed
            self._tables[kind, speed] = np.where(np.isnan(legs), np.inf, legs)
        return self._tables[kind, speed]
