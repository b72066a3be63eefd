"""How OR-Tools' routing model expresses when things happen, and how long routes take."""

from typing import TYPE_CHECKING

from nco.envs.constraints import DurationLimit, TimeWindows
from nco.solvers.scaling import LARGEST
from nco.solvers.times import times

if TYPE_CHECKING:
    from nco.solvers.ortools_rules import Draft, Model

TIME, DEPARTURE = "time", "departure"


def time_windows(draft: "Draft", rule: TimeWindows) -> None:
    """A dimension with slack for waiting: the moment at which service begins at each node."""
    _clock(draft, rule.release)


def duration_limit(draft: "Draft", rule: DurationLimit) -> None:
    """What passes between the departure, which is free, and the end of each route is bounded."""
    _clock(draft, rule.release)

    def add(model: "Model") -> None:
        known = times(draft.instance, draft.shape, LARGEST, rule.release)
        dimension = model.routing.GetDimensionOrDie(TIME)
        for vehicle, (kind, _) in enumerate(draft.vehicles):
            if known.limit[kind] < known.horizon:
                dimension.SetSpanUpperBoundForVehicle(int(known.limit[kind]), vehicle)

    draft.steps.append(add)


def _clock(draft: "Draft", release: bool) -> None:
    """Adds the dimension of time, unless another rule has."""

    def add(model: "Model") -> None:
        routing, manager = model.routing, model.manager
        if TIME in routing.GetAllDimensionNames():
            return
        known = times(draft.instance, draft.shape, LARGEST, release)
        transits: dict[int, int] = {}  # by identity: kinds of one speed share their matrix
        callbacks = []
        for kind, _ in draft.vehicles:
            travel = known.travel[kind]
            if id(travel) not in transits:
                busy = (travel + known.service[:, None]).tolist()
                transits[id(travel)] = routing.RegisterTransitMatrix(busy)
            callbacks.append(transits[id(travel)])
        horizon = known.horizon
        routing.AddDimensionWithVehicleTransits(callbacks, horizon, horizon, False, TIME)
        dimension = routing.GetDimensionOrDie(TIME)
        for node in draft.shape.customers:
            moment = dimension.CumulVar(manager.NodeToIndex(node))
            moment.SetRange(int(known.open[node]), int(known.close[node]))
        for vehicle, (start, end) in enumerate(draft.vehicles):
            first, last = dimension.CumulVar(routing.Start(vehicle)), routing.End(vehicle)
            first.SetRange(int(known.open[start]), int(known.close[start]))
            dimension.CumulVar(last).SetMax(int(known.close[end]))
        if release and known.release.any():
            _released(model, [int(moment) for moment in known.release], horizon)

    draft.steps.append(add)


def _released(model: "Model", release: list[int], horizon: int) -> None:
    """A dimension that is constant on each route, its departure: no earlier than any release."""
    routing, draft = model.routing, model.draft
    still = routing.RegisterUnaryTransitVector([0] * len(release))
    routing.AddDimension(still, 0, horizon, False, DEPARTURE)
    time, departure = (routing.GetDimensionOrDie(name) for name in (TIME, DEPARTURE))
    for node in draft.shape.customers:
        departure.CumulVar(model.manager.NodeToIndex(node)).SetMin(release[node])
    for vehicle in range(len(draft.vehicles)):
        start = routing.Start(vehicle)
        routing.solver().Add(time.CumulVar(start) >= departure.CumulVar(start))
