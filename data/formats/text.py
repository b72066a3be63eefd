"""Text files, read whole."""

import codecs
from pathlib import Path

from nco.data.errors import InputError


def read_text(path: Path) -> str:
    """
    The text of a file: UTF-8, UTF-16 with its mark, else Latin-1 (comments of old files).

    Raises
    ------
    InputError
        The file is missing, unreadable, empty or no text.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read, {error.strerror or error}") from None
    except ValueError as error:  # a name with a NUL in it
        raise InputError(f"{path}: no file name, {error}") from None
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
