"""When things happen on a route: what time windows and duration limits have in common."""

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_nodes
from nco.envs.normalisation import time_unit
from nco.envs.resources.resource import Amounts, Move, Resource, home_from_one
from nco.envs.resources.travel import Kind, in_steps, of_vehicle, stays_out, time_kind
from nco.envs.state import State


class Clock(Resource):
    """
    The time on the way, with waiting, services and release times.

    Instance: ``time_windows [B, N, 2]``, ``service_time [B, N]``, ``release_time [B, N]``,
    ``speed [B, V]``, ``duration [B, N, N]``, all of them optional. Travel takes the given duration
    or else the distance, divided by the speed. A vehicle that comes early waits; service begins
    inside the window.

    State: ``time [B, R]``, when the vehicle is ready to leave the current node if it left the
    depot as early as possible. With ``flexible``, also ``busy [B, R]``, travel and service since
    the depot without any waiting, and ``latest [B, R]``, the last departure for which everything
    is in time. A route that leaves at moment t is ready at ``max(time, t + busy)`` for any
    ``t <= latest``; so it takes ``max(time - latest, busy)`` at least, and to leave no earlier
    than r makes it ready at ``max(time, r + busy)``.

    Exactness: double precision, in steps where distances are decimal (see
    `nco.envs.resources.travel`); the sums are those of the checker, in the same order.
    """

    flexible: bool = False
    release: bool = False

    @property
    def parts(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("time", "busy", "latest") if self.flexible else ("time",)

    def kind(self, instance: TensorDict) -> Kind:
        return time_kind(instance)

    def bounds(self, instance: TensorDict) -> dict[str, Tensor]:
        kind = time_kind(instance)
        names = {"service": "service_time"}
        if self.release:
            names["release"] = "release_time"
        unit = in_steps(instance, kind, time_unit(instance)).unsqueeze(-1)
        found = {"time unit": unit}
        for name, attribute in names.items():
            if attribute in instance.keys():
                found[name] = in_steps(instance, kind, instance[attribute])
        if "time_windows" in instance.keys():
            windows = in_steps(instance, kind, instance["time_windows"])
            found["open"], found["close"] = windows.unbind(-1)
        return found

    def stops(self, instance: TensorDict) -> Tensor:
        if "service_time" in instance.keys():
            return in_steps(instance, time_kind(instance), instance["service_time"])
        nodes = (len(instance), num_nodes(instance))
        return torch.zeros(nodes, dtype=torch.double, device=next(iter(instance.values())).device)

    def begin(self, state: State, vehicle: Tensor) -> Amounts:
        zero = torch.zeros(vehicle.shape, dtype=torch.double, device=vehicle.device)
        opens = state.tables["open"].gather(1, vehicle) if "open" in state.tables else zero
        return (opens, zero, zero + torch.inf) if self.flexible else (opens,)

    def extend(self, state: State, amounts: Amounts, move: Move) -> tuple[Amounts, Tensor]:
        travel, tables = self._travel(state, move), state.tables
        time = amounts[0] + travel
        fits = torch.ones_like(time, dtype=torch.bool)
        if "close" in tables:
            fits = time <= move.at(tables["close"])
            time = torch.maximum(time, move.at(tables["open"]))
        service = move.at(tables["service"]) if "service" in tables else 0
        if not self.flexible:
            return (time + service,), fits
        time = time + service
        busy, latest = amounts[1] + travel, amounts[2].expand_as(time)
        if "close" in tables:
            latest = torch.minimum(latest, move.at(tables["close"]) - busy)
        busy = busy + service
        if "release" in tables:
            release = move.at(tables["release"])
            fits = fits & (release <= latest)
            time = torch.maximum(time, release + busy)
        return (time, busy, latest), fits

    def home(self, state: State, amounts: Amounts, move: Move) -> Tensor:
        time = amounts[0] + self._travel(state, move)
        if "close" in state.tables:
            return time <= move.at(state.tables["close"])
        return torch.ones_like(time, dtype=torch.bool)

    def least(self, state: State) -> Tensor:
        """The least time of routes that end after the current node, ``[B, R]`` (if flexible)."""
        time, busy, latest = self.now(state)
        move = home_from_one(state, state.current)
        travel = self._travel(state, move)
        ended, on_the_way, leave = time + travel, busy + travel, latest
        if "close" in state.tables:
            leave = torch.minimum(latest, move.at(state.tables["close"]) - on_the_way)
        least = torch.maximum(ended - leave, on_the_way)
        stays = stays_out(state)
        if stays is not None:
            least = torch.where(stays, torch.maximum(time - latest, busy), least)
        one = torch.ones(len(least), device=least.device)
        steps = in_steps(state.instance, time_kind(state.instance), one)
        return least.squeeze(-1) / steps.unsqueeze(-1)

    def _travel(self, state: State, move: Move) -> Tensor:
        travel = move.travel(time_kind(state.instance))
        if "speed" in state.instance.keys():
            travel = travel / of_vehicle(state, "speed").double().unsqueeze(-1)
        return travel


def seen(state: State, name: str) -> Tensor:
    """A time of the state as a policy sees it: ``[B, R, 1]``."""
    value = state.parts[name] / state.tables["time unit"]
    return value.nan_to_num(posinf=0).unsqueeze(-1).float()
