"""
CSV matrices of distances: as many rows as columns, row = from, column = to. A TSP.

The first row, the first column or both may name the nodes. Empty cells, ``inf`` and numbers that
stand for no way are missing arcs (`nco.data.formats.missing_arcs`).
"""

from pathlib import Path

import numpy as np
import torch

from nco.data.errors import InputError
from nco.data.formats.csv_columns import NODES, plain_name
from nco.data.formats.csv_text import Cells, csv_cells
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.missing_arcs import ALL_THERE, WORDS, entry, without_missing_arcs
from nco.data.formats.rounding import Rounding
from nco.data.instance import from_tensors
from nco.data.numbers import is_real


def looks_like_matrix(text: str) -> bool:
    """Whether the first row of a CSV file holds numbers, or the names of the first column."""
    try:
        cells = csv_cells(text, Path())
    except InputError:
        return False
    first = cells.rows[0][1]
    if any(map(is_real, first)) and all(is_real(c) or c.lower() in WORDS for c in first):
        return True
    return _labels(cells) is not None


def read_matrix(text: str, path: Path, rounding: Rounding) -> FileInstance:
    """
    Reads a matrix of distances.

    Raises
    ------
    InputError
        The matrix is not square, or a value is none.
    """
    cells = csv_cells(text, path)
    if cells.settings:
        raise InputError(f"{path}: {', '.join(cells.settings)}, expected distances only")
    if rounding != "auto":
        raise InputError(f"{path}: rounding {rounding!r}, expected none for a distance matrix")
    found = _labels(cells)
    labels, rows = (None, cells.rows) if found is None else found
    size = len(rows)
    if size < 2:
        raise InputError(f"{path}: {size} row of distances, expected at least 2")
    for line, row in rows:
        if len(row) != size:
            where = cells.where(line)
            raise InputError(f"{where}: {len(row)} distances, expected {size}, one for each row")
    values = [[entry(cell, f"{cells.where(line)}: distance") for cell in row] for line, row in rows]
    told = any(ALL_THERE in remark for remark in cells.remarks)
    matrix = without_missing_arcs(np.array(values), str(path), told)
    instance = from_tensors(distance=torch.from_numpy(matrix).unsqueeze(0))
    return FileInstance(path.stem, "tsp", instance, path, labels)


def _labels(cells: Cells) -> tuple[tuple[str, ...], list[tuple[int, list[str]]]] | None:
    """The names of the nodes and the rows without them; None where there are none."""
    head, body = cells.rows[0][1], cells.rows[1:]
    width = len(head)
    if len(body) >= 2 and width == len(body) + 1:
        left = [row[0] if row else "" for _, row in body]
        corner = head[0].lower() in ("", "from", "from/to", "from\\to")
        named = head[1:] == left or (corner and not any(map(is_real, (*head[1:], *left))))
        if named and not _is_table(head):
            return tuple(left), [(line, row[1:]) for line, row in body]
    if len(body) >= 2 and width == len(body) and not any(map(is_real, head)):
        numbers = all(is_real(c) or c.lower() in WORDS for _, row in body for c in row)
        if numbers and not _is_table(head):
            return tuple(head), body
    rows = cells.rows
    if len(rows) >= 2 and width == len(rows) + 1 and not any(is_real(row[0]) for _, row in rows):
        numbers = all(is_real(c) or c.lower() in WORDS for _, row in rows for c in row[1:])
        if numbers and any(is_real(c) for c in head[1:]):
            return tuple(row[0] for _, row in rows), [(line, row[1:]) for line, row in rows]
    return None


def _is_table(head: list[str]) -> bool:
    """Whether a first row names coordinates."""
    titles = {plain_name(title) for title in head}
    pairs = (("x", "y"), ("lat", "lon"))
    return any(all(titles & set(NODES[axis].split()) for axis in pair) for pair in pairs)
