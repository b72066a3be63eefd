"""
TSPLIB 95 ``.tsp`` and ``.atsp`` files and CVRPLIB ``.vrp`` files, by their ``TYPE``.

Reinelt, G. (1995). TSPLIB 95. http://comopt.ifi.uni-heidelberg.de/software/TSPLIB95/
"""

from pathlib import Path

from torch import Tensor

from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.rounding import Rounding
from nco.data.formats.vrplib.geometry import dimension, distances, node_names
from nco.data.formats.vrplib.sections import Document, scan
from nco.data.formats.vrplib.types import KINDS, REFUSED
from nco.data.formats.vrplib.vrp import SECTIONS, SPECIFICATIONS, read_vrp
from nco.data.instance import from_tensors
from nco.data.numbers import integer, shown

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
    "EDGE_WEIGHT_UNIT_OF_MEASUREMENT",  # OptaPlanner's: a name of the unit
    "VEHICLES",
}
COMMON_SECTIONS = {"NODE_COORD", "EDGE_WEIGHT", "DISPLAY_DATA"}


def looks_like_tsplib(text: str) -> bool:
    """Whether a file of unknown suffix has a ``DIMENSION`` like a TSPLIB file."""
    return any(line.strip().upper().startswith("DIMENSION") for line in text.splitlines()[:50])


def read_tsplib(text: str, path: Path, rounding: Rounding) -> FileInstance:
    """
    Reads a file of ``TYPE`` TSP or ATSP, or of a kind of ``.vrp`` files.

    Raises
    ------
    InputError
        The file is malformed, contradicts itself, or states a rule that is not understood.
    """
    document = scan(text, path)
    types = ("TSP", "ATSP", *KINDS)
    kind = document.specification("TYPE", f"one of {', '.join(types)}")
    # TSPLIB allows remarks behind the type: "TYPE : TSP (M.~Hofmeister)".
    word = (kind.value.split() or [""])[0].upper()
    if word in REFUSED:
        where = document.where(kind.line)
        raise InputError(f"{where}: TYPE {word} is not supported: {REFUSED[word]}")
    if word in ("TSP", "ATSP"):
        return _tour(document, rounding, symmetric=word == "TSP")
    if word not in KINDS:
        where = document.where(kind.line)
        found = shown(kind.value)
        raise InputError(f"{where}: TYPE {found}, expected one of {', '.join(types)}")
    _only(document, COMMON | SPECIFICATIONS, COMMON_SECTIONS | SECTIONS)
    return read_vrp(document, KINDS[word], rounding)


def _tour(document: Document, rounding: Rounding, symmetric: bool) -> FileInstance:
    _only(document, COMMON, COMMON_SECTIONS)
    n = dimension(document)
    if "VEHICLES" in document.specifications:
        vehicles = document.specifications["VEHICLES"]
        integer(vehicles.value, f"{document.where(vehicles.line)}: VEHICLES of a TSP", 1, 1)
    fields = distances(document, n, rounding)
    if symmetric and "distance" in fields:
        _symmetric(document, fields["distance"])
    instance = from_tensors(**{key: value.unsqueeze(0) for key, value in fields.items()})
    name = "tsp" if symmetric else "atsp"
    numbers = tuple(str(k + document.first) for k in range(n))
    labels = node_names(document, n)
    return FileInstance(document.path.stem, name, instance, document.path, labels, numbers=numbers)


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


def _symmetric(document: Document, distance: Tensor) -> None:
    differing = (distance != distance.T).nonzero().tolist()
    if differing:
        i, j = differing[0]
        there, back = distance[i, j].item(), distance[j, i].item()
        raise InputError(
            f"{document.path}: distance {there:g} from {i + 1} to {j + 1}, {back:g} back, "
            "expected a symmetric matrix for TYPE TSP"
        )
