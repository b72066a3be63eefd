"""
Environments and policies from descriptions that came with a file: plain data, never a program.

A description is a class path and its settings. Classes are looked up among those that exist
already, the subclasses of a few base classes; nothing is imported and no other callable is reached.
Settings are numbers, strings, switches, lists and dictionaries of them, or such classes again,
checked against the constructor's annotations.
"""

import collections.abc
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from nco.data.errors import InputError
from nco.data.registry import load_plugins
from nco.envs import Constraint, FeatureSpec, Objective, RoutingEnv, Visits, problem
from nco.policies import Policy
from nco.policies.encoder import Encoder

BASES = (RoutingEnv, Visits, Constraint, Objective, Policy, Encoder)
FUNCTIONS: dict[type, tuple[Callable[..., Any], ...]] = {RoutingEnv: (problem,)}
GIVEN = (RoutingEnv, FeatureSpec)  # what a constructor gets from its surroundings
RENAMED = {"FlexibleLoad": "MixedLoad"}  # classes of version 0.1
MAX_INTEGER = 2**16  # of a setting: channels, layers, neighbours
PLAIN = (bool, int, float, str, NoneType)
OWN = "nco"
OWN_MODULES: dict[type, tuple[str, ...]] = {  # with classes that no import above brings along
    Constraint: ("nco.envs.constraints",),
    Objective: ("nco.envs.objectives",),
    Encoder: ("nco.policies.graph", "nco.policies.lstm_encoder"),
}


def build(
    card: Mapping[str, Any], path: Path, weights: Mapping[str, Tensor]
) -> tuple[RoutingEnv, Policy]:
    """
    The environment and the untrained policy that a card describes.

    Parameters
    ----------
    card
        Has ``env`` and ``policy``.
    path
        Where it comes from, for messages.
    weights
        What the policy will hold: nothing much larger is built.

    Raises
    ------
    InputError
        The card names unknown classes or settings.
    """
    try:
        env = instantiate(card.get("env"), RoutingEnv, "env")
        with _at_most(weights):
            with suppress(NotImplementedError), torch.device("meta"):  # sizes without memory
                instantiate(card.get("policy"), Policy, "policy", env=env)
            policy = instantiate(card.get("policy"), Policy, "policy", env=env)
    except (InputError, NotImplementedError) as error:
        raise InputError(f"{path}: describes no policy that can be built ({error})") from None
    return env, policy


