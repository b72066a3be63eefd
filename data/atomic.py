"""Files that are whole or absent."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from nco.data.errors import InputError


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """
    A temporary name beside ``path`` to write to, renamed to it at the end.

    On an error, and when the process is killed half-way, ``path`` keeps what it held.

    Raises
    ------
    InputError
        The folder is missing or not writable.
    """
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            part = Path(file.name)
    except OSError as error:
        raise InputError(f"{path}: cannot be written, {error.strerror}") from error
    try:
        yield part
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)  # a temporary file is for its owner only
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
