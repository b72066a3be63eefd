"""Pickled data sets read without ever running what a pickle may ask for."""

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core import multiarray

from nco.data.errors import InputError


def unpickle(path: Path) -> Any:
    """
    Reads a pickle that holds plain containers, numbers, strings and numpy arrays only.

    Raises
    ------
    InputError
        The file cannot be read, is no pickle, or asks for anything else.
    """
    try:
        return loads(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {error.strerror}") from error
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
        return _PlainUnpickler(io.BytesIO(content)).load()
    except InputError:
        raise
    # A broken pickle can fail in any way: in an opcode, a constructor, by its size or its depth.
    except Exception as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"not a readable pickle ({reason})") from error


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # The names before numpy 2, and those of protocols that Python 2 can read.
        module = module.replace("numpy.core.", "numpy._core.").replace("__builtin__", "builtins")
        if (module, name) not in _PLAIN:
            raise InputError(
                f"the pickle asks for {module}.{name}, expected plain lists, tuples, dicts, "
                "numbers and numpy arrays"
            )
        return _PLAIN[module, name]


def _latin1(text: str, encoding: str) -> bytes:
    """How pickles of protocol 2 spell bytes."""
    if encoding != "latin1":
        raise InputError(f"the pickle asks for the codec {encoding!r}, expected latin1")
    return text.encode(encoding)


def _bytearray(content: bytes | str = b"", encoding: str = "latin-1") -> bytearray:
    """How pickles before protocol 5 spell byte arrays; never a size without the content."""
    part = content.encode("latin-1") if isinstance(content, str) else content
    return bytearray().join([part])


def _frombuffer(buffer: bytes, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    """How pickles of protocol 5 spell arrays."""
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


_PLAIN: dict[tuple[str, str], Callable[..., Any]] = {
    ("builtins", "bytearray"): _bytearray,
    ("builtins", "complex"): complex,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "set"): set,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _latin1,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy._core.multiarray", "_reconstruct"): multiarray._reconstruct,
    ("numpy._core.multiarray", "scalar"): multiarray.scalar,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
}
