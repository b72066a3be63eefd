"""
A device that is no CPU, for machines without one: tensors of shapes without values.

PyTorch's own "meta" device, with every wait for a value counted, and CPU tensors kept out.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from tensordict import TensorDict
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Aten = torch.ops.aten
# What needs the values: each makes the host wait for the device.
WAITS = {
    Aten._local_scalar_dense.default,
    Aten.nonzero.default,
    Aten.equal.default,
    Aten.is_nonzero.default,
    Aten.masked_select.default,
    Aten._unique2.default,
    Aten.unique_consecutive.default,
}
VIEWS = {"view", "expand", "unsqueeze", "squeeze", "select", "slice", "transpose", "permute", "t"}
DEVICE = torch.device("meta")
VIEWS |= {"detach", "alias", "as_strided", "split", "unbind", "_unsafe_view", "split_with_sizes"}


class Host(TorchDispatchMode):
    """
    Counts what a loop asks of a device.

    Attributes
    ----------
    waits
        Operations that made the host wait, by name: truths are answered by False (nothing is
        finished yet), whole numbers by 1, and everything else is refused.
    launches
        How many operations computed something, views apart.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.launches = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        away = [t for t in tensors if t.device.type == "meta"]
        # Only numbers are handed over without a copy; a copy the other way is a wait.
        strangers = [t for t in tensors if t.device.type != "meta" and t.ndim]
        if away and strangers and func is not Aten.copy_.default:
            raise AssertionError(f"{name}: a CPU tensor {list(strangers[0].shape)} on the device")
        target = kwargs.get("device")
        leaves = func is Aten._to_copy.default and target is not None and target.type == "cpu"
        if away and (func in WAITS or leaves):
            self.waits[name] += 1
            if func is Aten._local_scalar_dense.default and not args[0].is_floating_point():
                return False if args[0].dtype == torch.bool else 1
        if away and name not in VIEWS:
            self.launches += 1
        return func(*args, **kwargs)


@contextmanager
def on_meta() -> Iterator[Host]:
    """Counts what is asked of the device."""
    with Host() as host:
        yield host


def placed(instance: TensorDict) -> TensorDict:
    """An instance on the device."""
    fields = {
        name: torch.empty(value.shape, dtype=value.dtype, device=DEVICE)
        for name, value in instance.items()
    }
    return TensorDict(fields, batch_size=instance.batch_size, device=DEVICE)
