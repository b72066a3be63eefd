"""TSPLIB 95 ``.tour`` and ``.opt.tour`` files: one closed tour of node numbers from 1."""

from collections.abc import Sequence
from pathlib import Path

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.formats.text import read_text
from nco.data.formats.vrplib.sections import scan
from nco.data.numbers import integer, plain


def read_tour(path: Path) -> list[int]:
    """
    The node numbers of a tour, each once.

    Raises
    ------
    InputError
        The file cannot be read, or its section is no permutation of 1..n, n its DIMENSION if it
        states one.
    """
    document = scan(read_text(path), path)
    section = document.section("TOUR", "the node numbers, then -1")
    tokens = [(line, token) for line, row in section.rows for token in row]
    tour: list[int] = []
    for line, token in tokens:
        if token == "-1":
            break
        tour.append(integer(token, f"{document.where(line)}: node number", 1))
    expected = len(tour)
    if "DIMENSION" in document.specifications:
        stated = document.specifications["DIMENSION"]
        expected = integer(stated.value, f"{document.where(stated.line)}: DIMENSION", 1)
    if not tour or len(tour) != expected or set(tour) != set(range(1, len(tour) + 1)):
        where = document.where(section.line)
        raise InputError(
            f"{where}: {len(tour)} numbers, {len(set(tour))} of them different, "
            f"expected each of 1..{expected or 'n'} once"
        )
    return tour


def write_tour(path: Path, tour: Sequence[int], cost: float) -> None:
    """
    Writes a ``.tour`` file, whole or not at all.

    Parameters
    ----------
    path
        The file; its stem becomes the name.
    tour
        Node numbers from 1.
    cost
        Of the tour, for the comment.

    Raises
    ------
    InputError
        The folder is missing or not writable.
    """
    lines = [
        f"NAME : {path.stem}",
        f"COMMENT : length {plain(cost)}",
        "TYPE : TOUR",
        f"DIMENSION : {len(tour)}",
        "TOUR_SECTION",
        *map(str, tour),
        "-1",
        "EOF",
    ]
    with atomic(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