@contextmanager
def _at_most(weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Refuses to build networks that are out of proportion to the weights for them."""
    most_tensors = 4 * len(weights) + 1_000
    most_numbers = 4 * sum(value.numel() for value in weights.values()) + 1_000_000
    tensors = numbers = 0  # of a trial without memory, and then of the network

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal tensors, numbers
        if parameter is not None:
            tensors, numbers = tensors + 1, numbers + parameter.numel()
        if tensors > most_tensors or numbers > most_numbers:
            raise InputError("its network is larger than the weights beside it")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def instantiate(described: Any, base: type, where: str, **given: Any) -> Any:
    """
    Builds what a description names.

    Parameters
    ----------
    described
        A class path, or a dictionary of ``class_path`` and ``init_args``.
    base
        The class that it must be of.
    where
        Name of the description, for messages.
    given
        Arguments that do not come from the description, such as ``env``.

    Raises
    ------
    InputError
        The class is none of the list, or a setting is not of its type.
    """
    make, settings = _resolve(described, base, where)
    try:
        arguments = inspect.BoundArguments(inspect.signature(make), {})  # type: ignore[arg-type]
        arguments.arguments.update(given | settings)
        return make(*arguments.args, **arguments.kwargs)
    except InputError:
        raise
    except NotImplementedError:  # what a class computes that tensors without memory cannot
        raise
    # Plain settings of the right types may still not go together: odd channels, no heads.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{where}: {reason}") from None


def known(base: type) -> dict[str, Callable[..., Any]]:
    """
    What may be built as a ``base``: classes and functions by their whole path.

    A class that a plug-in or the person's own ``--import`` has defined is among them.
    """
    load_plugins()
    _import_own(base)
    found: list[Callable[..., Any]] = [*_subclasses(base), *FUNCTIONS.get(base, ())]
    return {
        f"{made.__module__}.{made.__qualname__}": made
        for made in found
        if not inspect.isabstract(made)
    }


def parameters(make: Callable[..., Any]) -> dict[str, Any]:
    """Names and annotations of what describes an object: all parameters but those it is given."""
    function = make.__init__ if isinstance(make, type) else make  # type: ignore[misc]
    hints = get_type_hints(function)
    found: dict[str, Any] = {}
    for name, parameter in inspect.signature(make).parameters.items():
        hint = hints.get(name, Any)
        if parameter.kind is parameter.VAR_POSITIONAL:
            hint = list[hint]  # type: ignore[valid-type]
        if hint not in GIVEN and parameter.kind is not parameter.VAR_KEYWORD:
            found[name] = hint
    return found


@cache
def _import_own(base: type) -> None:
    for module in OWN_MODULES.get(base, ()):
        try:
            import_module(module)
        except ModuleNotFoundError as error:  # an optional dependency
            if error.name is None or error.name.split(".")[0] == OWN:
                raise


def _subclasses(base: type) -> Iterator[type]:
    yield base
    sub: type
    for sub in base.__subclasses__():
        yield from _subclasses(sub)


def _resolve(described: Any, base: type, where: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The class of a description, and its settings with all that is nested in them built."""
    if isinstance(described, str):
        described = {"class_path": described}
    if not isinstance(described, dict) or not isinstance(described.get("class_path"), str):
        raise InputError(f"{where}: {_brief(described)}, expected a class_path and its init_args")
    if odd := described.keys() - {"class_path", "init_args"}:
        raise InputError(f"{where}: {_brief(min(map(str, odd)))}, expected class_path, init_args")
    make = _find(described["class_path"], base, where)
    settings = described.get("init_args") or {}
    if not isinstance(settings, dict):
        raise InputError(f"{where}.init_args: {_brief(settings)}, expected settings by name")
    hints = parameters(make)
    built = {}
    for name, value in settings.items():
        if name not in hints:
            expected = ", ".join(hints) or "none"
            raise InputError(f"{where}: setting {_brief(name)} is unknown, expected {expected}")
        built[name] = _value(value, hints[name], f"{where}.{name}")
    return make, built


def _find(path: str, base: type, where: str) -> Callable[..., Any]:
    """
    A class by its path: by its name alone in this package, whose modules move between versions.

    A package above its module may stand for the module, as classes are re-exported there.
    """
    choices = known(base)
    package, _, name = path.rpartition(".")
    if package.split(".")[0] == OWN:
        name = RENAMED.get(name, name)
        for whole, made in choices.items():
            if whole.startswith(f"{OWN}.") and made.__name__ == name:
                return made
    for whole, made in choices.items():
        if made.__name__ == name and whole.startswith(f"{package}."):
            return made
    names = ", ".join(sorted(made.__name__ for made in choices.values()))
    raise InputError(
        f"{where}: class {_brief(path)} is not registered as {base.__name__}, expected one of "
        f"{names} (a class of your own: --import MODULE)"
    )


def _value(value: Any, hint: Any, where: str) -> Any:
    """A setting as its annotation wants it."""
    reasons = []
    for option in options(hint):
        try:
            return _as(value, option, where)
        except InputError as error:
            reasons.append(error)
    raise reasons[-1]


def options(hint: Any) -> tuple[Any, ...]:
    """The alternatives of an annotation, None first."""
    if get_origin(hint) in (Union, UnionType):
        parts = [option for part in get_args(hint) for option in options(part)]
        return tuple(sorted(parts, key=lambda part: part is not NoneType))
    return (hint,)


def _as(value: Any, hint: Any, where: str) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return _plain(value, hint, where)
    if origin is Literal:
        if isinstance(value, str) and value in parts:
            return value
        raise InputError(f"{where}: {_brief(value)}, expected one of {', '.join(map(str, parts))}")
    if origin in (tuple, list, Sequence):
        return _items(value, origin, parts, where)
    if origin is dict:
        if not isinstance(value, dict):
            raise InputError(f"{where}: {_brief(value)}, expected a dictionary")
        named = {_value(key, parts[0], where): item for key, item in value.items()}
        return {key: _value(item, parts[1], f"{where}.{key}") for key, item in named.items()}
    if hint in BASES:
        return instantiate(value, hint, where)
    if (made := built_later(hint)) is not None:
        make, settings = _resolve(value, made, where)
        return partial(make, **settings)
    raise InputError(f"{where}: {_brief(value)}, but this setting is not one that a file may make")


def built_later(hint: Any) -> type | None:
    """The class that an annotation ``Callable[[FeatureSpec], Class]`` makes, if it is one."""
    if get_origin(hint) is not collections.abc.Callable:
        return None
    wanted, made = get_args(hint)
    return made if wanted == [FeatureSpec] and made in BASES else None


def _plain(value: Any, hint: type, where: str) -> Any:
    if hint is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if hint is int and type(value) is int and abs(value) > MAX_INTEGER:
        raise InputError(f"{where}: {_brief(value)}, expected at most {MAX_INTEGER}")
    if hint is not float and type(value) is hint:
        return value
    expected = {NoneType: "nothing", float: "a finite number"}.get(hint, hint.__name__)
    raise InputError(f"{where}: {_brief(value)}, expected {expected}")


def _items(value: Any, origin: Any, parts: tuple[Any, ...], where: str) -> Any:
    if not isinstance(value, list):
        raise InputError(f"{where}: {_brief(value)}, expected a list")
    kinds = (parts[0],) * len(value) if origin is not tuple or parts[-1] is ... else parts
    if len(kinds) != len(value):
        raise InputError(f"{where}: {len(value)} entries, expected {len(kinds)}")
    pairs = enumerate(zip(value, kinds, strict=True))
    found = [_value(item, kind, f"{where}[{k}]") for k, (item, kind) in pairs]
    return tuple(found) if origin is tuple else found


def _brief(value: Any) -> str:
    """A value from a file, for a message."""
    if isinstance(value, dict | list):
        return f"a {'dictionary' if isinstance(value, dict) else 'list'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
