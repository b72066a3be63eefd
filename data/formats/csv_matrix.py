"""CSV matrices of distances: as many rows as columns, row = from, column = to. A TSP."""

from pathlib import Path

import torch

from nco.data.errors import InputError
from nco.data.formats.csv_text import csv_cells
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.rounding import Rounding
from nco.data.instance import from_tensors
from nco.data.numbers import real


def looks_like_matrix(text: str) -> bool:
    """Whether the first row of a CSV file holds numbers rather than column names."""
    rows = (line.strip() for line in text.splitlines())
    first = next((row for row in rows if row and not row.startswith("#")), "x")
    return not any(letter.isalpha() and letter not in "eE" for letter in first)


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
    size = len(cells.rows)
    if size < 2:
        raise InputError(f"{path}: {size} row of distances, expected at least 2")
    for line, row in cells.rows:
        if len(row) != size:
            where = cells.where(line)
            raise InputError(f"{where}: {len(row)} distances, expected {size}, one for each row")
    values = [
        [real(cell, f"{cells.where(line)}: distance", 0) for cell in row]
        for line, row in cells.rows
    ]
    distance = torch.tensor(values, dtype=torch.float64)
    distance.fill_diagonal_(0)  # a node is at distance 0 of itself, whatever stands there
    return FileInstance(path.stem, "tsp", from_tensors(distance=distance.unsqueeze(0)), path)
