"""When things may happen, as the integers of a classical solver."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.envs import Route, RoutingEnv
from nco.envs.checking.schedule import schedule
from nco.envs.checking.view import InstanceView
from nco.envs.constraint import Constraint
from nco.envs.objective import Objective
from nco.solvers.model.scaling import MOST, Scaling, bounding_scaling, steps
from nco.solvers.model.vehicles import VehicleModel


@dataclass(frozen=True)
class Times:
    """
    Travel, services and windows of one instance.

    Amounts of time are rounded up and windows inwards where they are no integers: who is in time
    by these numbers is in time by the checker's.

    Parameters
    ----------
    scaling
        How times became integers.
    travel
        For each kind of vehicle ``[N, N]``; nothing to the depots where routes end on the way.
    service, open, close, release
        ``[N]``; ``close`` is at most `horizon`.
    limit
        ``[V]``, how long routes may take; at most `horizon`.
    horizon
        A moment after which nothing happens in a route driven as early as possible.
    """

    scaling: Scaling
    travel: list[NDArray[np.int64]]
    service: NDArray[np.int64]
    open: NDArray[np.int64]
    close: NDArray[np.int64]
    release: NDArray[np.int64]
    limit: NDArray[np.int64]
    horizon: int

    def finer(self, by: int) -> "Times":
        """The same in units so many times smaller: nothing is lost, nothing won."""
        if by == 1:
            return self
        # Kinds of one speed share their matrix, and are recognised by that.
        travel = {id(matrix): matrix * by for matrix in self.travel}
        return Times(
            scaling=replace(self.scaling, factor=self.scaling.factor * by),
            travel=[travel[id(matrix)] for matrix in self.travel],
            service=self.service * by,
            open=self.open * by,
            close=self.close * by,
            release=self.release * by,
            limit=self.limit * by,
            horizon=self.horizon * by,
        )


def times(instance: TensorDict, shape: VehicleModel, largest: int, release: bool) -> Times:
    """
    The times of an instance; attributes that it lacks say nothing.

    Parameters
    ----------
    largest
        Bound on the integers of single legs.
    release
        Whether routes wait for the release of what they carry.
    """
    kinds, depots = len(shape.depots), list(shape.depots)
    legs, by_speed, speed = _travel(instance, shape)
    nodes = len(legs)
    service = service_times(instance)
    goods = _of(instance, "release_time" if release else "", nodes, 0.0)
    limit = _of(instance, "duration_limit", kinds, np.inf)
    windows = np.stack([np.zeros(nodes), np.full(nodes, np.inf)], -1)
    if "time_windows" in instance.keys():
        windows = instance["time_windows"][0].double().cpu().numpy().copy()
    if shape.open:
        windows[depots, 1] = np.inf  # no vehicle returns
    origin = min(0.0, float(windows[:, 0].min()))  # solvers begin at 0
    windows -= origin
    goods = np.maximum(goods - origin, 0)

    hours = np.concatenate([service, goods, limit, windows.ravel()])
    driven = np.concatenate(list(by_speed.values()))
    scaling = bounding_scaling(driven, hours, largest, steps(_timed(instance)))
    travel = {value: scaling.at_least(matrix) for value, matrix in by_speed.items()}
    served, ready = scaling.at_least(service), scaling.at_least(windows[:, 0])
    released, close = scaling.at_least(goods), scaling.at_most(windows[:, 1])
    most = scaling.at_most(limit)
    # A window shorter than a unit: what begins up to a unit later in truth also ends later.
    short = ready > close
    ready, served = np.where(short, close, ready), served + short
    longest = np.max([matrix.max(axis=1) for matrix in travel.values()], axis=0)
    horizon = int(max(ready.max(), released.max()) + longest.sum() + served.sum())
    found = Times(
        scaling=scaling,
        travel=[travel[value] for value in speed],
        service=served,
        open=ready,
        close=np.minimum(close, horizon),
        release=released,
        limit=np.minimum(most, horizon),
        horizon=min(horizon, MOST),
    )
    if not scaling.exact:
        for kind, depot in enumerate(depots):
            matrix = by_speed[speed[kind]]
            _allow_alone(found, kind, depot, matrix, windows, service, goods, limit[kind])
        if "delivery" in instance.keys():
            _allow_pairs(found, instance, shape, release)
    return found


def require_windows(
    env: RoutingEnv, instance: TensorDict, part: Constraint | Objective, solver: str
) -> None:
    """
    Whether the windows that waiting is measured by are also kept.

    Raises
    ------
    InputError
        There are windows without a rule, which solvers would keep.
    """
    kept = any("time_windows" in rule.reads for rule in env.constraints)
    if "time_windows" in instance.keys() and not kept:
        name = type(part).__name__
        raise InputError(f"{solver} cannot express {name}, expected the rule TimeWindows with it")


def travel_times(instance: TensorDict, shape: VehicleModel) -> list[NDArray[np.float64]]:
    """Travel times ``[N, N]`` of each kind of vehicle; kinds of one speed share their matrix."""
    _, by_speed, speed = _travel(instance, shape)
    return [by_speed[value] for value in speed]


def service_times(instance: TensorDict) -> NDArray[np.float64]:
    """Service times ``[N]``."""
    return _of(instance, "service_time", num_nodes(instance), 0.0)


def _travel(
    instance: TensorDict, shape: VehicleModel
) -> tuple[NDArray[np.float64], dict[float, NDArray[np.float64]], NDArray[np.float64]]:
    """What speeds divide, ``[N, N]``, travel times by speed, and each kind's speed."""
    legs = shape.distances(_timed(instance))
    speed = _of(instance, "speed", len(shape.depots), 1.0)
    return legs, {v: legs / v if v != 1 else legs for v in np.unique(speed)}, speed


