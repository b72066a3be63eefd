"""How OR-Tools' routing model expresses when things happen, and how long routes take."""

from collections.abc import Callable, Iterator

import numpy as np

from nco.envs.constraints import DurationLimit, TimeWindows, TripWindows
from nco.solvers.model.terms import Given, Term, Timed
from nco.solvers.model.times import Times, require_windows
from nco.solvers.ortools.model import Add, Model

TIME, DEPARTURE = "time", "departure"


def time_windows(given: Given, rule: TimeWindows | TripWindows) -> Iterator[Term]:
    """A dimension with slack for waiting: the moment at which service begins at each node."""
    yield Timed(rule.release)


def duration_limit(given: Given, rule: DurationLimit) -> Iterator[Term]:
    """What passes between the departure, which is free, and the end of each route is bounded."""
    require_windows(given.env, given.instance, rule, "ortools")
    yield Timed(rule.release)

    def add(model: Model) -> None:
        known = times_of(model)
        dimension = model.routing.GetDimensionOrDie(TIME)
        for vehicle, kind in enumerate(model.vehicles):
            if known.limit[kind] < known.horizon:
                dimension.SetSpanUpperBoundForVehicle(int(known.limit[kind]), vehicle)

    yield Add(add)


def times_of(model: Model) -> Times:
    """When things may happen, where something has its time."""
    assert model.plan.times is not None
    return model.plan.times


def clock(given: Given, release: bool) -> Callable[[Model], None]:
    """The dimension of time."""

    def add(model: Model) -> None:
        routing = model.routing
        known = times_of(model)
        # Loading for another trip is part of the way to where that is done.
        service = np.where(np.arange(len(known.service)) < given.kinds, 0, 1)
        busy: dict[int, int] = {}  # by identity: kinds of one speed share their matrix
        callbacks = []
        for kind in model.vehicles:
            travel = known.travel[kind]
            if id(travel) not in busy:
                legs = travel + (known.service * service)[:, None]
                busy[id(travel)] = (
                    _with_loading(model, legs, known.service)
                    if model.again()
                    else model.matrix(legs)
                )
            callbacks.append(busy[id(travel)])
        horizon = known.horizon
        routing.AddDimensionWithVehicleTransits(callbacks, horizon, horizon, False, TIME)
        dimension = routing.GetDimensionOrDie(TIME)
        for node, index in model.customers():
            moment = dimension.CumulVar(index)
            moment.SetRange(int(known.open[node]), int(known.close[node]))
        for kind, index in model.again():
            last = int(known.close[kind] + known.service[kind])
            dimension.CumulVar(index).SetRange(int(known.open[kind]), min(last, horizon))
        for vehicle, kind in enumerate(model.vehicles):
            first, last_one = routing.Start(vehicle), routing.End(vehicle)
            dimension.CumulVar(first).SetRange(int(known.open[kind]), int(known.close[kind]))
            dimension.CumulVar(last_one).SetMax(int(known.close[kind]))
        if release and known.release.any():
            _released(model, [int(moment) for moment in known.release], horizon)

    return add


def _with_loading(model: Model, legs: np.ndarray, service: np.ndarray) -> int:
    """Registers legs where the way to a depot to reload at takes the loading there, too."""
    matrix = legs[np.ix_(model.stops, model.stops)]
    first = len(legs)
    matrix[:, first:] += service[model.stops[first:]]
    return int(model.routing.RegisterTransitMatrix(matrix.tolist()))


def _released(model: Model, release: list[int], horizon: int) -> None:
    """
    A dimension that is constant on each trip, its departure: no earlier than any release.

    It may grow where a vehicle reloads. Times there are those of leaving.
    """
    routing = model.routing
    still = routing.RegisterUnaryTransitVector([0] * len(model.stops))
    routing.AddDimension(still, horizon if model.again() else 0, horizon, False, DEPARTURE)
    time, departure = (routing.GetDimensionOrDie(name) for name in (TIME, DEPARTURE))
    solver = routing.solver()
    for node, index in model.customers():
        departure.CumulVar(index).SetMin(release[node])
        if model.again():
            departure.SlackVar(index).SetValue(0)
    for _, index in model.again():
        leaves = departure.CumulVar(index) + departure.SlackVar(index)
        solver.Add(time.CumulVar(index) >= leaves)
    for vehicle in range(len(model.vehicles)):
        start = routing.Start(vehicle)
        if model.again():
            departure.SlackVar(start).SetValue(0)
        solver.Add(time.CumulVar(start) >= departure.CumulVar(start))
