"""CSV text taken apart: settings in comments, rows of cells, and where they stand."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from nco.data.errors import InputError

_SETTING = re.compile(r"#\s*(capacity|metric)\s*:\s*(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class Cells:
    """
    The content of a CSV file.

    Parameters
    ----------
    path
        The file.
    settings
        Value and line of each comment ``# capacity: VALUE`` or ``# metric: VALUE``.
    rows
        Line and stripped cells of each row; at least one.
    """

    path: Path
    settings: dict[str, tuple[str, int]]
    rows: list[tuple[int, list[str]]]

    def where(self, line: int) -> str:
        """The opening of a message about a line."""
        return f"{self.path}, line {line}"


def csv_cells(text: str, path: Path) -> Cells:
    """
    Takes a file apart. Other comments and blank lines are passed over.

    Raises
    ------
    InputError
        The text is no CSV, a setting comes twice, or there are no rows.
    """
    cells = Cells(path, {}, [])
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _SETTING.fullmatch(line.strip()):
            key = match[1].lower()
            if key in cells.settings:
                raise InputError(f"{cells.where(number)}: {key} comes twice, expected once")
            cells.settings[key] = (match[2].strip(), number)
        elif line.strip() and not line.lstrip().startswith("#"):
            try:
                (row,) = csv.reader([line], strict=True)
            except (csv.Error, ValueError) as error:
                raise InputError(f"{cells.where(number)}: {error}, expected CSV") from None
            cells.rows.append((number, [cell.strip() for cell in row]))
    if not cells.rows:
        raise InputError(f"{path}: no rows, expected nodes or distances")
    return cells
