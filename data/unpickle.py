"""
Pickled data sets read without ever running what a pickle may ask for.

What a pickle can name are a few stand-ins of our own that cannot be changed from inside it. Arrays
are of numbers and texts only, made by our own reconstruction from exactly the bytes they need.
"""

import io
import math
import pickle
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nco.data.errors import InputError
from nco.data.limits import read_bytes
from nco.data.pickle_scan import scan


def unpickle(path: Path) -> Any:
    """
    Reads a pickle that holds plain containers, numbers, strings and numpy arrays only.

    Raises
    ------
    InputError
        The file cannot be read, is no pickle, or asks for anything else.
    """
    content = read_bytes(Path(path))
    try:
        return loads(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def loads(content: bytes) -> Any:
    """
    The object in a pickle: see `unpickle`.

    Raises
    ------
    InputError
        The content is no pickle, or asks for anything but plain data.
    """
    try:
        found = scan(content)
        # The fast one looks at no keys before it hashes them.
        kind = CarefulUnpickler if found.hashes else _PlainUnpickler
        return kind(io.BytesIO(content)).load()
    except InputError as error:  # which may quote a name from the pickle
        raise InputError(" ".join(str(error).split())) from None
    # A broken pickle can fail in any way: in an opcode, a constructor, by its size or its depth.
    except Exception as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"not a readable pickle ({reason})") from error


class StandIn:
    """
    What a name in a pickle stands for: it can be called, and not be changed.

    Parameters
    ----------
    name
        For messages.
    make
        Called with the arguments in the pickle; None if nothing calls it.
    """

    __slots__ = ("_make", "_name")

    def __init__(self, name: str, make: Callable[..., Any] | None):
        self._name, self._make = name, make

    def __call__(self, *args: Any) -> Any:
        if self._make is None:
            raise InputError(f"the pickle calls {self._name}, expected plain data")
        return self._make(*args)

    def __setstate__(self, state: Any) -> None:
        raise InputError(f"the pickle sets the state of {self._name}, expected plain data")


def _find(module: str, name: str) -> StandIn:
    # The names before numpy 2, and those of protocols that Python 2 can read.
    module = module.replace("numpy.core.", "numpy._core.").replace("__builtin__", "builtins")
    if (module, name) not in PLAIN_NAMES:
        raise InputError(
            f"the pickle asks for {module}.{name}, expected plain lists, tuples, dicts, "
            "numbers and numpy arrays"
        )
    return PLAIN_NAMES[module, name]


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _find(module, name)


