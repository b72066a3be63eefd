"""
Reads the tensors out of pickled checkpoints without running any of the code that they name.

A stand-in for the ``pickle`` module that ``torch.load`` accepts as ``pickle_module``. Tensors,
ordered dictionaries and built-in containers are built; every other class or function that the
pickle names becomes an inert `InertObject`, which accepts any call and any state and does nothing.
"""

import collections
import pickle
from typing import Any

import torch

# What torch's own checkpoints are made of, beside storages (see `torch._weights_only_unpickler`).
_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
}


class InertObject(dict):  # a dict: pickle fills mappings and lists of unknown classes item by item
    """Stands for an object of a class that is not loaded."""

    def __init__(self, *args: Any):
        super().__init__()

    def __setstate__(self, state: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Takes what a list subclass would be filled with."""

    def extend(self, items: Any) -> None:
        """Takes what a list subclass would be filled with."""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


class Unpickler(pickle.Unpickler):
    """Knows tensors and containers; everything else is a `InertObject`."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module == "torch" and name.endswith("Storage") and hasattr(torch, name):
            return getattr(torch, name)
        return InertObject


def load(file: Any, **options: Any) -> Any:
    """`pickle.load` with the restricted `Unpickler` (torch reads a file's header with it)."""
    return Unpickler(file, **options).load()
