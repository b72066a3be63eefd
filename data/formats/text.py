"""Text files, read whole."""

import codecs
from pathlib import Path

from nco.data.errors import InputError
from nco.data.limits import read_bytes


def read_text(path: Path) -> str:
    """
    The text of a file: UTF-8, UTF-16 with its mark, else Latin-1 (comments of old files).

    Raises
    ------
    InputError
        The file is missing, unreadable, too large, empty or no text.
    """
    raw = read_bytes(path)
    if not raw.strip():
        raise InputError(f"{path}: the file is empty, expected an instance or a solution")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # Excel's "Unicode text"
        try:
            return raw.decode("utf-16")
        except UnicodeDecodeError:
            raise InputError(f"{path}: broken UTF-16, expected text") from None
    if b"\0" in raw:
        raise InputError(f"{path}: binary data, expected text")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
