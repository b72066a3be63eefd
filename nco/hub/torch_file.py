"""
Reads the files of ``torch.save`` as data: tensors, containers, numbers and texts.

Neither ``torch.load`` nor any function that a file names is called: a tensor is a view of a storage
that lies in the file as a whole, and must not reach beyond it.
"""

import io
import math
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.limits import open_regular, read_bytes, require_size
from nco.data.pickle_scan import scan
from nco.data.unpickle import PLAIN_NAMES, CarefulUnpickler, StandIn

PLAIN_USED = (
    *(("collections", "OrderedDict"), ("builtins", "set"), ("builtins", "bytearray")),
    ("_codecs", "encode"),
)
DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of files before torch 1.6


class InertObject(dict[Any, Any]):  # a dict: pickle fills such classes item by item
    """Stands for an object of a class that is not loaded: takes any call and any state."""

    def __init__(self, *args: Any):
        super().__init__()

    def append(self, item: Any) -> None:
        """Takes what a list subclass would be filled with."""

    def extend(self, items: Any) -> None:
        """Takes what a list subclass would be filled with."""

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


def read_torch_file(path: Path, inert: bool = False) -> Any:
    """
    The object that a file of ``torch.save`` holds.

    Parameters
    ----------
    path
        The file.
    inert
        Whether objects of unknown classes become an `InertObject`; else they are refused.

    Raises
    ------
    InputError
        The file cannot be read, is none of ``torch.save``, or asks for anything but plain data.
    """
    try:
        with open_regular(path) as file:
            if zipfile.is_zipfile(file):
                return _read_zip(file, inert)
        return _read_stream(read_bytes(path), inert)
    except InputError as error:
        reason = " ".join(str(error).removeprefix(f"{path}: ").split())
        raise InputError(f"{path}: {reason}") from None
    # A broken file can fail in any way: its directory, an instruction, a size.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: no readable file of torch ({reason})") from None


class _Storage(StandIn):
    """A class of storages: what kind of numbers they hold."""

    __slots__ = ("dtype",)

    def __init__(self, name: str, dtype: torch.dtype):
        super().__init__(name, None)
        self.dtype = dtype


class _Unpickler(CarefulUnpickler):
    """
    Knows tensors and containers.

    Parameters
    ----------
    content
        The pickle.
    inert
        See `read_torch_file`.
    storage
        Gives the numbers of a storage by its kind, key and size.
    """

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(CarefulUnpickler.dispatch)
    key_types = (InertObject, type)

    def __init__(
        self, content: bytes, inert: bool, storage: Callable[[torch.dtype, str, int], Tensor]
    ):
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self._inert, self._storage = inert, storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module in ("torch", "torch.cuda") and name in DTYPES:
            return _Storage(f"{module}.{name}", DTYPES[name])
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return StandIn(f"torch.{name}", None)
        if self._inert:
            return InertObject
        raise InputError(f"asks for {module}.{name}, expected tensors and plain data")

    def persistent_load(self, found: Any) -> Tensor:
        """The numbers of a storage."""
        if not isinstance(found, tuple) or len(found) not in (5, 6) or found[0] != "storage":
            raise InputError("asks for something outside that is no storage")
        _, kind, key, _, count = found[:5]
        if not isinstance(kind, _Storage) or type(count) is not int or not isinstance(key, str):
            raise InputError("has a storage of no numbers")
        if len(found) == 6 and found[5] is not None:
            raise InputError("has a part of a storage, expected a whole one")
        return self._storage(kind.dtype, key, count)

    def _build(self) -> None:
        # The state of containers is that of their class, and no tensor has one.
        self.stack.pop()
        if not isinstance(self.stack[-1], InertObject | OrderedDict):
            raise InputError(f"sets the state of a {type(self.stack[-1]).__name__}")

    dispatch[b"b"[0]] = _build


def _tensor(
    storage: Any = None, offset: Any = 0, size: Any = (), stride: Any = (), *rest: Any
) -> Tensor:
    """A tensor as a view of its storage, no larger than this and all of it inside."""
    if not isinstance(storage, Tensor) or storage.ndim != 1:
        raise InputError("has a tensor without a storage")
    if not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride):
        raise InputError("has a tensor of no shape")
    if not all(type(k) is int and 0 <= k < 2**48 for k in (offset, *size, *stride)):
        raise InputError("has a tensor of no shape")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count = math.prod(size)
    if count and (last >= storage.numel() or count > storage.numel()):
        raise InputError(f"has a tensor {list(size)} in a storage of {storage.numel()} numbers")
    return storage.as_strided(size, stride, offset) if count else storage.new_empty(size)


