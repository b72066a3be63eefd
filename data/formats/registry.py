"""The table of file formats: a new format is one more row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nco.data.errors import InputError
from nco.data.formats.cordeau import looks_like_cordeau, read_cordeau
from nco.data.formats.csv_matrix import looks_like_matrix, read_matrix
from nco.data.formats.csv_table import read_table
from nco.data.formats.csv_writer import write_table
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.json_file import read_json, write_json
from nco.data.formats.osrm import looks_like_osrm, read_osrm
from nco.data.formats.rounding import Rounding, check_rounding, warn_of_rounding
from nco.data.formats.solomon import (
    looks_like_li_lim,
    looks_like_solomon,
    read_li_lim,
    read_solomon,
)
from nco.data.formats.solutions.best_known import find_best_known
from nco.data.formats.text import read_text
from nco.data.formats.tour_line import looks_like_tour_line, read_tour_line
from nco.data.formats.vroom.reader import looks_like_vroom, read_vroom
from nco.data.formats.vroom.writer import write_vroom
from nco.data.formats.vrplib.reader import looks_like_tsplib, read_tsplib
from nco.data.formats.vrplib.writer import write_tsplib
from nco.data.formats.workbook import read_sheets, read_workbook
from nco.data.numbers import shown
from nco.data.registry import Registry
from nco.data.values import check_values


@dataclass(frozen=True)
class Format:
    """
    One row of the table.

    Parameters
    ----------
    name
        What people call it.
    suffixes
        Of its files.
    looks_like
        Whether a text is of this format, among those of the same suffix.
    read, write
        Its reader and writer.
    layout
        How one tells it, for messages.
    settings
        Whether its reader takes settings, such as a capacity, as a fourth argument.
    load
        What turns a file into the text that is read.
    """

    name: str
    suffixes: tuple[str, ...]
    looks_like: Callable[[str], bool]
    read: Callable[..., FileInstance]
    write: Callable[[Path, FileInstance], None] | None = None
    layout: str = ""
    settings: bool = False
    load: Callable[[Path], str] = read_text


TABLES = (".csv", ".tsv")
TSPLIB = (".vrp", ".tsp", ".atsp", ".vrpspd")
_OWN = (
    Format("TSPLIB/CVRPLIB", TSPLIB, looks_like_tsplib, read_tsplib, write_tsplib),
    Format(
        "Solomon",
        (".txt",),
        looks_like_solomon,
        read_solomon,
        layout="headings VEHICLE, NUMBER CAPACITY and CUSTOMER",
    ),
    Format(
        "Li and Lim", (".txt",), looks_like_li_lim, read_li_lim, layout="3 numbers, then rows of 9"
    ),
    Format(
        "Cordeau",
        (".txt",),
        looks_like_cordeau,
        read_cordeau,
        layout="4 integers, then 2 numbers for each depot",
    ),
    Format(
        "tour line",
        (".txt",),
        looks_like_tour_line,
        read_tour_line,
        layout="x y x y ... output 1 2 1",
    ),
    Format("VROOM", (".vroom.json",), looks_like_vroom, read_vroom, write_vroom),
    Format("VROOM as .json", (".json",), looks_like_vroom, read_vroom),
    Format("OSRM table", (".json",), looks_like_osrm, read_osrm),
    Format("JSON", (".json",), lambda text: text.lstrip()[:1] == "{", read_json, write_json),
    Format("CSV matrix", TABLES, looks_like_matrix, read_matrix),
    Format("CSV table", TABLES, lambda text: True, read_table, write_table, settings=True),
    Format(
        "Excel workbook",
        (".xlsx",),
        lambda text: True,
        read_sheets,
        load=read_workbook,
        settings=True,
    ),
)
FORMATS: Registry[str, Format] = Registry("format", {row.name: row for row in _OWN})


def every_format() -> list[Format]:
    """All formats, those of plug-ins first."""
    added = FORMATS.added
    return [*added.values(), *(row for name, row in FORMATS.items() if name not in added)]


def suffixes() -> list[str]:
    """The file name endings of all formats."""
    return sorted({suffix for row in every_format() for suffix in row.suffixes})


STDIN = Path("-")


def read(
    path: Path | str,
    rounding: Rounding = "auto",
    settings: Mapping[str, str] | None = None,
    text: str | None = None,
) -> FileInstance:
    """
    Reads one instance from a file, with the cost of the best-known solution beside it.

    The suffix tells the format; a file of another suffix is read as TSPLIB if it looks like it.

    Parameters
    ----------
    path
        The file.
    rounding
        What ``EUC_2D`` means: see `nco.data.formats.rounding`.
    settings
        What a table's comments may state, such as its capacity; goes before them.
    text
        The content, where it is no file's: of any format, told by what it looks like.

    Raises
    ------
    InputError
        The file cannot be read: one line with file, what was found and what was expected.
    """
    path = Path(path)
    check_rounding(rounding)
    if text is None:
        rows = [row for row in every_format() if path.name.lower().endswith(row.suffixes)]
        text = (rows[0].load if rows else read_text)(path)
    chosen = _format(text, path)
    if settings and not chosen.settings:
        options = ", ".join(f"--{name}" for name in settings)
        raise InputError(f"{path}: {options} are for tables, expected none for {chosen.name}")
    given = (settings,) if settings else ()
    try:
        file = chosen.read(text, path, rounding, *given)
        check_values(file.instance)
        warn_of_rounding(file)
        usual = rounding == "auto" or _same_metric(file, chosen.read(text, path, "auto", *given))
    except InputError as error:
        if str(error).startswith(str(path)):
            raise
        raise InputError(f"{path}: {error}") from None
    found = None if path == STDIN else find_best_known(path, file, usual)
    if found is None or (found[0] is None and file.best_known is not None):
        return file
    return replace(file, best_known=found[0], best_known_source=found[1])


def _format(text: str, path: Path) -> Format:
    """The format of a file, by its suffix and what it looks like."""
    name = path.name.lower()
    rows = [row for row in every_format() if name.endswith(row.suffixes) or path == STDIN]
    for row in (*rows, FORMATS["TSPLIB/CVRPLIB"]):
        if row.looks_like(text):
            return row
    if not rows:
        raise InputError(f"{path}: unknown format, expected one of {', '.join(suffixes())}")
    layouts = [f"{row.name}'s ({row.layout})" for row in rows if row.layout]
    if not layouts:
        return rows[0]
    ending = rows[0].suffixes[0]
    found = shown(" ".join(text.split(maxsplit=12)[:12]))
    raise InputError(
        f"{path}: unknown format, expected one of the layouts of {ending} files: "
        f"{', '.join(layouts)}, or TSPLIB's (DIMENSION); found {found}"
    )


def _same_metric(file: FileInstance, other: FileInstance) -> bool:
    """Whether two readings of a file mean the same distances."""
    metrics = [each.instance.get("metric", None) for each in (file, other)]
    return len({0 if metric is None else int(metric) for metric in metrics}) == 1


def write(path: Path | str, file: FileInstance) -> None:
    """
    Writes one instance, whole or not at all, in the format of the suffix.

    Raises
    ------
    InputError
        No format of this suffix can be written, or it cannot express the instance.
    """
    path = Path(path)
    for row in every_format():
        if path.name.lower().endswith(row.suffixes) and row.write is not None:
            row.write(path, file)
            return
    raise InputError(f"{path}: unknown format, expected one of {', '.join(suffixes())}")
