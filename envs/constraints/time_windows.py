"""Service begins inside a time window."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.envs.base import State
from nco.envs.constraints.clock import Clock, seen
from nco.envs.features import time_unit
from nco.envs.plain import INF, Plain
from nco.envs.routes import Route, Violation
from nco.envs.schedule import schedule


class TimeWindows(Clock):
    """
    Service begins inside the window of every node; who comes early waits (VRPTW).

    The window of a depot is that of leaving and of the return: the mask tests the way home. Open
    routes need not return. See `Clock` for the attributes, state and arithmetic.

    Features: window and service time of each node (0 for a window without end), the closing time
    of the depots, the time in the decoder; in the unit of the policy's coordinates, so that they
    compare with distances.

    Parameters
    ----------
    release
        Whether goods have a ``release_time [B, N]``: a route leaves no earlier than the latest of
        its nodes' (VRPTW with release dates).
    """

    node_dim = 3
    vehicle_dim = 1
    context_dim = 1

    def __init__(self, release: bool = False):
        self.reads = ("time_windows", *(("release_time",) if release else ()))
        self.release = self.flexible = release
        self.node_dim = 3 + release

    def node_features(self, instance: TensorDict) -> Tensor:
        unit = time_unit(instance).view(-1, 1, 1)
        columns = [instance["time_windows"].nan_to_num(posinf=0)]
        for name in ("service_time", *(("release_time",) if self.release else ())):
            absent = torch.zeros_like(columns[0][..., 0])
            columns.append(instance.get(name, absent).unsqueeze(-1))
        return (torch.cat(columns, -1) / unit).float()

    def vehicle_features(self, instance: TensorDict) -> Tensor:
        hours = instance["time_windows"][:, : num_depots(instance), 1].nan_to_num(posinf=0)
        return (hours / time_unit(instance).unsqueeze(-1)).unsqueeze(-1).float()

    def context(self, state: State) -> Tensor:
        return seen(state, "time")

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        plain, found = Plain(instance), []
        for k, route in plain.known(routes):
            found += lateness(plain, route, k, self.release)[0]
        return found

    def refuses(self, plain: Plain, route: Route) -> Violation | None:
        late, _ = lateness(plain, route, None, self.release)
        if not late:
            return None
        message = f"node {route.visits[-1]} even on its own: {late[0].message}"
        return Violation("time window", message)


def lateness(
    plain: Plain, route: Route, k: int | None, release: bool, earliest: float = -INF
) -> tuple[list[Violation], float]:
    """The first node of a route that is served too late, if there is one; and when it ends."""
    times = schedule(plain, route, release, earliest)
    found = []
    for stop in times.late[:1]:
        begin, close = stop.begin / plain.time_steps, stop.close / plain.time_steps
        message = f"node {stop.node} at {begin:.10g}, window to {close:.10g}"
        found.append(Violation("time window", message, route=k, node=stop.node))
    return found, times.end
