"""Kernels in C++ for the CPU: which of the builds beside the package is loaded, and how to call."""

import ctypes
import os
import sys
import warnings
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nco.data.errors import InputError
from nco.data.kernel_build import VARIANTS, digest, sources

PACKAGE = Path(sys.modules["nco"].__path__[0])
FOLDER = PACKAGE / "_kernels"
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
SWITCH = "NCO_KERNELS"
SERIAL_ELEMENTS = 50_000  # waking threads takes longer than some thousands of them


class Kernels(NamedTuple):
    """
    What runs.

    Parameters
    ----------
    variant
        Its name, or ``off``: plain PyTorch computes, with the same results.
    library
        The loaded build; None if off.
    reason
        Why this one, for people.
    """

    variant: str
    library: ctypes.CDLL | None
    reason: str


@cache
def kernels() -> Kernels:
    """
    The build that serves this process: the best one, or the one that ``NCO_KERNELS`` names.

    Raises
    ------
    InputError
        ``NCO_KERNELS`` names none, or one that is not built or that the processor cannot run.
    """
    asked = os.environ.get(SWITCH)
    if asked is not None and asked not in ("off", *VARIANTS):
        raise InputError(f"{SWITCH}: {asked!r}, expected off, {', '.join(reversed(VARIANTS))}")
    there = built()
    state = f"built: {', '.join(there) or 'none'}; {SWITCH} {asked or 'unset'}"
    if asked == "off":
        return Kernels("off", None, state)
    if stale():
        warnings.warn(
            "the CPU kernels are older than their sources, plain PyTorch runs instead: "
            "python setup.py build_ext --inplace",
            stacklevel=2,
        )
        return Kernels("off", None, f"{state}; older than their sources")
    able = runnable()
    if asked is not None and asked not in able:
        why = "the processor cannot run it" if asked in there else "it is not built"
        raise InputError(f"{SWITCH}: {asked}, but {why} ({state})")
    for name in [asked] if asked else able:
        try:
            return Kernels(name, load(name), state)
        except OSError as error:
            if asked:
                raise InputError(f"{SWITCH}: {asked} cannot be loaded: {error}") from error
            state += f"; {name} cannot be loaded: {error}"
    return Kernels("off", None, state)


def library() -> ctypes.CDLL | None:
    """The kernels that serve this process; None where plain PyTorch does."""
    return kernels().library


def built() -> list[str]:
    """Variants that lie beside the package."""
    return [name for name in VARIANTS if (FOLDER / f"{name}{SUFFIX}").exists()]


def runnable() -> list[str]:
    """Variants that are built and that the processor can run, the best one first."""
    if "portable" not in (there := built()):
        return []
    try:
        processor = int(load("portable").processor())
    except OSError:
        return []
    able = [n for n in there if VARIANTS[n].feature & processor == VARIANTS[n].feature]
    return [n for n in able if n != "amx" or load(n).has_tiles()]


def stale() -> bool:
    """Whether, in a checkout, the kernels were built from other sources than lie there now."""
    checkout = PACKAGE.parent
    if not sources(checkout) or not (checkout / "setup.py").exists():
        return False
    expected = digest(checkout).encode()
    return any(expected not in (FOLDER / f"{n}{SUFFIX}").read_bytes() for n in built())


@cache
def load(variant: str) -> ctypes.CDLL:
    """
    One build.

    Raises
    ------
    OSError
        It cannot be loaded.
    """
    path = str(FOLDER / f"{variant}{SUFFIX}")
    try:
        found = ctypes.CDLL(path)
    except OSError:
        _share_threads()
        found = ctypes.CDLL(path)
    for name in ("processor", "has_tiles", "rollout", "rollout_backward"):
        getattr(found, name).restype = ctypes.c_int64
    return found


def _share_threads() -> None:
    """Makes PyTorch's library of OpenMP threads known to kernels, where it is not already."""
    package = Path(torch.__file__).parent
    for folder in (package / "lib", package.with_name("torch.libs")):
        for file in sorted(folder.glob("libgomp*")):
            ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL)
            return


def is_exactly(thing: object, kind: type) -> bool:
    """
    Whether a thing is of this class, not of a subclass, and nothing was hung on it.

    What a kernel computes instead of it is then what it would compute itself: no method is
    replaced, and a module has no hooks, its own or global ones. (Parametrizations of PyTorch make
    a subclass, its older ones and pruning are hooks.)
    """
    known: Hashable = kind
    if type(thing) is not kind or not _methods(known).isdisjoint(vars(thing)):
        return False
    return not isinstance(thing, nn.Module) or not any(
        (*(getattr(thing, name) for name in _HOOKS), *_GLOBAL_HOOKS)
    )


def keeps(thing: object, kind: type, *names: str) -> bool:
    """Whether a thing, perhaps of a subclass, has these methods as a class has them."""
    return all(
        getattr(type(thing), name) is getattr(kind, name) and name not in vars(thing)
        for name in names
    )


@cache
def _methods(kind: Hashable) -> frozenset[str]:
    return frozenset(
        name
        for name in dir(kind)
        if callable(value := getattr(kind, name)) or isinstance(value, property)
    )


_KINDS = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
_HOOKS = tuple(f"_{kind}" for kind in _KINDS)
_GLOBAL_HOOKS = tuple(getattr(nn.modules.module, f"_global_{kind}") for kind in _KINDS)


def arguments(*values: Tensor | float | None) -> list[Any]:
    """For a kernel: places of contiguous tensors, null for None, whole numbers, real ones."""
    return [argument(value) for value in values]


def argument(value: Tensor | float | None) -> Any:
    """One of `arguments`."""
    if value is None or isinstance(value, Tensor):
        return at(value)
    return ctypes.c_int64(value) if isinstance(value, int) else ctypes.c_float(value)


def at(t: Tensor | None) -> ctypes.c_void_p:
    """Where a tensor's numbers begin; null for None."""
    return ctypes.c_void_p(None if t is None else t.data_ptr())


def threads(work: int) -> ctypes.c_int64:
    """Threads for so many elements."""
    return ctypes.c_int64(1 if work < SERIAL_ELEMENTS else torch.get_num_threads())
