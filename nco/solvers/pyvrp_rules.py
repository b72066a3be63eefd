"""
How PyVRP's data model expresses each rule. A new rule is one more row.

A row is called with the draft of the data (`nco.solvers.pyvrp_draft.Draft`) and adds to it. The
data are built when every rule has spoken.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nco.data.errors import InputError
from nco.envs.base import Constraint
from nco.envs.constraints import (
    Capacity,
    DistanceLimit,
    DurationLimit,
    LinehaulFirst,
    LinehaulOnEachRoute,
    MaximumLoad,
    OpenRoutes,
    TimeWindows,
)
from nco.solvers.pyvrp_draft import Draft


def _capacity(draft: Draft, rule: Capacity) -> None:
    nothing = [0] * len(draft.distance)
    draft.loads.append((_amounts(draft, "demand"), nothing, _per_vehicle(draft, "capacity")))


def _maximum_load(draft: Draft, rule: MaximumLoad) -> None:
    """PyVRP's own rule: deliveries are aboard from the start, pickups to the end."""
    amounts = _amounts(draft, "demand"), _amounts(draft, "backhaul")
    draft.loads.append((*amounts, _per_vehicle(draft, "capacity")))


def _linehaul_first(draft: Draft, rule: LinehaulFirst) -> None:
    """No leg leads from a pickup to a delivery."""
    if not bool(draft.instance["linehaul_first"][0]):
        return
    deliver, collect = _linehauls(draft, rule)
    draft.forbid(collect[:, None] & deliver[None, :])


def _linehaul_on_each_route(draft: Draft, rule: LinehaulOnEachRoute) -> None:
    """No leg leads from a depot to a customer who only has a pickup."""
    if not any(isinstance(other, LinehaulFirst) for other in draft.env.constraints):
        raise InputError("pyvrp cannot express LinehaulOnEachRoute, expected LinehaulFirst with it")
    if not bool(draft.instance["linehaul_first"][0]):
        raise InputError(
            "pyvrp cannot express LinehaulOnEachRoute, expected linehaul_first to be 1"
        )
    deliver, collect = _linehauls(draft, rule)
    legs = np.zeros_like(draft.distance, dtype=bool)
    legs[list(draft.shape.depots)] = collect & ~deliver
    draft.forbid(legs)


def _linehauls(draft: Draft, rule: Constraint) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """
    Who gets a delivery and who gives a pickup, ``[N]`` each.

    Raises
    ------
    InputError
        A customer has neither, so that legs alone do not tell what came before.
    """
    deliver, collect = (np.array(_amounts(draft, name)) > 0 for name in ("demand", "backhaul"))
    for node in draft.shape.customers:
        if not deliver[node] and not collect[node]:
            raise InputError(
                f"pyvrp cannot express {type(rule).__name__}, expected a delivery or a pickup at "
                f"every customer, found neither at node {node}"
            )
    return deliver, collect


def _distance_limit(draft: Draft, rule: DistanceLimit) -> None:
    limit = draft.instance["distance_limit"][0].double().cpu().numpy()
    draft.limit = np.broadcast_to(limit, (len(draft.shape.depots),))


def _time_windows(draft: Draft, rule: TimeWindows) -> None:
    _clock(draft, rule.release)


def _duration_limit(draft: Draft, rule: DurationLimit) -> None:
    """Of a route that leaves as late as it may; waiting for windows is part of it."""
    _clock(draft, rule.release)

    def bound() -> None:
        for arguments, limit in zip(draft.vehicle_types, draft.times.limit, strict=True):
            if limit < draft.times.horizon:
                arguments["shift_duration"] = int(limit)

    draft.after.append(bound)


def _clock(draft: Draft, release: bool) -> None:
    """Adds windows and services, unless another rule has."""
    draft.released |= release
    if not draft.timed:
        draft.timed = True
        draft.after.append(lambda: _set_windows(draft))


def _set_windows(draft: Draft) -> None:
    times = draft.times
    for node, arguments in draft.nodes.items():
        arguments["service_duration"] = int(times.service[node])
        arguments |= _window(draft, node)
        if draft.released:
            arguments["release_time"] = int(times.release[node])
    for arguments in draft.depots:
        arguments |= _window(draft, arguments["location"])


def _window(draft: Draft, node: int) -> dict[str, int]:
    return {"tw_early": int(draft.times.open[node]), "tw_late": int(draft.times.close[node])}


def _open_routes(draft: Draft, rule: OpenRoutes) -> None:
    """The shape has no way back."""


def _amounts(draft: Draft, name: str) -> list[int]:
    """An amount of every node, 0 where it is absent."""
    if name not in draft.instance.keys():
        return [0] * len(draft.distance)
    amounts: list[int] = draft.instance[name][0].tolist()
    return amounts


def _per_vehicle(draft: Draft, name: str) -> list[int]:
    """What each vehicle type has of an attribute, whether it is given once or for each."""
    value = draft.instance[name][0]
    amounts: list[int] = value.expand(len(draft.shape.depots)).tolist()
    return amounts


CONSTRAINTS: dict[type[Constraint], Callable[[Draft, Any], None]] = {
    Capacity: _capacity,
    MaximumLoad: _maximum_load,
    LinehaulFirst: _linehaul_first,
    LinehaulOnEachRoute: _linehaul_on_each_route,
    DistanceLimit: _distance_limit,
    DurationLimit: _duration_limit,
    TimeWindows: _time_windows,
    OpenRoutes: _open_routes,
}
