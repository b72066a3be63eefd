"""When a finished route does what, in plain numbers: for the checker and for costs."""

from dataclasses import dataclass, field

from nco.envs.checking.routes import Route
from nco.envs.checking.view import INF, InstanceView, stops_of


@dataclass(frozen=True)
class Stop:
    """
    A stop that comes too late.

    Parameters
    ----------
    node
        Where.
    begin, close
        The moment at which service would begin (at a depot: the return), and the last allowed one.
    """

    node: int
    begin: float
    close: float


@dataclass(frozen=True)
class Visit:
    """
    A stop of a route behind its start, all in the time steps of the instance.

    Parameters
    ----------
    node
        Where: a customer, or the depot in the end.
    arrival, begin, departure
        When the vehicle comes, begins to serve and leaves; all the same at the depot.
    """

    node: int
    arrival: float
    begin: float
    departure: float


@dataclass(frozen=True)
class Schedule:
    """
    A route driven as early as possible, all in the time steps of the instance.

    Parameters
    ----------
    end
        When it is over: back at the depot, or done with the last customer of an open route.
    duration
        The least time that it can take from leaving to the end, if it leaves as late as it may.
    late
        Stops that are late, in order. The rest of the route is timed as if they were not.
    leave
        When it leaves its depot, ready to.
    visits
        Its stops, in order. With goods to be released they are those of a vehicle that does not
        wait for the goods of later stops: see `nco.envs.checking.itinerary`.
    """

    end: float
    duration: float
    late: list[Stop] = field(default_factory=list)
    leave: float = 0.0
    visits: list[Visit] = field(default_factory=list)


def schedule(
    plain: InstanceView, route: Route, release: bool = False, earliest: float = -INF
) -> Schedule:
    """
    Times a route.

    Parameters
    ----------
    plain
        The instance.
    route
        A route of known nodes.
    release
        Whether it waits for the goods of its nodes to be released.
    earliest
        When the vehicle is at its depot, ready to leave.
    """
    windows, service = plain.windows, plain.service
    released = plain.release if release else [-INF] * plain.nodes
    stops = stops_of(route)
    ready = max(earliest, windows[stops[0]][0] if route.start is not None else 0.0)
    # The departure may be anything from `leave` to `latest`; without waiting it takes `busy`.
    leave, busy, latest = ready, 0.0, INF
    begins, late, visits = ready, [], []
    customers = set(route.visits)
    for node, travel in zip(stops[1:], plain.times(stops, route.vehicle), strict=True):
        first, last = windows[node]
        arrival = ready + travel
        if arrival > last:
            late.append(Stop(node, arrival, last))
        busy += travel
        latest = min(latest, last - busy)
        if node not in customers:  # the return
            visits.append(Visit(node, arrival, arrival, arrival))
            ready = arrival
            break
        begin = max(arrival, first)
        ready = begin + service[node]
        visits.append(Visit(node, arrival, begin, ready))
        busy += service[node]
        if released[node] > latest:
            late.append(Stop(node, released[node] + busy - service[node], last))
        ready = max(ready, released[node] + busy)
        leave = max(leave, released[node])
    return Schedule(ready, max(ready - max(latest, leave), busy), late, begins, visits)
