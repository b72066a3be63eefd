"""
How much of a file is read: the one home of all bounds on sizes.

A file is opened only if it is a regular one, read only up to the bound, and what it says about
sizes is believed only as far as the bound goes: before anything is allocated.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nco.data.errors import InputError

MEGABYTE = 10**6
DEFAULT_MEGABYTES = 64.0
UNPACKED = 8  # an archive may unfold to so many times its size, where that is more
_megabytes = [DEFAULT_MEGABYTES]  # of the process: readers may work in threads of their own


@contextmanager
def max_size(megabytes: float | None) -> Iterator[None]:
    """
    Sets the bound on the size of files, packed and unpacked, for the time of a ``with``.

    Parameters
    ----------
    megabytes
        The bound; None leaves it as it is, infinity lifts it.
    """
    _megabytes.append(_megabytes[-1] if megabytes is None else megabytes)
    try:
        yield
    finally:
        _megabytes.pop()


def max_bytes() -> int:
    """The bound in bytes."""
    return int(min(_megabytes[-1] * MEGABYTE, sys.maxsize))


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
            f"{_megabytes[-1]:,g} MB (--max-size)"
        )


def require_unpacked(size: int, packed: int, where: object) -> None:
    """
    Refuses an archive that would unfold to more than the bound, and to many times its size.

    Parameters
    ----------
    size, packed
        In bytes, unpacked and as it is.
    where
        The file, for the message.

    Raises
    ------
    InputError
        It would.
    """
    if size > UNPACKED * packed:
        require_size(size, where, f"unfolds from {packed / MEGABYTE:,.1f} MB to content")


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
        if stat.S_ISDIR(mode):
            raise InputError(f"{path}: cannot be read, {os.strerror(errno.EISDIR)}")
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
            content = b"" if size > bound else file.read(size + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {error.strerror or error}") from None
    if len(content) > size:
        raise InputError(f"{path}: cannot be read, it grows")
    if at_most is None:
        require_size(size, path)
    elif size > at_most:
        raise InputError(f"{path}: a file of {size:,} bytes, expected at most {at_most:,}")
    return content


_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
