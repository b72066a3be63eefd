"""
TSPLIB 95 ``.tsp`` and CVRPLIB ``.vrp`` files.

Reinelt, G. (1995). TSPLIB 95. http://comopt.ifi.uni-heidelberg.de/software/TSPLIB95/
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.rounding import Rounding, euclidean_metric
from nco.data.formats.sections import Document, Section, scan
from nco.data.formats.weights import explicit_distances
from nco.data.instance import make_instance
from nco.data.metric import Metric
from nco.data.numbers import integer, real, shown

# The weight types whose coordinates settle the distance; EUC_2D has conventions of its own.
METRICS = {
    metric.name: metric
    for metric in (Metric.CEIL_2D, Metric.ATT, Metric.GEO, Metric.MAN_2D, Metric.MAX_2D)
}
WEIGHT_TYPES = ("EUC_2D", *METRICS, "EXPLICIT")
# What states no rule of its own, or a rule of the distances. Everything else is an error.
COMMON = {
    "NAME",
    "COMMENT",
    "TYPE",
    "DIMENSION",
    "EDGE_WEIGHT_TYPE",
    "EDGE_WEIGHT_FORMAT",
    "EDGE_DATA_FORMAT",
    "NODE_COORD_TYPE",
    "DISPLAY_DATA_TYPE",
    "VEHICLES",
}
COMMON_SECTIONS = {"NODE_COORD", "EDGE_WEIGHT", "DISPLAY_DATA"}


def looks_like_tsplib(text: str) -> bool:
    """Whether a file of unknown suffix has a ``DIMENSION`` like a TSPLIB file."""
    return any(line.strip().upper().startswith("DIMENSION") for line in text.splitlines()[:50])


def read_tsplib(text: str, path: Path, rounding: Rounding) -> FileInstance:
    """
    Reads a file of ``TYPE`` TSP or CVRP.

    Raises
    ------
    InputError
        The file is malformed, contradicts itself, or states a rule that is not understood.
    """
    document = scan(text, path)
    kind = document.specification("TYPE", f"one of {', '.join(_PROBLEMS)}")
    # TSPLIB allows remarks behind the type: "TYPE : TSP (M.~Hofmeister)".
    word = (kind.value.split() or [""])[0].upper()
    if word not in _PROBLEMS:
        where = document.where(kind.line)
        expected = ", ".join(_PROBLEMS)
        raise InputError(f"{where}: TYPE {shown(kind.value)}, expected one of {expected}")
    return _PROBLEMS[word](document, rounding)


def _tsp(document: Document, rounding: Rounding) -> FileInstance:
    _only(document, COMMON, COMMON_SECTIONS)
    n = _dimension(document)
    if "VEHICLES" in document.specifications:
        vehicles = document.specifications["VEHICLES"]
        integer(vehicles.value, f"{document.where(vehicles.line)}: VEHICLES of a TSP", 1, 1)
    fields = _distances(document, n, rounding)
    if "distance" in fields:
        _symmetric(document, fields["distance"])
    instance = make_instance(**{key: value.unsqueeze(0) for key, value in fields.items()})
    return FileInstance(document.path.stem, "tsp", instance, document.path)


def _cvrp(document: Document, rounding: Rounding) -> FileInstance:
    _only(document, COMMON | {"CAPACITY"}, COMMON_SECTIONS | {"DEMAND", "DEPOT"})
    n = _dimension(document)
    stated = document.specification("CAPACITY", "the load that a vehicle can carry")
    capacity = integer(stated.value, f"{document.where(stated.line)}: CAPACITY", 1)
    if "VEHICLES" in document.specifications:
        vehicles = document.specifications["VEHICLES"]
        where = f"{document.where(vehicles.line)}: VEHICLES (a limited fleet is not supported)"
        integer(vehicles.value, where, n - 1)
    depot = _depot(document, n)
    fields = _distances(document, n, rounding)
    fields["demand"] = torch.tensor(_demands(document, n, depot, capacity))
    # Depots first, the rest in the order of the file.
    order = torch.tensor([depot, *(node for node in range(n) if node != depot)])
    for key in fields.keys() & {"locs", "demand", "distance"}:
        fields[key] = fields[key][order]
    if "distance" in fields:
        fields["distance"] = fields["distance"][:, order]
    fields["capacity"] = torch.tensor(capacity)
    instance = make_instance(**{key: value.unsqueeze(0) for key, value in fields.items()})
    return FileInstance(document.path.stem, "cvrp", instance, document.path)


_PROBLEMS: dict[str, Callable[[Document, Rounding], FileInstance]] = {"TSP": _tsp, "CVRP": _cvrp}


def _only(document: Document, specifications: set[str], sections: set[str]) -> None:
    """Nothing but what is understood: an unknown name may state a rule."""
    kind = document.specifications["TYPE"].value
    for key, found in document.specifications.items():
        if key not in specifications:
            where = document.where(found.line)
            raise InputError(f"{where}: {key} states a rule that is not supported for {kind}")
    for name, section in document.sections.items():
        if name not in sections:
            where = document.where(section.line)
            raise InputError(
                f"{where}: {name}_SECTION states a rule that is not supported for {kind}"
            )


def _dimension(document: Document) -> int:
    stated = document.specification("DIMENSION", "the number of nodes")
    return integer(stated.value, f"{document.where(stated.line)}: DIMENSION", 2)


def _distances(document: Document, n: int, rounding: Rounding) -> dict[str, Tensor]:
    """Coordinates with their metric, or a matrix with the coordinates to draw it at."""
    stated = document.specification("EDGE_WEIGHT_TYPE", f"one of {', '.join(WEIGHT_TYPES)}")
    where = document.where(stated.line)
    if stated.value not in WEIGHT_TYPES:
        expected = ", ".join(WEIGHT_TYPES)
        found = shown(stated.value)
        raise InputError(f"{where}: EDGE_WEIGHT_TYPE {found}, expected one of {expected}")
    if stated.value != "EUC_2D" and rounding != "auto":
        raise InputError(
            f"{where}: EDGE_WEIGHT_TYPE {stated.value} has its own rounding, "
            f"{rounding!r} is for EUC_2D only"
        )
    if stated.value == "EXPLICIT":
        fields = {"distance": torch.from_numpy(explicit_distances(document, n))}
        for name in ("DISPLAY_DATA", "NODE_COORD"):
            if name in document.sections:
                fields["locs"] = _coordinates(document, document.sections[name], n)
        return fields
    if "EDGE_WEIGHT" in document.sections:
        raise InputError(f"{where}: EDGE_WEIGHT_TYPE {stated.value} with an EDGE_WEIGHT_SECTION")
    fields = {"locs": _coordinates(document, document.section("NODE_COORD", "coordinates"), n)}
    if stated.value == "EUC_2D":
        name, comment = (
            document.specifications[key].value if key in document.specifications else ""
            for key in ("NAME", "COMMENT")
        )
        metric = euclidean_metric(name or document.path.stem, comment, rounding)
    else:
        metric = METRICS[stated.value]
    if metric != Metric.EUCLIDEAN:  # absent means Euclidean
        fields["metric"] = torch.tensor(int(metric))
    return fields


def _coordinates(document: Document, section: Section, n: int) -> Tensor:
    locs = np.zeros((n, 2))
    for line, node, values in _numbered(document, section, n, "number x y"):
        locs[node] = [real(token, document.where(line)) for token in values]
    return torch.from_numpy(locs)


def _demands(document: Document, n: int, depot: int, capacity: int) -> list[int]:
    demands = [0] * n
    section = document.section("DEMAND", "the demand of every node")
    for line, node, values in _numbered(document, section, n, "number demand"):
        where = f"{document.where(line)}: demand of node {node + 1}"
        demands[node] = integer(values[0], where)
        if demands[node] > capacity:
            raise InputError(f"{where}: {demands[node]}, expected at most the capacity {capacity}")
        if node == depot and demands[node]:
            raise InputError(f"{where}: {demands[node]}, expected 0 at the depot")
    return demands


def _numbered(
    document: Document, section: Section, n: int, layout: str
) -> list[tuple[int, int, list[str]]]:
    """Rows that open with a node number: (line, node from 0, other tokens), each node once."""
    if len(section.rows) != n:
        where = document.where(section.line)
        raise InputError(
            f"{where}: {section.name}_SECTION has {len(section.rows)} rows, expected DIMENSION {n}"
        )
    found = []
    seen: set[int] = set()
    for line, tokens in section.rows:
        where = document.where(line)
        if len(tokens) != len(layout.split()):
            raise InputError(f"{where}: {shown(' '.join(tokens))}, expected {layout!r}")
        node = integer(tokens[0], f"{where}: node number", 1, n)
        if node in seen:
            raise InputError(f"{where}: node {node} comes twice in {section.name}_SECTION")
        seen.add(node)
        found.append((line, node - 1, tokens[1:]))
    return found


def _depot(document: Document, n: int) -> int:
    section = document.section("DEPOT", "the number of the depot")
    tokens = [(line, token) for line, row in section.rows for token in row]
    end = [k for k, (_, token) in enumerate(tokens) if token == "-1"]
    if end and end[0] != len(tokens) - 1:
        line, token = tokens[end[0] + 1]
        raise InputError(f"{document.where(line)}: {shown(token)}, expected nothing after -1")
    depots = [
        integer(token, f"{document.where(line)}: depot", 1, n)
        for line, token in tokens[: end[0] if end else None]
    ]
    if len(depots) != 1:
        where = document.where(section.line)
        raise InputError(f"{where}: {len(depots)} depots, expected one")
    return depots[0] - 1


def _symmetric(document: Document, distance: Tensor) -> None:
    differing = (distance != distance.T).nonzero().tolist()
    if differing:
        i, j = differing[0]
        there, back = distance[i, j].item(), distance[j, i].item()
        raise InputError(
            f"{document.path}: distance {there:g} from {i + 1} to {j + 1}, {back:g} back, "
            "expected a symmetric matrix for TYPE TSP"
        )
