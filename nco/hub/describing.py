"""
Environments and policies as plain data: class paths and settings, which a card can hold.

The opposite of building what a card describes.
"""

import inspect
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nco.data.errors import InputError
from nco.envs import Constraint, Objective, RoutingEnv, Visits
from nco.policies import Policy
from nco.policies.encoder import Encoder
from nco.policies.recorded import Recorded

PLAIN = (bool, int, float, str)
Component = Visits | Constraint | Objective


def describe_policy(env: RoutingEnv, policy: Policy) -> dict[str, Any]:
    """
    The part of a card from which an environment and a policy for it are built again.

    Returns
    -------
    dict
        ``env`` and ``policy``, each a class path with its settings; nothing of the weights.

    Raises
    ------
    InputError
        A class cannot be imported by its name, or a setting is no data; the message names it.
    """
    return {"env": describe(env, "env"), "policy": describe(policy, "policy")}


def describe(value: Any, where: str) -> Any:
    """
    A setting as data: what it is, and with which settings it was constructed.

    Parameters
    ----------
    value
        A plain value, a collection of such values, an environment or one of its components, a
        policy, an encoder, or a class or `functools.partial` of one that is built later.
    where
        Name of the setting, for messages.

    Raises
    ------
    InputError
        See `describe_policy`.
    """
    if value is None or isinstance(value, PLAIN):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [describe(item, f"{where}[{k}]") for k, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {str(key): describe(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, RoutingEnv | Visits | Constraint | Objective):
        settings = {
            name: _attribute(value, name, where) for name in _parameters(type(value).__init__)
        }
        return _described(type(value), settings, where)
    if isinstance(value, Recorded):
        return _described(type(value), getattr(value, "constructed_with", {}), where)
    if isinstance(value, partial) and isinstance(value.func, type) and not value.args:
        return _described(value.func, value.keywords, where)
    if isinstance(value, type) and issubclass(value, Encoder | Policy):
        return _described(value, {}, where)
    raise InputError(
        f"{where}: a {type(value).__name__} cannot be written down, expected numbers, strings, "
        f"switches, lists of them, or parts of an environment or a policy"
    )


def _described(kind: type, settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A class by its path, and its settings but the environment, which every part is given."""
    plain = {
        name: describe(value, f"{where}.{name}")
        for name, value in settings.items()
        if not isinstance(value, RoutingEnv)
    }
    return {"class_path": _path(kind, where), **({"init_args": plain} if plain else {})}


def _path(kind: type, where: str) -> str:
    """Where a class can be imported from."""
    module, name = kind.__module__, kind.__qualname__
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None)
        module = Path(file).stem if file else ""
    if not module or "<locals>" in name:
        raise InputError(
            f"{where}: the class {name} has no module that can be imported, expected one that is "
            f"defined at the top of a file"
        )
    return f"{module}.{name}"


def _parameters(constructor: Any) -> list[str]:
    """Names of all parameters of a constructor; none where a class has no own one."""
    if constructor is object.__init__:
        return []
    return [name for name in inspect.signature(constructor).parameters if name != "self"]


def _attribute(component: object, name: str, where: str) -> Any:
    """What a component was constructed with, which it keeps by the same name."""
    try:
        return getattr(component, name)
    except AttributeError:
        raise InputError(
            f"{where}: {type(component).__name__} keeps no {name!r}, expected every parameter of "
            f"its constructor as an attribute of the same name"
        ) from None
