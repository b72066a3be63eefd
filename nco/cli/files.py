"""From the words of a command line to instances."""

import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from glob import glob, has_magic
from pathlib import Path

from nco.data.errors import InputError, InputWarning
from nco.data.formats import FileInstance, Rounding, read, suffixes
from nco.data.formats.csv_fleet import VEHICLES_TABLE
from nco.data.formats.registry import STDIN

Complain = Callable[[Exception | str], None]
MAX_BYTES = 500_000_000  # of standard input


def read_all(
    words: Sequence[str],
    rounding: Rounding,
    complain: Complain,
    settings: Mapping[str, str] | None = None,
) -> tuple[list[FileInstance], int]:
    """
    Reads every instance that the words name.

    Parameters
    ----------
    words
        Files, folders and globs; ``-`` is standard input.
    rounding
        See `nco.data.formats.rounding`.
    complain
        Told of everything that cannot be read; the other files are read all the same.
    settings
        What tables may state in comments, such as a capacity.

    Returns
    -------
    tuple
        The instances, and the number of words and files that could not be used.
    """
    found: list[FileInstance] = []
    bad = 0
    paths: dict[Path, None] = {}  # a set in the order of the command line
    for word in words:
        try:
            paths |= dict.fromkeys(expand(word))
        except InputError as error:
            complain(error)
            bad += 1
    for path in _without_solutions(list(paths)):
        try:
            found.append(_read(path, rounding, complain, settings))
        except (InputError, OSError) as error:
            complain(error)
            bad += 1
    return found, bad


def expand(word: str) -> list[Path]:
    """
    The files that a word means: itself, those of a folder, or those that a glob matches.

    Of a folder, the files with a suffix of an instance format; in natural order (n99 before n100).

    Raises
    ------
    InputError
        A folder or a glob has no instance.
    """
    path = Path(word)
    if path.is_dir():
        files = [file for file in path.iterdir() if file.suffix.lower() in suffixes()]
        files = [file for file in files if not file.name.endswith(VEHICLES_TABLE)]
        if not files:
            raise InputError(f"{word}: no instance in this folder, expected {_expected()}")
        return sorted(files, key=_natural)
    if has_magic(word) and not path.exists():
        files = [Path(name) for name in glob(word, recursive=True) if Path(name).is_file()]
        if not files:
            raise InputError(f"{word}: matches no file, expected instances ({_expected()})")
        return sorted(files, key=_natural)
    return [path]


def _without_solutions(paths: list[Path]) -> Iterator[Path]:
    """All but the ``.sol`` files of instances that are there too: a shell's ``*`` brings both."""
    instances = {path.with_suffix("") for path in paths if path.suffix != ".sol"}
    for path in paths:
        if path.suffix != ".sol" or path.with_suffix("") not in instances:
            yield path


def _read(
    path: Path, rounding: Rounding, complain: Complain, settings: Mapping[str, str] | None
) -> FileInstance:
    text = _standard_input() if path == STDIN else None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        file = read(path, rounding, settings, text)
    for warning in caught:
        if not issubclass(warning.category, InputWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        else:
            complain(f"warning: {warning.message}")
    return replace(file, name="stdin", path=Path("stdin")) if path == STDIN else file


def _standard_input() -> str:
    raw = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise InputError(f"-: more than {MAX_BYTES} bytes, expected an instance")
    if not raw.strip():
        raise InputError("-: nothing on standard input, expected an instance")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("-: binary data on standard input, expected text") from None


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts numbers in names by value."""
    parts = re.findall(r"\d+|\D+", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _expected() -> str:
    return " ".join(suffixes())
