"""Which problems a policy serves: its own, and those that leave some of its rules unused."""

from typing import Any

import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import SCHEMA
from nco.data.neutral import complete
from nco.envs import DepotRoutes, RoutingEnv
from nco.envs.constraint import Constraint
from nco.envs.constraints import Capacity, MaximumLoad, MixedLoad, OneCommodity, TimeWindows
from nco.envs.objective import Objective
from nco.envs.visits.base import Visits
from nco.envs.visits.fleet_routes import FleetRoutes

Part = Visits | Constraint | Objective


def signature(part: object) -> tuple[Any, ...]:
    """A part of an environment by its type and its settings, comparable."""
    settings = ((name, _plain(value)) for name, value in sorted(vars(part).items()))
    return (type(part).__name__, *settings)


def _plain(value: object) -> object:
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    return signature(value) if isinstance(value, Visits | Constraint | Objective) else value


# What is the same as something more general whose other attributes are neutral, or have values.
_WIDER: list[tuple[Part, Part, dict[str, int]]] = [
    (Capacity(), MaximumLoad(), {}),
    (Capacity(), MixedLoad(), {}),
    (MaximumLoad(), MixedLoad(), {}),
    (OneCommodity(), MixedLoad(), {"one_commodity": 1}),
    (TimeWindows(), TimeWindows(ahead=True), {}),
    (DepotRoutes(), FleetRoutes(), {}),
]
GENERAL: dict[tuple[Any, ...], dict[tuple[Any, ...], dict[str, int]]] = {}
for _part, _wide, _values in _WIDER:
    GENERAL.setdefault(signature(_part), {})[signature(_wide)] = _values


def obstacles(wide: RoutingEnv, env: RoutingEnv) -> list[str]:
    """
    What keeps solutions for one environment from being found in a wider one: names of parts.

    The wider one has all the rules of the other, or more general ones. What it has beyond must have
    neutral values.

    Parameters
    ----------
    wide
        What a policy was trained on.
    env
        The problem at hand.
    """
    mine = {signature(part): part for part in _parts(wide)}
    theirs = {signature(part): part for part in _parts(env)}
    used, found = set(), []
    for own, part in theirs.items():
        match = next((s for s in (own, *GENERAL.get(own, ())) if s in mine), None)
        if match is None:
            found.append(type(part).__name__)
        used.add(match)
    for own, part in mine.items():
        if own not in used and not (isinstance(part, Constraint) and _can_rest(part)):
            found.append(type(part).__name__)
    return sorted(set(found))


def _can_rest(rule: Constraint) -> bool:
    """Whether neutral values make the rule say nothing."""
    return bool(rule.reads) and all(SCHEMA[name].neutral is not None for name in rule.reads)


def _parts(env: RoutingEnv) -> tuple[Part, ...]:
    return (env.visits, *env.constraints, env.objective)


def widen(wide: RoutingEnv, env: RoutingEnv, instance: TensorDict) -> TensorDict:
    """
    Instances of an environment as instances of a wider one: with neutral values for the rest.

    Raises
    ------
    InputError
        There is an obstacle, see `obstacles`.
    """
    odd = obstacles(wide, env)
    if odd:
        raise InputError(f"the rules differ in {', '.join(odd)}")
    reads = [name for rule in wide.constraints for name in rule.reads]
    found = complete(instance, list(dict.fromkeys(reads)))
    mine = {signature(part) for part in _parts(wide)}
    for part in _parts(env):
        for general, values in GENERAL.get(signature(part), {}).items():
            if general in mine:
                flags = {name: torch.full_like(found[name], v) for name, v in values.items()}
                found.update(flags)
    return found
