"""Service begins inside a time window."""

from collections.abc import Collection, Sequence
from typing import Self

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots, num_nodes
from nco.data.native import keeps
from nco.data.neutral import is_neutral
from nco.envs import native
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.schedule import schedule
from nco.envs.checking.view import INF, InstanceView
from nco.envs.component import Component
from nco.envs.normalisation import time_unit
from nco.envs.resources.clock import Clock, seen
from nco.envs.resources.resource import to_every
from nco.envs.resources.travel import of_vehicle, pick_rows, single, stays_out, time_kind
from nco.envs.state import State

PLENTY = 2.0  # time to spare that is as good as any more
NEAR = 2**6  # double precision numbers around a sum, among which its exact bound is


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
    ahead
        Whether a policy also sees, at every step, what going to each node would mean: the way
        there, the wait for its window, and the time by which the arrival is early enough, at most
        `PLENTY`; in the unit of the policy's coordinates.
    """

    node_dim = 3
    vehicle_dim = 1
    context_dim = 1

    def __init__(self, release: bool = False, ahead: bool = False):
        if release and ahead:
            raise ValueError("release and ahead: no last arrival is known")
        self.reads = ("time_windows", *(("release_time",) if release else ()))
        self.release = self.flexible = release
        self.ahead = ahead
        self.dynamic_dim = 3 if ahead else 0
        self.node_dim = 3 + release

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return is_neutral(instance, "time_windows")

    def serves(self, other: Component) -> dict[str, int] | None:
        """With ``ahead``, only more is seen."""
        if isinstance(other, TimeWindows) and type(other) is type(self):
            narrower = self.ahead and other.release == self.release
            return {} if narrower else super().serves(other)
        return super().serves(other)

    @classmethod
    def asked(cls, stated: Collection[str]) -> Self | None:
        trips = cls.trips == ("trips" in stated)
        return cls("release_time" in stated) if "time_windows" in stated and trips else None

    def tables(self, instance: TensorDict) -> dict[str, Tensor]:
        found = super().tables(instance)
        if type(self).extend is not Clock.extend or self.flexible:
            return found
        return {**found, "last arrival": last_arrivals(instance, found, self.home_table)}

    def feasible(self, state: State) -> Tensor:
        if "last arrival" not in state.tables:
            return super().feasible(state)
        table, time = state.tables["last arrival"], state.parts["time"]
        travel = self._plain_travel(state)
        if travel is not None and native.fits(time, state.current, state.first, travel, table):
            return native.in_time(time, state.current, state.first, travel, table)
        last = pick_rows(table, state.first.clamp_min(0))
        arrival = time.unsqueeze(-1) + self._travel(state, to_every(state, state.current))
        fits = arrival <= last
        fits[..., : num_depots(state.instance)] = True  # the way home was tested on the way out
        return fits

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        travel, time, current = self._plain_travel(state), state.parts["time"], state.current
        service = state.tables.get("service", time)
        plain = "last arrival" in state.tables and type(self).begin is Clock.begin
        if travel is None or not (plain and native.fits(time, current, action, travel, service)):
            return super().update(state, action)
        opening = state.tables["open"].contiguous()
        served = state.tables.get("service")
        depots = num_depots(state.instance)
        return {"time": native.ready(time, current, action, travel, opening, served, depots)}

    def _plain_travel(self, state: State) -> Tensor | None:
        """Travel times ``[B, N, N]``, if there is a table of them for all vehicles."""
        if not keeps(self, Clock, "_travel"):
            return None
        travel = state.tables.get(time_kind(state.instance))
        return None if "speed" in state.instance.keys() else travel

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

    def dynamic(self, state: State) -> Tensor | None:
        if not self.ahead:
            return None
        unit = state.tables["time unit"].unsqueeze(-1)
        way = self._travel(state, to_every(state, state.current))
        arrival = state.parts["time"].unsqueeze(-1) + way
        wait = (state.tables["open"].unsqueeze(1) - arrival).clamp_min(0) / unit
        last = pick_rows(state.tables["last arrival"], state.first.clamp_min(0))
        spare = ((last - arrival) / unit).clamp(0, PLENTY)
        return torch.stack([way / unit, wait, spare], -1).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        plain, found = InstanceView(instance), []
        for k, route in plain.known(routes):
            found += lateness(plain, route, k, self.release)[0]
        return found

    def loosened(self, instance: TensorDict, routes: Sequence[Route]) -> TensorDict:
        plain, wider = InstanceView(instance), instance.clone()
        windows = wider["time_windows"].double()
        for _, route in plain.known(routes):
            for stop in schedule(plain, route, self.release).late:
                close = windows[0, stop.node, 1]
                windows[0, stop.node, 1] = close.clamp_min(stop.begin / plain.time_steps)
        return wider.set("time_windows", windows)

    def refuses(self, plain: InstanceView, route: Route) -> Violation | None:
        late, _ = lateness(plain, route, None, self.release)
        if not late:
            return None
        message = f"node {route.visits[-1]} even on its own: {late[0].message}"
        return Violation("time window", message)


def last_arrivals(instance: TensorDict, tables: dict[str, Tensor], shortest: str) -> Tensor:
    """
    The last moment at which a vehicle may arrive at a node, ``[B, V, N]``, V its depot node.

    The way home is the table ``shortest``, where there is one, or else the direct leg.

    It is in time for the window, and from there for that of the depot (unless routes are open).
    Found by bisection over all double precision numbers with the very sums of the mask, so that
    comparing an arrival with it is the same as adding up the way home, to the last bit.
    """
    kind, depots = time_kind(instance), num_depots(instance)
    batch, nodes = instance.batch_size[0], num_nodes(instance)
    device = tables["close"].device
    vehicle = torch.arange(depots, device=device).expand(batch, depots)
    everyone = torch.arange(nodes, device=device).expand(batch, depots, nodes)
    blank = torch.zeros(batch, depots, 0, dtype=torch.bool, device=device)
    state = State(instance, vehicle, vehicle, blank, {}, tables)
    home = tables.get(shortest)
    if home is None:
        home = single(state, kind, everyone, vehicle.unsqueeze(-1).expand_as(everyone))
    if "speed" in instance.keys():
        home = home / of_vehicle(state, "speed").double().unsqueeze(-1)
    close = tables["close"].unsqueeze(1).expand_as(home)
    closing = tables["close"].gather(1, vehicle).unsqueeze(-1)
    service = tables["service"].unsqueeze(1) if "service" in tables else 0
    opening, stays = tables["open"].unsqueeze(1), stays_out(state)

    def in_time(arrival: Tensor) -> Tensor:
        back = torch.maximum(arrival, opening) + service + home <= closing
        return (arrival <= close) & (back if stays is None else back | stays)

    low, high = ordinal(torch.full_like(close, -torch.inf)), ordinal(close)
    low = torch.where(in_time(close), high, low)  # mostly the window is what counts
    # Else it is what the way home leaves, but for the rounding of a few sums.
    about = ordinal(closing - home - service)
    below, above = about - NEAR, about + NEAR
    inside = (low < below) & (above < high) & in_time(from_ordinal(below))
    inside &= ~in_time(from_ordinal(above))
    low, high = torch.where(inside, below, low), torch.where(inside, above, high)
    found = bool((inside | (low == high)).all())
    for _ in range(NEAR.bit_length() + 1 if found else 64):
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        fits = in_time(from_ordinal(middle))
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return from_ordinal(low)


def ordinal(value: Tensor) -> Tensor:
    """Whole numbers in the order of the double precision numbers that they stand for."""
    bits = value.view(torch.long)
    return torch.where(bits < 0, bits ^ torch.iinfo(torch.long).max, bits)


def from_ordinal(number: Tensor) -> Tensor:
    """The inverse of `ordinal`."""
    bits = torch.where(number < 0, number ^ torch.iinfo(torch.long).max, number)
    return bits.view(torch.double)


def lateness(
    plain: InstanceView, route: Route, k: int | None, release: bool, earliest: float = -INF
) -> tuple[list[Violation], float]:
    """The first node of a route that is served too late, if there is one; and when it ends."""
    times = schedule(plain, route, release, earliest)
    found = []
    for stop in times.late[:1]:
        begin, close = stop.begin / plain.time_steps, stop.close / plain.time_steps
        message = f"node {stop.node} at {begin:.10g}, window to {close:.10g}"
        found.append(Violation("time window", message, route=k, node=stop.node))
    return found, times.end
