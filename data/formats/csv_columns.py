"""The columns of a table by what they mean: the names that people and programs give them."""

import re

from nco.data.errors import InputError
from nco.data.formats.csv_text import Cells
from nco.data.numbers import shown

NODES = {
    "name": "name label customer location stop site",
    "x": "x xcoord xcoordinate coordx",
    "y": "y ycoord ycoordinate coordy",
    "lat": "lat latitude",
    "lon": "lon lng long longitude",
    "demand": "demand delivery quantity qty load amount",
    "backhaul": "backhaul pickup",
    "ready": "ready readytime earliest earlieststart twstart windowstart timewindowstart opens",
    "due": "due duedate duetime latest lateststart twend windowend timewindowend closes",
    "service": "service servicetime serviceduration unloadingtime",
    "penalty": "penalty",
}
VEHICLES = {
    "name": "name label vehicle",
    "capacity": "capacity maxload",
    "count": "count number vehicles available",
    "fixed_cost": "fixedcost fixed",
    "unit_cost": "unitcost costperdistance costperkm",
    "speed": "speed",
    "distance_limit": "maxdistance distancelimit maxlength",
    "duration_limit": "maxduration durationlimit maxtime",
    "ready": "shiftstart start ready earliest from",
    "due": "shiftend end due latest until",
}
_NUMBER = ("id", "no", "number", "node", "custno", "customerno", "customerid", "index", "")


def meanings(cells: Cells, known: dict[str, str], shown_names: str) -> dict[str, int]:
    """
    The column of each meaning that the first row names.

    Parameters
    ----------
    cells
        The table.
    known
        The names of each meaning, without spaces and signs.
    shown_names
        What a message says that columns are.

    Raises
    ------
    InputError
        Two columns mean the same, or a row has not as many cells as the first one.
    """
    (_, header), *rows = cells.rows
    by_name = {name: meaning for meaning, names in known.items() for name in names.split()}
    found: dict[str, int] = {}
    for k, title in enumerate(header):
        meaning = by_name.get(plain_name(title))
        if meaning in found:
            raise InputError(
                f"{cells.path}: column {shown(title.lower())}, expected each of {shown_names} once"
            )
        if meaning is not None:
            found[meaning] = k
    for line, row in rows:
        if len(row) != len(header):
            titles = ", ".join(header)
            shown_titles = titles if len(titles) <= 200 else f"{titles[:200]}..."
            expected = f"{len(header)} ({shown_titles})"
            raise InputError(f"{cells.where(line)}: {len(row)} values, expected {expected}")
    if "name" not in found and known is NODES:  # a column of numbers will do
        number = next((k for k, title in enumerate(header) if plain_name(title) in _NUMBER), None)
        if number is not None:
            found["name"] = number
    return found


def plain_name(title: str) -> str:
    """A title without case, spaces, signs and units in brackets."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"[(\[].*?[)\]]", "", title.lower()))


def column(cells: Cells, k: int | None, empty: str = "") -> list[tuple[str, str]]:
    """Where each cell of a column stands and its text, ``empty`` where there is none."""
    return [
        (cells.where(line), empty if k is None else row[k] or empty) for line, row in cells.rows[1:]
    ]
