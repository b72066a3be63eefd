"""
How many vehicles are worth a place in a solver's model.

A vehicle for each customer is always enough, and at a thousand customers far too many: building and
searching such a model takes the time that solving needs. So the routes of a plain construction are
counted, which goes on to the nearest customer that fits, and a model gets a multiple of them.
"""

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.envs import RoutingEnv
from nco.solvers.model.costs import Costs
from nco.solvers.model.times import service_times, travel_times
from nco.solvers.model.vehicles import VehicleModel

FEW = 50  # vehicles of a kind that always have a place
PLENTY = 2.0  # vehicles for each route counted


def enough(
    env: RoutingEnv,
    instance: TensorDict,
    shape: VehicleModel,
    costs: Costs,
    distance: NDArray[np.float64],
) -> NDArray[np.int64]:
    """
    Vehicles of each kind, ``[V]``, that a good solution will hardly exceed.

    All that visits allow where more routes may be what costs less: where times are to be short, or
    vehicles come back for shipments.
    """
    kinds = len(shape.depots)
    paired = any(rule.aboard for rule in env.constraints)
    if shape.vehicles <= FEW or costs.time or costs.longest or paired:
        return np.full(kinds, shape.vehicles)
    counter = _Counter(env, instance, shape, distance)
    known: dict[tuple[float, ...], int] = {}
    counts = []
    for kind in range(kinds):
        key = counter.key(kind)
        if key not in known:
            known[key] = counter.routes(kind)
        counts.append(max(FEW, int(PLENTY * known[key]) + 10))
    return np.minimum(counts, shape.vehicles)


class _Counter:
    """What the construction looks at: loads, lengths and times, as floating point numbers."""

    def __init__(
        self,
        env: RoutingEnv,
        instance: TensorDict,
        shape: VehicleModel,
        distance: NDArray[np.float64],
    ):
        reads = env.reads
        loads = "capacity" in reads
        self.shape, self.distance = shape, distance
        nodes, kinds = len(distance), len(shape.depots)

        def read(name: str, size: int, default: float, known: bool = True) -> NDArray[np.float64]:
            if not known or name not in instance.keys():
                return np.full(size, default)
            value = instance[name][0].double().cpu().numpy()
            return np.broadcast_to(value, (size,)).astype(float)

        # One of both fits where the other one is nothing; else to add them is on the safe side.
        self.loads = [read("demand", nodes, 0.0, loads), read("backhaul", nodes, 0.0, loads)]
        if "linehaul_first" not in reads:
            self.loads = [np.maximum(*self.loads)]
        self.capacity = read("capacity", kinds, np.inf, loads)
        self.longest = read("distance_limit", kinds, np.inf, "distance_limit" in reads)
        bounded = "duration_limit" in reads
        timed = bounded or "time_windows" in reads
        self.duration = read("duration_limit", kinds, np.inf, bounded)
        self.travel = travel_times(instance, shape) if timed else [np.zeros_like(distance)] * kinds
        self.service = service_times(instance)
        self.windows = np.stack([np.zeros(nodes), np.full(nodes, np.inf)], -1)
        if timed and "time_windows" in instance.keys():
            self.windows = instance["time_windows"][0].double().cpu().numpy().copy()
        if shape.open:
            self.windows[list(shape.depots), 1] = np.inf

    def key(self, kind: int) -> tuple[float, ...]:
        """What tells the routes of a kind of vehicle apart."""
        numbers = (self.capacity[kind], self.longest[kind], self.duration[kind])
        return (*numbers, id(self.travel[kind]), *self.distance[kind, len(self.shape.depots) :])

    def routes(self, depot: int) -> int:
        """Routes of the construction; whom no route can serve counts as one."""
        distance, travel, windows = self.distance, self.travel[depot], self.windows
        waiting = np.zeros(len(distance), dtype=bool)
        waiting[list(self.shape.customers)] = True
        count = 0
        while waiting.any():
            count += 1
            current, length, time, begun = depot, 0.0, windows[depot, 0], None
            loads = [0.0] * len(self.loads)
            while True:
                begin = np.maximum(time + travel[current], windows[:, 0])
                end = begin + self.service + travel[:, depot]
                far = length + distance[current]
                left = begin - travel[depot] if begun is None else begun
                fits = waiting & (begin <= windows[:, 1]) & (end <= windows[depot, 1])
                fits &= (far + distance[:, depot] <= self.longest[depot]) & (
                    end - left <= self.duration[depot]
                )
                for load, amounts in zip(loads, self.loads, strict=True):
                    fits &= load + amounts <= self.capacity[depot]
                if not fits.any():
                    break
                wait = begin - time if np.isfinite(windows[:, 1]).any() else distance[current]
                node = int(np.where(fits, wait, np.inf).argmin())
                begun = float(begin[node] - travel[depot, node]) if begun is None else begun
                length, time = float(far[node]), float(begin[node] + self.service[node])
                loads = [
                    load + amounts[node] for load, amounts in zip(loads, self.loads, strict=True)
                ]
                waiting[node] = False
                current = node
            if current == depot:  # no customer fits any vehicle of this kind
                break
        return count + int(waiting.sum() > 0)
