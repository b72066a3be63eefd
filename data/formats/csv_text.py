"""CSV text taken apart: settings in comments, rows of cells, and where they stand."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nco.data.errors import InputError

SETTINGS = {
    "capacity": "load that a vehicle can carry",
    "vehicles": "how many vehicles there are",
    "metric": "a member of nco.data.metric.Metric",
    "speed": "distance in a unit of time",
    "shift": "first and last moment of a vehicle, as 08:00 17:00",
    "max_distance": "length that a route may have",
    "max_duration": "time that a route may take",
    "open": "yes where routes end at their last customer",
}
_SETTING = re.compile(rf"#\s*({'|'.join(SETTINGS)})\s*:\s*(.*)", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?[0-9][0-9.]*,[0-9]+")
_DELIMITERS = "\t;|"


@dataclass(frozen=True)
class Cells:
    """
    The content of a CSV file.

    Parameters
    ----------
    path
        The file.
    settings
        Value of each setting, and where it stands.
    rows
        Line and stripped cells of each row; at least one.
    remarks
        The comments that are no settings.
    """

    path: Path
    settings: dict[str, tuple[str, str]]
    rows: list[tuple[int, list[str]]]
    remarks: list[str]

    def where(self, line: int) -> str:
        """The opening of a message about a line."""
        return f"{self.path}, line {line}"


def csv_cells(text: str, path: Path, given: Mapping[str, str] | None = None) -> Cells:
    """
    Takes a file apart. Other comments and blank lines are passed over.

    Commas, semicolons, tabs or bars part the cells, as the first row has them; where it is no
    comma, numbers may have a decimal one.

    Parameters
    ----------
    text, path
        The file.
    given
        Settings from elsewhere, which go before those of the file.

    Raises
    ------
    InputError
        The text is no CSV, a setting comes twice, or there are no rows.
    """
    cells = Cells(path, {}, [], [])
    delimiter = None
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if match := _SETTING.fullmatch(stripped.rstrip(_DELIMITERS + ",")):
            key = match[1].lower()
            if key in cells.settings:
                raise InputError(f"{cells.where(number)}: {key} comes twice, expected once")
            cells.settings[key] = (match[2].strip(), cells.where(number))
        elif stripped.startswith("#"):
            cells.remarks.append(stripped)
        elif stripped.strip(_DELIMITERS + ","):
            delimiter = delimiter or next((d for d in _DELIMITERS if d in line), ",")
            try:
                (row,) = csv.reader([line], delimiter=delimiter, strict=True)
            except (csv.Error, ValueError) as error:
                raise InputError(f"{cells.where(number)}: {error}, expected CSV") from None
            found = [cell.strip() for cell in row]
            cells.rows.append((number, found if delimiter == "," else list(map(_point, found))))
    if not cells.rows:
        raise InputError(f"{path}: no rows, expected nodes or distances")
    for key, value in (given or {}).items():
        cells.settings[key] = (value, f"--{key.replace('_', '-')}")
    return cells


def _point(cell: str) -> str:
    """A number with a decimal comma as one with a point."""
    return cell.replace(".", "").replace(",", ".") if _COMMA.fullmatch(cell) else cell