class CarefulUnpickler(pickle._Unpickler):  # type: ignore[name-defined,misc]
    """The unpickler in Python, which looks at keys before it hashes them."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    stack: list[Any]  # of the base class
    key_types: tuple[type, ...] = ()  # that may be keys beside texts and numbers

    def find_class(self, module: str, name: str) -> Any:
        return _find(module, name)

    def _set_item(self) -> None:
        require_keys([self.stack[-2]], self.key_types)
        pickle._Unpickler.load_setitem(self)  # type: ignore[attr-defined]

    def _set_items(self) -> None:
        require_keys(self.stack[::2], self.key_types)
        pickle._Unpickler.load_setitems(self)  # type: ignore[attr-defined]

    def _add_items(self) -> None:
        require_keys(self.stack, self.key_types)
        pickle._Unpickler.load_additems(self)  # type: ignore[attr-defined]

    def _frozenset(self) -> None:
        require_keys(self.stack, self.key_types)
        pickle._Unpickler.load_frozenset(self)  # type: ignore[attr-defined]

    def _dict(self) -> None:
        require_keys(self.stack[::2], self.key_types)
        pickle._Unpickler.load_dict(self)  # type: ignore[attr-defined]

    dispatch[pickle.SETITEM[0]] = _set_item
    dispatch[pickle.SETITEMS[0]] = _set_items
    dispatch[pickle.ADDITEMS[0]] = _add_items
    dispatch[pickle.FROZENSET[0]] = _frozenset
    dispatch[pickle.DICT[0]] = _dict


def require_keys(keys: Iterable[Any], also: tuple[type, ...] = ()) -> None:
    """Keys that hash in a moment and differ in their hashes: texts and numbers of 64 bits."""
    for key in keys:
        plain = isinstance(key, (str, bytes, bool, type(None), *also))
        if not plain and not (type(key) is int and abs(key) < 2**61 - 1):
            raise InputError(
                f"the pickle has a {type(key).__name__} as key, expected texts or numbers"
            )


def _latin1(text: Any = None, encoding: Any = None) -> bytes:
    """How pickles of protocol 2 spell bytes."""
    if encoding != "latin1" or not isinstance(text, str):
        raise InputError(f"the pickle asks for the codec {encoding!r}, expected latin1")
    return text.encode("latin-1")


def _bytearray(content: Any = b"", encoding: Any = "latin-1") -> bytearray:
    """How pickles before protocol 5 spell byte arrays; never a size without the content."""
    if isinstance(content, str):
        content = content.encode("latin-1")
    if not isinstance(content, bytes | bytearray):
        raise InputError("the pickle has a byte array without its bytes")
    return bytearray(content)


def _bytes(*content: Any) -> bytes:
    """How pickles of protocol 2 spell no bytes."""
    if content:
        raise InputError("the pickle calls builtins.bytes, expected plain data")
    return b""


def _keyed(kind: Callable[[Any], Any], pairs: bool = False) -> Callable[..., Any]:
    """Makes a set, or a dictionary of pairs, from a list in the pickle."""

    def make(items: Any = ()) -> Any:
        if not isinstance(items, list | tuple):
            raise InputError("the pickle has a set of no list")
        require_keys([key for key, _ in items] if pairs else items)
        return kind(items)

    return make


def _complex(real: Any = 0.0, imag: Any = 0.0) -> complex:
    if not isinstance(real, int | float) or not isinstance(imag, int | float):
        raise InputError("the pickle has a complex number of no numbers")
    return complex(real, imag)


# Kinds of numbers and texts of at most so many bytes each.
_CODE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|f16|c8|c16|c32|U\d{1,5}|S\d{1,5})")
_MAX_SIDE = 2**31


class _DType:
    """A dtype: the code and the byte order of a number, or the length of a text."""

    __slots__ = ("dtype",)

    def __init__(self, code: Any = None, align: Any = False, copy: Any = True):
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise InputError(f"the pickle has an array of {_brief(code)}, expected numbers")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) in (8, 9) else None
        parts = state[2:5] if order is not None else (0,)
        if order not in ("<", ">", "=", "|") or any(part is not None for part in parts):
            raise InputError("the pickle has an array of records, expected numbers")
        self.dtype = self.dtype.newbyteorder(order)


def _dtype(kind: Any) -> np.dtype:
    if not isinstance(kind, _DType):
        raise InputError(f"the pickle has an array of {_brief(kind)}, expected numbers")
    return kind.dtype


class _Array(np.ndarray):
    """An array whose content a pickle may give once, if it is complete."""

    def __setstate__(self, state: Any) -> None:  # type: ignore[override]
        if not isinstance(state, tuple) or len(state) != 5 or self.nbytes:
            raise InputError("the pickle has an array without its content")
        _, shape, kind, fortran, raw = state
        content = _checked(raw, _dtype(kind), shape)
        given = (1, shape, content.dtype, bool(fortran), raw)
        super().__setstate__(given)  # type: ignore[arg-type]  # of numpy's own bool, it says


def _checked(raw: Any, dtype: np.dtype, shape: Any) -> np.ndarray:
    """A flat array over just the bytes that an array of a shape needs."""
    if not isinstance(raw, bytes | bytearray):
        raise InputError(f"the pickle has an array of {_brief(raw)}, expected its bytes")
    sides = shape if isinstance(shape, tuple) else (None,)
    if len(sides) > 32 or not all(type(k) is int and 0 <= k < _MAX_SIDE for k in sides):
        raise InputError(f"the pickle has an array of shape {_brief(shape)}")
    if not dtype.itemsize or math.prod(sides) * dtype.itemsize != len(raw):
        raise InputError(
            f"the pickle has an array {list(sides)} of {dtype.name} in {len(raw)} bytes"
        )
    if dtype.kind == "b" and max(raw, default=0) > 1:
        raise InputError("the pickle has an array of truth values beyond 0 and 1")
    if dtype.kind == "U" and (np.frombuffer(raw, f"{dtype.str[0]}u4") > sys.maxunicode).any():
        raise InputError("the pickle has an array of texts with no characters")
    return np.frombuffer(raw, dtype).view(_Array)


def _reconstruct(kind: Any = None, shape: Any = None, code: Any = None) -> np.ndarray:
    """How pickles before protocol 5 begin an array: an empty one, whose state follows."""
    if kind is not PLAIN_NAMES["numpy", "ndarray"]:
        raise InputError(f"the pickle has an array of {_brief(kind)}, expected numpy.ndarray")
    return np.empty(0, np.int8).view(_Array)


def _frombuffer(raw: Any = None, kind: Any = None, shape: Any = None, order: Any = "C") -> Any:
    """How pickles of protocol 5 spell arrays."""
    return _checked(raw, _dtype(kind), shape).reshape(shape, order="F" if order == "F" else "C")


def _scalar(kind: Any = None, raw: Any = None) -> Any:
    """How pickles spell numpy's numbers."""
    return _checked(raw, _dtype(kind), ())[0]


def _brief(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:37]}..."


PLAIN_NAMES: dict[tuple[str, str], StandIn] = {
    (module, name): StandIn(f"{module}.{name}", make)
    for module, name, make in (
        ("builtins", "bytearray", _bytearray),
        ("builtins", "bytes", _bytes),
        ("builtins", "complex", _complex),
        ("builtins", "frozenset", _keyed(frozenset)),
        ("builtins", "set", _keyed(set)),
        ("collections", "OrderedDict", _keyed(OrderedDict, pairs=True)),
        ("_codecs", "encode", _latin1),
        ("numpy", "dtype", _DType),
        ("numpy", "ndarray", None),
        ("numpy._core.multiarray", "_reconstruct", _reconstruct),
        ("numpy._core.multiarray", "scalar", _scalar),
        ("numpy._core.numeric", "_frombuffer", _frombuffer),
    )
}
