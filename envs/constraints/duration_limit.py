"""The time that a route takes is bounded."""

from collections.abc import Collection, Sequence
from typing import Self

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.schedule import schedule
from nco.envs.checking.view import InstanceView, at_least, whole
from nco.envs.constraint import never
from nco.envs.normalisation import limits, time_unit
from nco.envs.resources.clock import Clock
from nco.envs.resources.resource import Amounts, Move
from nco.envs.resources.travel import in_steps, per_vehicle, time_kind
from nco.envs.state import State


class DurationLimit(Clock):
    """
    A route takes at most so long, from leaving the depot to the return (CMT6, MDVRPTW).

    Travel, services and the waiting that no later departure avoids. Instance: ``duration_limit
    [B]`` or per vehicle ``[B, V]``, and what `Clock` reads: whether windows are kept is the affair
    of `TimeWindows`. An open route is over when its last customer is served.

    Features: the limit, and the time left in the decoder, in the unit of the policy's coordinates;
    0 where there is no limit.

    Parameters
    ----------
    release
        See `TimeWindows`.
    """

    flexible = True
    scope = "route"
    vehicle_dim = 1
    context_dim = 1

    def __init__(self, release: bool = False):
        self.release = release
        self.reads = ("duration_limit", *(("release_time",) if release else ()))

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return never(instance)

    @classmethod
    def asked(cls, stated: Collection[str]) -> Self | None:
        return cls("release_time" in stated) if "duration_limit" in stated else None

    def bounds(self, instance: TensorDict) -> dict[str, Tensor]:
        limit = in_steps(instance, time_kind(instance), instance["duration_limit"])
        return {**super().bounds(instance), "duration limit": limit}

    def extend(self, state: State, amounts: Amounts, move: Move) -> tuple[Amounts, Tensor]:
        after, fits = super().extend(state, amounts, move)
        time, busy, latest = after
        return after, fits & (torch.maximum(time - latest, busy) <= self._limit(state))

    def home(self, state: State, amounts: Amounts, move: Move) -> Tensor:
        time, busy, latest = amounts
        travel = self._travel(state, move)
        time, busy = time + travel, busy + travel
        if "close" in state.tables:
            latest = torch.minimum(latest, move.at(state.tables["close"]) - busy)
        return torch.maximum(time - latest, busy) <= self._limit(state)

    def _limit(self, state: State) -> Tensor:
        return per_vehicle(state.tables["duration limit"], state.first).unsqueeze(-1)

    def vehicle_features(self, instance: TensorDict) -> Tensor:
        return limits(instance, "duration_limit", time_unit(instance))

    def context(self, state: State) -> Tensor:
        time, busy, latest = (state.parts[name] for name in ("time", "busy", "latest"))
        left = self._limit(state).squeeze(-1) - torch.maximum(time - latest, busy)
        return (left / state.tables["time unit"]).nan_to_num(posinf=0).unsqueeze(-1).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        plain, found = InstanceView(instance), []
        for k, route in plain.known(routes):
            if (message := _too_long(plain, route, self.release)) is not None:
                found.append(Violation("duration limit", message, route=k))
        return found

    def loosened(self, instance: TensorDict, routes: Sequence[Route]) -> TensorDict:
        plain = InstanceView(instance)
        times = [
            schedule(plain, route, self.release).duration / plain.time_steps for route in routes
        ]
        return at_least(instance, "duration_limit", routes, times)

    def refuses(self, plain: InstanceView, route: Route) -> Violation | None:
        if (message := _too_long(plain, route, self.release)) is None:
            return None
        return Violation("duration limit", f"to node {route.visits[-1]} and back: {message}")


def _too_long(plain: InstanceView, route: Route, release: bool) -> str | None:
    """What is wrong with the duration of a route, if anything is."""
    duration = schedule(plain, route, release).duration
    limit = plain.of_vehicle("duration_limit", route.vehicle)
    if duration > whole(limit * plain.time_steps):
        return f"duration {duration / plain.time_steps:.10g}, limit {limit:.10g}"
    return None
