"""When each vehicle of finished routes is where, and with what: a record for every stop."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tensordict import TensorDict

from nco.envs.checking.routes import Route
from nco.envs.checking.schedule import Visit, schedule
from nco.envs.checking.view import INF, InstanceView, stops_of

if TYPE_CHECKING:
    from nco.envs.env import RoutingEnv


def itinerary(
    env: "RoutingEnv", instance: TensorDict, routes: Sequence[Route]
) -> list[dict[str, Any]]:
    """
    The stops of finished routes in order, timed as the checker does.

    A vehicle leaves its depot as late as it may without being later at its first customer, and then
    drives on as early as possible. Trips of one vehicle follow one another.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).
    routes
        Routes of known nodes that visit customers.

    Returns
    -------
    list
        For every stop ``route`` (its index), ``vehicle``, ``node``, ``arrival``, ``wait``,
        ``start``, ``departure``, ``load`` where a rule is about loads, and ``distance`` from the
        start of the route; times and distances in the unit of the instance.
    """
    plain = InstanceView(instance)
    routes = [route for route in routes if plain.knows(route)]
    release = "release_time" in env.reads
    known = (rule.loads(plain, routes) for rule in env.constraints)
    loads = next((found for found in known if found is not None), None)
    ready: dict[int, float] = {}
    records = []
    for k, route in enumerate(routes):
        earliest = ready.get(route.vehicle, -INF) if env.trips else -INF
        if release:
            earliest = max(earliest, *(plain.release[node] for node in route.visits))
        visits = _stops(plain, route, earliest)
        stops = stops_of(route)
        distance = 0.0
        for position, visit in enumerate(visits):
            if position:
                distance += plain.lengths(stops[position - 1 : position + 1])[0]
            record: dict[str, Any] = {"route": k, "vehicle": route.vehicle, "node": visit.node}
            moments = (visit.arrival, visit.begin - visit.arrival, visit.begin, visit.departure)
            for name, time in zip(("arrival", "wait", "start", "departure"), moments, strict=True):
                record[name] = time / plain.time_steps
            if loads is not None:  # back at the depot, what was collected is still aboard
                record["load"] = loads[k][min(position, len(route.visits))]
            record["distance"] = distance / plain.length_steps
            records.append(record)
        ready[route.vehicle] = visits[-1].departure + plain.service[route.vehicle]
    return records


def _stops(plain: InstanceView, route: Route, earliest: float) -> list[Visit]:
    """All stops of a route, its start included."""
    times = schedule(plain, route, earliest=earliest)
    start, leave = stops_of(route)[0], times.leave
    if route.start is not None:
        first = times.visits[0]
        leave += first.begin - first.arrival
        waited = Visit(first.node, first.begin, first.begin, first.departure)
        return [Visit(start, leave, leave, leave), waited, *times.visits[1:]]
    return [Visit(start, leave, leave, leave), *times.visits]
