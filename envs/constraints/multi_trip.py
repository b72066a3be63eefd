"""Time windows of vehicles that come back to their depot for another trip."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView
from nco.envs.constraint import never
from nco.envs.constraints.time_windows import TimeWindows, lateness
from nco.envs.resources.resource import Amounts, Resource, home_from_one
from nco.envs.resources.travel import at_depot
from nco.envs.state import State


class TripWindows(TimeWindows):
    """
    `TimeWindows` where the routes of a depot node are trips of one vehicle (MTVRPTW).

    A trip begins no earlier than the one before, of those of its depot node, ended. Loading takes
    the ``service_time`` of the depot node. A vehicle is offered only if it is still in time for
    somebody. If none is, one leaves as if it had not driven yet, so that every rollout is
    completed: the checker then finds it late.

    State: ``ready [B, R, V]``, when each vehicle is at its depot again; ``late [B, R]``, whether
    the running trip begins too late for everybody; ``missed [B, R]``, whether such a trip visited
    somebody all the same.

    Parameters
    ----------
    release
        See `TimeWindows`.
    """

    scope = "solution"
    trips = True

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return never(instance)  # what follows on a trip depends on when it ends

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        depots = num_depots(instance)
        parts = super().reset(instance, rollouts)
        ready = torch.zeros(len(instance), rollouts, depots, dtype=torch.double)
        ready = ready.to(parts["time"].device)
        opens = self.bounds(instance)["open"][:, :depots].unsqueeze(1)
        no = torch.zeros_like(parts["time"], dtype=torch.bool)
        return {**parts, "ready": torch.maximum(ready, opens), "late": no, "missed": no}

    def begin(self, state: State, vehicle: Tensor) -> Amounts:
        opens, *others = super().begin(state, vehicle)
        if "ready" not in state.parts:
            return (opens, *others)
        return (state.parts["ready"].gather(-1, vehicle.unsqueeze(-1)).squeeze(-1), *others)

    def feasible(self, state: State) -> Tensor:
        fits = super().feasible(state)
        depots = num_depots(state.instance)
        back = replace(state, parts={**state.parts, "ready": self._ready(state)})
        each = [
            self._in_time(back, torch.full_like(state.current, depot)) for depot in range(depots)
        ]
        depot = torch.stack(each, -1)
        fits[..., :depots] = depot | ~depot.any(-1, keepdim=True)
        return fits

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        ready = self._ready(state)
        ends = at_depot(state, action)
        ended = ends & ~at_depot(state, state.current)
        ready = torch.where(ended.unsqueeze(-1), ready, state.parts["ready"])
        back = replace(state, parts={**state.parts, "ready": ready})
        after = super().update(back, action)
        vehicle = torch.where(ends, action, 0)
        afresh = super().begin(state, vehicle)[0]
        late = ends & ~self._in_time(back, vehicle)
        return {
            **after,
            "time": torch.where(late, afresh, after["time"]),
            "ready": ready,
            "late": torch.where(ends, late, state.parts["late"]),
            "missed": state.parts["missed"] | (state.parts["late"] & ~ends),
        }

    def broken(self, state: State) -> Tensor:
        return state.parts["missed"]

    def _ready(self, state: State) -> Tensor:
        """``ready`` if the running route ended now, ``[B, R, V]``."""
        home = state.first.clamp_min(0)
        time = state.parts["time"].unsqueeze(-1) + self._travel(
            state, home_from_one(state, state.current)
        )
        driving = ~at_depot(state, state.current).unsqueeze(-1)
        old = state.parts["ready"].gather(-1, home.unsqueeze(-1))
        if "service" in state.tables:
            time = time + state.tables["service"].gather(1, home).unsqueeze(-1)
        time = torch.where(driving, torch.maximum(time, old), old)
        return state.parts["ready"].scatter(-1, home.unsqueeze(-1), time)

    def _in_time(self, state: State, vehicle: Tensor) -> Tensor:
        """Whether the vehicles ``[B, R]`` could leave to serve somebody, bool ``[B, R]``."""
        depots = num_depots(state.instance)
        parts = dict(zip(self.parts, self.begin(state, vehicle), strict=True))
        leaves = replace(state, current=vehicle, first=vehicle, parts={**state.parts, **parts})
        waiting = Resource.feasible(self, leaves)[..., depots:] & ~state.visited[..., depots:]
        if "startable" in state.tables:  # by the other rules
            startable = state.tables["startable"][..., depots:]
            index = vehicle.unsqueeze(-1).expand(-1, -1, startable.shape[-1])
            waiting = waiting & startable.gather(1, index)
        return waiting.any(-1)

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        plain, found = InstanceView(instance), []
        ready: dict[int, float] = {}
        for k, route in plain.known(routes):
            earliest = ready.get(route.vehicle, -float("inf"))
            late, end = lateness(plain, route, k, self.release, earliest)
            found += late
            ready[route.vehicle] = end + plain.service[route.vehicle]
        return found
