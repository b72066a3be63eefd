"""From the words of a command line to instances."""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path

from nco.data.errors import InputError, InputWarning
from nco.data.formats import FileInstance, Rounding, read, suffixes

Complain = Callable[[Exception | str], None]


def read_all(
    words: Sequence[str], rounding: Rounding, complain: Complain
) -> tuple[list[FileInstance], int]:
    """
    Reads every instance that the words name.

    Parameters
    ----------
    words
        Files, folders and globs.
    rounding
        See `nco.data.formats.rounding`.
    complain
        Told of everything that cannot be read; the other files are read all the same.

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
            found.append(_read(path, rounding, complain))
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


def _read(path: Path, rounding: Rounding, complain: Complain) -> FileInstance:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        file = read(path, rounding)
    for warning in caught:
        if not issubclass(warning.category, InputWarning):
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
        else:
            complain(f"warning: {warning.message}")
    return file


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts numbers in names by value."""
    parts = re.findall(r"\d+|\D+", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _expected() -> str:
    return " ".join(suffixes())
