"""
Excel workbooks, by pandas and openpyxl: the extra ``tables`` of this package.

The first sheet is read as the same text in CSV would be, a matrix or a table of nodes; a second one
is its table of vehicles.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from nco.data.errors import InputError
from nco.data.formats.csv_matrix import looks_like_matrix, read_matrix
from nco.data.formats.csv_table import read_table
from nco.data.formats.csv_text import csv_cells
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.rounding import Rounding

MAX_BYTES = 200_000_000  # of a workbook, unpacked


def read_workbook(path: Path) -> str:
    """
    The first sheet as CSV text.

    Raises
    ------
    InputError
        pandas or openpyxl is not there, or the file is no workbook.
    """
    return _sheets(path)[0]


def read_sheets(
    text: str, path: Path, rounding: Rounding, given: Mapping[str, str] | None = None
) -> FileInstance:
    """
    Reads a workbook whose first sheet is a matrix or a table of nodes.

    Raises
    ------
    InputError
        A sheet is none.
    """
    if looks_like_matrix(text) and not given:
        return read_matrix(text, path, rounding)
    sheets = _sheets(path)
    fleet = csv_cells(sheets[1], path) if len(sheets) > 1 and sheets[1].strip() else None
    return read_table(text, path, rounding, given, fleet)


def _sheets(path: Path) -> list[str]:
    try:
        import openpyxl  # noqa: F401  pandas imports it by name
        import pandas as pd
    except ImportError:
        raise InputError(
            f"{path}: workbooks need pandas and openpyxl, expected pip install nco-routing[tables]"
        ) from None
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > MAX_BYTES:
            raise InputError(f"{path}: {size} bytes unpacked, expected at most {MAX_BYTES}")
        sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object, engine="openpyxl")
    except InputError:
        raise
    except Exception as error:  # openpyxl raises whatever it stumbles over
        reason = " ".join(str(error).split())[:100]
        raise InputError(f"{path}: no Excel workbook, {reason}") from None
    return [
        "\n".join(_line([_cell(value) for value in row]) for row in sheet.itertuples(index=False))
        for sheet in sheets.values()
    ]


def _line(cells: list[str]) -> str:
    if cells and cells[0].lstrip().startswith("#"):  # a setting, in one cell or two
        return " ".join(cell for cell in cells if cell)
    return ",".join('"' + cell.replace('"', '""') + '"' if cell else "" for cell in cells)


def _cell(value: object) -> str:
    """A cell as CSV has it: a time of day as 08:30, nothing where it is empty."""
    import datetime

    if value is None or value != value:
        return ""
    if isinstance(value, datetime.time):
        return value.strftime("%H:%M:%S")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return " ".join(str(value).split())
