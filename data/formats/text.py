"""Text files, read whole."""

from pathlib import Path

from nco.data.errors import InputError
from nco.data.limits import read_bytes


def read_text(path: Path) -> str:
    """
    The text of a file: UTF-8, or Latin-1 where it is not (comments of old files).

    Raises
    ------
    InputError
        The file is missing, unreadable, too large, empty or no text.
    """
    raw = read_bytes(path)
    if not raw.strip():
        raise InputError(f"{path}: the file is empty, expected an instance or a solution")
    if b"\0" in raw:
        raise InputError(f"{path}: binary data, expected text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
