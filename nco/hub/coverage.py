"""Which problems a policy serves: its own, and those that leave some of its rules unused."""

import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import SCHEMA
from nco.data.neutral import complete
from nco.envs import RoutingEnv
from nco.envs.component import Component
from nco.envs.constraint import Constraint


def obstacles(wide: RoutingEnv, env: RoutingEnv) -> list[str]:
    """
    What keeps solutions for one environment from being found in a wider one: names of components.

    The wider one has all the rules of the other, or some that serve for them (see
    `nco.envs.component.Component.serves`). What it has beyond must have neutral values.

    Parameters
    ----------
    wide
        What a policy was trained on.
    env
        The problem at hand.
    """
    found, used = set(), []
    for part in env.components:
        server = _server(wide, part)
        if server is None:
            found.add(type(part).__name__)
        else:
            used.append(server)
    for part in wide.components:
        idle = not any(part is other for other in used)
        if idle and not (isinstance(part, Constraint) and _can_rest(part)):
            found.add(type(part).__name__)
    return sorted(found)


def _server(wide: RoutingEnv, part: Component) -> Component | None:
    """The component of the wider environment that serves for a component; the same one first."""
    able = [other for other in wide.components if other.serves(part) is not None]
    return min(able, key=lambda other: not other.same_as(part), default=None)


def _can_rest(rule: Constraint) -> bool:
    """Whether neutral values make the rule say nothing."""
    return bool(rule.reads) and all(SCHEMA[name].neutral is not None for name in rule.reads)


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
    for part in env.components:
        server = _server(wide, part)
        values = server.serves(part) if server is not None else None
        found.update({n: torch.full_like(found[n], value) for n, value in (values or {}).items()})
    return found