def _parameter(data: Any = None, *rest: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise InputError("has a parameter without a tensor")
    return data


def _sides(sides: Any = ()) -> tuple[Any, ...]:
    return tuple(sides) if isinstance(sides, list | tuple) else ()


def _device(*where: Any) -> str:
    return ":".join(map(str, where))


def _counter(counts: Any = ()) -> dict[Any, Any]:
    return dict(counts) if isinstance(counts, dict) else {}


_ALLOWED: dict[tuple[str, str], StandIn] = {key: PLAIN_NAMES[key] for key in PLAIN_USED} | {
    (module, name): StandIn(f"{module}.{name}", make)
    for module, name, make in (
        ("collections", "Counter", _counter),
        ("torch", "Size", _sides),
        ("torch", "device", _device),
        ("torch._utils", "_rebuild_tensor", _tensor),
        ("torch._utils", "_rebuild_tensor_v2", _tensor),
        ("torch._utils", "_rebuild_parameter", _parameter),
    )
}


def _read_zip(file: BinaryIO, inert: bool) -> Any:
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        room = file.seek(0, io.SEEK_END)
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise InputError("has compressed entries")
        if sum(entry.file_size for entry in entries.values()) > room:
            raise InputError("has entries larger than the file")
        pickled = next((k for k in entries if k.count("/") == 1 and k.endswith("/data.pkl")), None)
        if pickled is None:
            raise InputError("is no file of torch.save")
        folder = pickled.removesuffix("data.pkl")
        order = f"{folder}byteorder"
        if order in entries and archive.read(order) != b"little":
            raise InputError("is of a machine with another byte order")
        require_size(entries[pickled].file_size, "data.pkl")
        known: dict[str, Tensor] = {}

        def storage(dtype: torch.dtype, key: str, count: int) -> Tensor:
            if key not in known:
                raw = bytearray(archive.read(f"{folder}data/{key}"))
                known[key] = torch.frombuffer(raw, dtype=torch.uint8) if raw else _none(dtype)
            raw_size = known[key].numel() * known[key].element_size()
            if raw_size != count * dtype.itemsize:
                raise InputError(f"has a storage of {count} numbers in {raw_size} bytes")
            return known[key].view(dtype) if raw_size else _none(dtype)

        content = archive.read(pickled)
        return _load(content, 0, inert, storage)[0]


def _read_stream(content: bytes, inert: bool) -> Any:
    """The format before torch 1.6: pickles one after another, and then the storages."""
    at, parts = 0, []
    storages: dict[str, Tensor] = {}
    room = len(content)

    def storage(dtype: torch.dtype, key: str, count: int) -> Tensor:
        nonlocal room
        if key not in storages:
            room -= count * dtype.itemsize
            if count < 0 or room < 0:
                raise InputError(f"has a storage of {count} numbers beyond its end")
            storages[key] = torch.empty(count, dtype=dtype)
        if storages[key].dtype != dtype or storages[key].numel() != count:
            raise InputError("has a storage of two kinds")
        return storages[key]

    for expected in (MAGIC, PROTOCOL, None, None, None):
        found, at = _load(content, at, inert, storage)
        if expected is not None and found != expected:
            raise InputError("is no file of torch.save")
        parts.append(found)
    system, result, keys = parts[2:]
    if not isinstance(system, dict) or not system.get("little_endian"):
        raise InputError("is of a machine with another byte order")
    _fill(content, at, keys, storages)
    return result


def _fill(content: bytes, at: int, keys: Any, storages: dict[str, Tensor]) -> None:
    if not isinstance(keys, list | tuple) or sorted(map(str, keys)) != sorted(storages):
        raise InputError("does not hold the storages that it names")
    for key in keys:
        into = storages[key]
        count = int.from_bytes(content[at : at + 8], "little", signed=True)
        size = count * into.element_size()
        raw = content[at + 8 : at + 8 + size]
        if count != into.numel() or len(raw) != size:
            raise InputError("is cut off")
        if size:
            into.view(torch.uint8).copy_(torch.frombuffer(bytearray(raw), dtype=torch.uint8))
        at += 8 + size


def _load(
    content: bytes,
    at: int,
    inert: bool,
    storage: Callable[[torch.dtype, str, int], Tensor],
) -> tuple[Any, int]:
    """One pickle of a content, and where it ends."""
    end = scan(content, at, persistent=True).end
    return _Unpickler(content[at:end], inert, storage).load(), end


def _none(dtype: torch.dtype) -> Tensor:
    return torch.empty(0, dtype=dtype)
