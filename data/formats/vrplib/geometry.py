"""Where the nodes of a TSPLIB or CVRPLIB file are, and how far from each other."""

import numpy as np
import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.formats.rounding import Rounding, euclidean_metric
from nco.data.formats.vrplib.sections import Document, Section
from nco.data.formats.vrplib.weights import explicit_distances
from nco.data.metric import Metric
from nco.data.numbers import integer, is_real, real, shown

# The weight types whose coordinates settle the distance; EUC_2D has conventions of its own.
METRICS = {
    metric.name: metric
    for metric in (Metric.CEIL_2D, Metric.ATT, Metric.GEO, Metric.MAN_2D, Metric.MAX_2D)
}
FEW_NODES = 100_000  # may be stated without being there: a section says best what it lacks
EXACT = "EXACT_2D"  # unrounded: LKH's name, no other program's
WEIGHT_TYPES = ("EUC_2D", *METRICS, "EXPLICIT", EXACT)


def dimension(document: Document) -> int:
    """
    The number of nodes.

    Raises
    ------
    InputError
        The file does not state it, or fewer than two.
    """
    stated = document.specification("DIMENSION", "the number of nodes")
    where = f"{document.where(stated.line)}: DIMENSION"
    n = integer(stated.value, where, 2)
    if n > max(there := document.tokens, FEW_NODES):
        raise InputError(f"{where} {n}, but the sections of the file have {there} numbers in all")
    return n


def distances(
    document: Document, n: int, rounding: Rounding, usual: Metric | None = None
) -> dict[str, Tensor]:
    """
    Coordinates with their metric, or a matrix with the coordinates to draw it at.

    Parameters
    ----------
    document
        The file.
    n
        Number of nodes.
    rounding
        What the user wants ``EUC_2D`` to mean.
    usual
        What the files of its kind mean by it, where that does not depend on their names.

    Raises
    ------
    InputError
        Something is missing, contradictory or unknown.
    """
    stated = document.specification("EDGE_WEIGHT_TYPE", f"one of {', '.join(WEIGHT_TYPES)}")
    where = document.where(stated.line)
    kind = stated.value.upper()
    if kind not in WEIGHT_TYPES:
        expected = ", ".join(WEIGHT_TYPES)
        found = shown(stated.value)
        raise InputError(f"{where}: EDGE_WEIGHT_TYPE {found}, expected one of {expected}")
    if kind != "EUC_2D" and rounding != "auto":
        raise InputError(
            f"{where}: EDGE_WEIGHT_TYPE {kind} has its own rounding, "
            f"{rounding!r} is for EUC_2D only"
        )
    if kind == "EXPLICIT":
        fields = {"distance": torch.from_numpy(explicit_distances(document, n))}
        for name in ("DISPLAY_DATA", "NODE_COORD"):
            if name in document.sections:
                fields["locs"] = _coordinates(document, document.sections[name], n)
        return fields
    if "EDGE_WEIGHT" in document.sections:
        raise InputError(f"{where}: EDGE_WEIGHT_TYPE {kind} with an EDGE_WEIGHT_SECTION")
    fields = {"locs": _coordinates(document, document.section("NODE_COORD", "coordinates"), n)}
    metric = _metric(document, kind, rounding, usual)
    if metric != Metric.EUCLIDEAN:  # absent means Euclidean
        fields["metric"] = torch.tensor(int(metric))
    return fields


def _metric(document: Document, stated: str, rounding: Rounding, usual: Metric | None) -> Metric:
    if stated == EXACT:
        return Metric.EUCLIDEAN
    if stated != "EUC_2D":
        return METRICS[stated]
    name, comment = (
        document.specifications[key].value if key in document.specifications else ""
        for key in ("NAME", "COMMENT")
    )
    return euclidean_metric(name or document.path.stem, comment, rounding, usual)


def node_names(document: Document, n: int) -> tuple[str, ...] | None:
    """What stands behind the coordinates of nodes, where it does; None where it does nowhere."""
    rows = document.rows("NODE_COORD") if "NODE_COORD" in document.sections else []
    names = {
        int(float(row[0])) - document.first: " ".join(row[3:]) for _, row in rows if len(row) > 3
    }
    first = document.first
    return tuple(names.get(k, str(k + first)) for k in range(n)) if names else None


def numbered(
    document: Document, section: Section, n: int, layout: str, named: bool = False
) -> list[tuple[int, int, list[str]]]:
    """
    Rows that open with a node number: (line, node from 0, other tokens), each node once.

    Numbers count from `Document.first`; where nodes may be ``named``, a name may stand behind.

    Raises
    ------
    InputError
        A row does not have the layout, a node is missing, or comes twice.
    """
    if len(section.rows) != n:
        where = document.where(section.line)
        raise InputError(
            f"{where}: {section.name}_SECTION has {len(section.rows)} rows, expected DIMENSION {n}"
        )
    found = []
    seen: set[int] = set()
    first, columns = document.first, len(layout.split())
    for line, tokens in section.rows:
        where = document.where(line)
        if named and len(tokens) > columns and not is_real(tokens[columns]):
            tokens = tokens[:columns]
        if len(tokens) != columns:
            raise InputError(f"{where}: {shown(' '.join(tokens))}, expected {layout!r}")
        node = integer(tokens[0], f"{where}: node number", first, n - 1 + first)
        if node in seen:
            raise InputError(f"{where}: node {node} comes twice in {section.name}_SECTION")
        seen.add(node)
        found.append((line, node - first, tokens[1:]))
    return found


def _coordinates(document: Document, section: Section, n: int) -> Tensor:
    locs = np.zeros((n, 2))
    for line, node, values in numbered(document, section, n, "number x y", named=True):
        locs[node] = [real(token, document.where(line)) for token in values]
    return torch.from_numpy(locs)
