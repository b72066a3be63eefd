"""Explicit distance matrices in every layout of TSPLIB 95 (section 1.1.6)."""

from collections.abc import Callable

import numpy as np

from nco.data.errors import InputError
from nco.data.formats.missing_arcs import ALL_THERE, entry, without_missing_arcs
from nco.data.formats.vrplib.sections import Document
from nco.data.numbers import shown

Indices = tuple[np.ndarray, np.ndarray]


def _upper(n: int) -> Indices:
    return np.triu_indices(n, 1)


def _lower(n: int) -> Indices:
    return np.tril_indices(n, -1)


def _upper_diagonal(n: int) -> Indices:
    return np.triu_indices(n)


def _lower_diagonal(n: int) -> Indices:
    return np.tril_indices(n)


# The entries in the order of the file. A matrix is symmetric unless it is given in full, so the
# columns of one half are the rows of the other.
_ORDER: dict[str, Callable[[int], Indices]] = {
    "UPPER_ROW": _upper,
    "LOWER_ROW": _lower,
    "UPPER_DIAG_ROW": _upper_diagonal,
    "LOWER_DIAG_ROW": _lower_diagonal,
    "UPPER_COL": _lower,
    "LOWER_COL": _upper,
    "UPPER_DIAG_COL": _lower_diagonal,
    "LOWER_DIAG_COL": _upper_diagonal,
}


def _count(layout: str, n: int) -> int:
    if layout == "FULL_MATRIX":
        return n * n
    return n * (n + 1) // 2 if "DIAG" in layout else n * (n - 1) // 2


def explicit_distances(document: Document, n: int) -> np.ndarray:
    """
    The matrix ``[n, n]`` of ``EDGE_WEIGHT_SECTION``; a node is at distance 0 of itself.

    Raises
    ------
    InputError
        The layout is unknown, or the section has too few or too many numbers or none at all.
    """
    layout = document.specification("EDGE_WEIGHT_FORMAT", "the layout of the matrix")
    expected = ["FULL_MATRIX", *_ORDER]
    name = layout.value.upper()
    if name not in expected:
        where = document.where(layout.line)
        found = shown(layout.value)
        raise InputError(
            f"{where}: EDGE_WEIGHT_FORMAT {found}, expected one of {', '.join(expected)}"
        )
    section = document.section("EDGE_WEIGHT", "the distances")
    tokens = [(line, token) for line, row in section.rows for token in row]
    count = _count(name, n)
    if len(tokens) != count:
        where = document.where(section.line)
        raise InputError(
            f"{where}: EDGE_WEIGHT_SECTION has {len(tokens)} numbers, "
            f"expected {count} ({name} of DIMENSION {n})"
        )
    values = [entry(token, document.where(line)) for line, token in tokens]
    if name == "FULL_MATRIX":
        matrix = np.array(values).reshape(n, n)
    else:
        rows, columns = _ORDER[name](n)
        matrix = np.zeros((n, n))
        matrix[rows, columns] = values
        matrix[columns, rows] = values
    comment = document.specifications.get("COMMENT")
    all_there = comment is not None and ALL_THERE in comment.value
    return without_missing_arcs(matrix, str(document.path), all_there)