def _timed(instance: TensorDict) -> TensorDict:
    """An instance whose distances are the travel times."""
    if "duration" not in instance.keys():
        return instance
    return TensorDict({"distance": instance["duration"]}, batch_size=[1])


def _allow_alone(
    found: Times,
    kind: int,
    depot: int,
    legs: NDArray[np.float64],
    windows: NDArray[np.float64],
    service: NDArray[np.float64],
    goods: NDArray[np.float64],
    limit: float,
) -> None:
    """
    Moves bounds by the units it takes to keep the routes with one customer that are possible.

    Windows and limits of generated instances often are just enough for these.
    """
    out, back = legs[depot], legs[:, depot]
    arrival = windows[depot, 0] + out
    in_time = (arrival <= windows[:, 1]) & (goods <= windows[:, 1] - out)
    end = np.maximum(np.maximum(arrival, windows[:, 0]) + service, goods + (out + service)) + back
    home = in_time & (end <= windows[depot, 1])
    short = home & (out + service + back <= limit)
    there, again = found.travel[kind][depot], found.travel[kind][:, depot]
    reached = np.maximum(found.open[depot], found.release) + there
    found.close[:] = np.where(in_time, np.maximum(found.close, reached), found.close)
    returned = np.maximum(reached, found.open) + found.service + again
    found.close[depot] = max(found.close[depot], returned[home].max(initial=0))
    busy = there + found.service + again
    found.limit[kind] = max(found.limit[kind], busy[short].max(initial=0))


def _allow_pairs(found: Times, instance: TensorDict, shape: VehicleModel, release: bool) -> None:
    """The same for routes with one shipment, as the checker times them."""
    plain = InstanceView(instance)
    shipments = [(p, int(d)) for p, d in enumerate(plain.of_nodes("delivery")) if d]
    for kind, depot in enumerate(shape.depots):
        for pair in shipments:
            route = Route(pair, depot, None if shape.open else depot, kind)
            timed = schedule(plain, route, release)
            if timed.late:
                continue
            travel, leave = found.travel[kind], int(found.open[depot])
            if release:
                leave = max(leave, *(int(found.release[node]) for node in pair))
            ready, busy, latest, at = leave, 0, int(MOST), depot
            for node in (*pair, depot):
                ready, busy = ready + int(travel[at, node]), busy + int(travel[at, node])
                found.close[node] = max(found.close[node], ready)
                latest, at = min(latest, int(found.close[node]) - busy), node
                if node != depot:
                    ready = max(ready, int(found.open[node])) + int(found.service[node])
                    busy += int(found.service[node])
            if timed.duration <= plain.of_vehicle("duration_limit", kind, np.inf):
                taken = max(ready - max(latest, leave), busy)
                found.limit[kind] = max(found.limit[kind], taken)


def _of(instance: TensorDict, name: str, size: int, default: float) -> NDArray[np.float64]:
    """An attribute as ``[size]``, whether it is given once or for each."""
    if name not in instance.keys():
        return np.full(size, default)
    value: NDArray[np.float64] = instance[name][0].double().cpu().numpy()
    return np.broadcast_to(value, (size,)).copy()
