"""
The grammar that TSPLIB 95 and CVRPLIB files share: specifications and data sections.

Keywords may be lower case, and specifications in front of the sections may do without their colon.

``vrplib`` reads it too, but drops the node numbers and the lines on which things stand, and so
can neither tell a shuffled or truncated section nor say where the error is.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nco.data.errors import InputError
from nco.data.numbers import shown

_SECTION = re.compile(r"([A-Z_]+)_SECTION\s*:?\s*", re.IGNORECASE)
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_ ]*")
_BARE = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\s+(\S.*)")  # KEY VALUE, in front of all sections
# Sections whose rows open with the number of a node.
NODE_SECTIONS = (
    *("NODE_COORD", "DISPLAY_DATA", "DEMAND", "BACKHAUL", "SERVICE_TIME", "RELEASE_TIME"),
    *("PRIZE", "TIME_WINDOW", "PICKUP_AND_DELIVERY"),
)


@dataclass(frozen=True)
class Specification:
    """``KEY : VALUE``, and the line on which it stands."""

    value: str
    line: int


@dataclass(frozen=True)
class Section:
    """The rows of ``NAME_SECTION``: (line, tokens) of each."""

    name: str
    line: int
    rows: list[tuple[int, list[str]]]


@dataclass(frozen=True)
class Document:
    """A file taken apart: specifications and sections by name, upper case."""

    path: Path
    specifications: dict[str, Specification]
    sections: dict[str, Section]

    @cached_property
    def first(self) -> int:
        """Number of the first node: 1, or 0 where a row of a node says so."""
        rows = [row for name in NODE_SECTIONS if name in self.sections for row in self.rows(name)]
        return 0 if any(tokens[0] == "0" for _, tokens in rows) else 1

    def rows(self, name: str) -> list[tuple[int, list[str]]]:
        """Lines and tokens of a section that is there."""
        return self.sections[name].rows

    @property
    def tokens(self) -> int:
        """How many words all sections have: no list that the file states is longer."""
        return sum(len(row) for section in self.sections.values() for _, row in section.rows)

    def where(self, line: int) -> str:
        """The opening of a message about a line."""
        return f"{self.path}, line {line}"

    def specification(self, key: str, expected: str) -> Specification:
        """
        A specification that must be there.

        Raises
        ------
        InputError
            It is not.
        """
        if key not in self.specifications:
            raise InputError(f"{self.path}: {key} is missing, expected {expected}")
        return self.specifications[key]

    def section(self, name: str, expected: str) -> Section:
        """
        A section that must be there.

        Raises
        ------
        InputError
            It is not.
        """
        if name not in self.sections:
            raise InputError(f"{self.path}: {name}_SECTION is missing, expected {expected}")
        return self.sections[name]


def _specification(line: str, in_front: bool) -> tuple[str, str] | None:
    """Key and value of a line that is ``KEY : VALUE``, or ``KEY VALUE`` in front of sections."""
    key, colon, value = line.partition(":")
    key = key.rstrip()
    if colon and _KEY.fullmatch(key):
        return key.upper(), value.strip()
    if in_front and (match := _BARE.fullmatch(line)):
        return match[1].upper(), match[2].strip()
    return None


def scan(text: str, path: Path) -> Document:
    """
    Takes a file apart.

    Raises
    ------
    InputError
        A line is no specification, section or row of one; a name comes twice.
    """
    document = Document(path, {}, {})
    section: Section | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.upper() == "EOF":
            break
        if not line:
            continue
        where = document.where(number)
        if match := _SECTION.fullmatch(line):
            section = Section(match[1].upper(), number, [])
            if section.name in document.sections:
                raise InputError(f"{where}: {section.name}_SECTION comes twice, expected once")
            document.sections[section.name] = section
        elif (stated := _specification(line, section is None)) is not None:
            key, value = stated
            if key in document.specifications and key != "COMMENT":
                raise InputError(f"{where}: {key} comes twice, expected once")
            document.specifications.setdefault(key, Specification(value, number))
        elif section is not None:
            section.rows.append((number, line.split()))
        else:
            raise InputError(f"{where}: {shown(line)}, expected KEY : VALUE or a section")
    return document
