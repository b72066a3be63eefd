"""
How much of a file is read: the one home of all bounds on sizes.

A file is opened only if it is a regular one, read only up to the bound, and what it says about
sizes is believed only as far as the bound goes: before anything is allocated.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from nco.data.errors import InputError

MEGABYTE = 10**6
DEFAULT_MEGABYTES = 128.0
_megabytes: ContextVar[float] = ContextVar("max_size", default=DEFAULT_MEGABYTES)


@contextmanager
def max_size(megabytes: float | None) -> Iterator[None]:
    """
    Sets the bound on the size of files, packed and unpacked, for the time of a ``with``.

    Parameters
    ----------
    megabytes
        The bound; None leaves it as it is.
    """
    token = _megabytes.set(_megabytes.get() if megabytes is None else megabytes)
    try:
        yield
    finally:
        _megabytes.reset(token)


def max_bytes() -> int:
    """The bound in bytes."""
    return int(_megabytes.get() * MEGABYTE)


def require_size(size: int, where: object, what: str = "a file") -> None:
    """
    Refuses what is larger than the bound, before it is read or allocated.

    Parameters
    ----------
    size
        In bytes.
    where
        The file, for the message.
    what
        What is so large.

    Raises
    ------
    InputError
        It is larger.
    """
    if size > max_bytes():
        raise InputError(
            f"{where}: {what} of {size / MEGABYTE:,.0f} MB, expected at most "
            f"{_megabytes.get():,g} MB (--max-size)"
        )


def open_regular(path: Path) -> BinaryIO:
    """
    Opens a file to read its bytes; never waits for a pipe or a device.

    Raises
    ------
    InputError
        The file is missing, unreadable, or none with a content of its own.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {error.strerror or error}") from None
    except ValueError as error:  # a name with a NUL in it
        raise InputError(f"{path}: no file name, {error}") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = next((word for test, word in _KINDS if test(mode)), "no regular file")
        raise InputError(f"{path}: cannot be read, is {kind}, expected a regular file")
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, at_most: int | None = None) -> bytes:
    """
    The content of a file.

    Parameters
    ----------
    path
        The file.
    at_most
        A bound in bytes of its own, where a whole `max_bytes` would make no sense.

    Raises
    ------
    InputError
        The file is missing, unreadable, no regular one, or too large.
    """
    bound = max_bytes() if at_most is None else at_most
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > bound else file.read(bound + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {error.strerror or error}") from None
    size = max(size, len(content))
    if at_most is None:
        require_size(size, path)
    elif size > at_most:
        raise InputError(f"{path}: a file of {size:,} bytes, expected at most {at_most:,}")
    return content


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
