"""
Looks through the instructions of a pickle before they are followed.

Python's unpickler believes what a pickle says of sizes: a few bytes make it allocate gigabytes for
a string, or for a memo of two thousand million places. It also hashes whatever it is told to, and
tuples of tuples take time that doubles with every level. So lengths, places and kinds of
instructions are looked at first, at the speed of a regular expression.
"""

import pickle
import re
from dataclasses import dataclass

from nco.data.errors import InputError
from nco.data.limits import require_size

# Instructions by what follows them; those that no plain data need are in none.
ALONE = b"(012NR]})abelot\x81\x85\x86\x87\x88\x89\x8f\x92\x93\x94"
HASHING = b"dsu\x90\x91"
STOP = b"."
FIXED = {b"KMhq\x80"[k : k + 1]: n for k, n in enumerate((1, 2, 1, 1, 1))}
FIXED |= {b"J": 4, b"G": 8, b"j": 4, b"\x95": 8}
COUNTED = {b"U": 1, b"\x8c": 1, b"C": 1, b"\x8a": 1, b"T": 4, b"X": 4, b"B": 4, b"\x8b": 4}
COUNTED |= {b"\x8d": 8, b"\x8e": 8, b"\x96": 8}
LINES = {b"F": 1, b"I": 1, b"L": 1, b"S": 1, b"V": 1, b"g": 1, b"p": 1, b"c": 2, b"i": 2}
PERSISTENT = b"Q"  # names something outside, as the storages of a checkpoint
# What an instruction costs beyond its own bytes, about, in bytes of memory.
MEMORY = {b"]": 72, b"}": 80, b"l": 80, b"d": 80, b"\x8f": 224, b"\x91": 224}
MEMORY |= {b"t": 56, b"\x85": 56, b"\x86": 64, b"\x87": 72, b"o": 80}
MEMORY_SHARE = 8  # objects may take so many times the bytes that a file may have
RUN = 4096  # instructions that are matched at once


@dataclass(frozen=True)
class Scanned:
    """
    What was found.

    Parameters
    ----------
    end
        Where the pickle ends in its content.
    hashes
        Whether it fills dictionaries or sets.
    """

    end: int
    hashes: bool


def scan(content: bytes, start: int = 0, persistent: bool = False) -> Scanned:
    """
    Looks through one pickle.

    Parameters
    ----------
    content, start
        Bytes, and where the pickle begins in them.
    persistent
        Whether it may name things outside of it.

    Raises
    ------
    InputError
        Instructions are foreign, or say that something is larger than the content.
    pickle.UnpicklingError
        The content ends before the pickle does.
    """
    run = _run(len(content), persistent)
    at, hashes = start, False
    while True:
        found = run.match(content, at)
        if found is not None:
            at = found.end()
            continue
        op = content[at : at + 1]
        if op == STOP:
            break
        hashes = hashes or op in HASHING
        at = _skip(content, op, at + 1)
    _require_memory(content[start:at])
    return Scanned(at + 1, hashes)


def _skip(content: bytes, op: bytes, at: int) -> int:
    """Where the next instruction begins, after one with an argument of its own length."""
    if not op or op in FIXED:
        raise pickle.UnpicklingError("it is cut off")
    if op in HASHING:
        return at
    if op in COUNTED:
        width = COUNTED[op]
        size = int.from_bytes(content[at : at + width], "little")
        if size > len(content) - at - width:
            raise pickle.UnpicklingError("a length beyond its end")
        return at + width + size
    if op in LINES:
        for _ in range(LINES[op]):
            end = content.find(b"\n", at)
            if end < 0:
                raise pickle.UnpicklingError("it is cut off")
            line, at = content[at:end], end + 1
        if op == b"p" and not (line.isdigit() and len(line) < 10 and int(line) <= len(content)):
            raise InputError("the pickle has a place beyond its end")
        return at
    if op == b"r":
        raise InputError("the pickle has a place beyond its end")
    raise pickle.UnpicklingError(f"an instruction {op!r} that no plain data need")


def _run(size: int, persistent: bool) -> re.Pattern[bytes]:
    """Many instructions of fixed length at once, in a content of that size."""
    options = [b"[" + re.escape(ALONE + (PERSISTENT if persistent else b"")) + b"]"]
    options += [re.escape(op) + b"." * width for op, width in FIXED.items()]
    options += [b"C\x08.{8}", b"C\x04.{4}"]  # numbers of numpy
    options.append(b"r" + _less(max(1, size)))
    return re.compile(b"(?s:" + b"|".join(options) + b"){1,%d}" % RUN)


def _less(bound: int) -> bytes:
    """A pattern of four bytes, little-endian, that are less than about twice the bound."""
    bits = min(bound.bit_length(), 32)
    whole, part = divmod(bits, 8)
    last = [b"[\\x00-\\x%02x]" % (2**part - 1)] if part else []
    rest = 4 - whole - len(last)
    return b"." * whole + b"".join(last) + b"\\x00" * rest


def _require_memory(content: bytes) -> None:
    size = sum(weight * content.count(op) for op, weight in MEMORY.items())
    require_size(size // MEMORY_SHARE, "the pickle", "objects")
