"""Pickles that would corrupt or eat memory, or change the reader, are refused in one line."""

import io
import pickle
import pickletools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nco.data import unpickle as module
from nco.data.errors import InputError
from nco.data.formats.datasets.pkl import read_pkl
from nco.data.pickle_scan import scan
from nco.data.unpickle import loads
from tests.memory import refused_within
from tests.nco.cli.conftest import Run, run  # noqa: F401  a fixture

NDARRAY, DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
RECONSTRUCT = b"cnumpy._core.multiarray\n_reconstruct\n"
SCALAR = b"cnumpy._core.multiarray\nscalar\n"
FROMBUFFER = b"cnumpy._core.numeric\n_frombuffer\n"
EMPTY = RECONSTRUCT + b"(" + NDARRAY + b"(K\x00tC\x01btR"  # an array before its state


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def raw(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def integer(value: int) -> bytes:
    return b"I%d\n" % value


def dtype(code: str, state: bytes = b"") -> bytes:
    """A dtype by its code; ``state`` is a pickled tuple that is set."""
    return DTYPE + b"(" + text(code) + b"I00\nI01\ntR" + (state + b"b" if state else b"")


def array(shape: tuple[int, ...], kind: bytes, content: bytes) -> bytes:
    sides = b"(" + b"".join(map(integer, shape)) + b"t"
    return EMPTY + b"(K\x01" + sides + kind + b"\x89" + content + b"tb"


def laughs(levels: int, pair: bytes) -> bytes:
    """A list or tuple of two of a list of two of ..., so deep."""
    return b"K\x01" + b"".join(b"q%c(h%ch%c" % (k, k, k) + pair for k in range(levels))


FIELDS = b"(K\x03X\x01\x00\x00\x00|N(X\x01\x00\x00\x00at}X\x01\x00\x00\x00a("
OFFSET = integer(2**31 - 16)
ATTACKS: dict[str, bytes] = {
    "ndarray with arguments": NDARRAY + b"(K\x03tR",
    "ndarray of a huge shape": NDARRAY + b"(I1000000000\ntR",
    "objects over raw bytes": array((1,), dtype("O8"), raw(b"\x41" * 8)),
    "objects in a list": array((1,), dtype("O8"), b"(K\x01l"),
    "objects by a state of the dtype": array(
        (1,),
        dtype(
            "f8",
            b"(K\x03X\x01\x00\x00\x00|X\x02\x00\x00\x00O8NNJ\xff\xff\xff\xff"
            b"J\xff\xff\xff\xffK\x3ft",
        ),
        raw(b"\x41" * 8),
    ),
    "an object field": array(
        (1,), dtype("V8", FIELDS + dtype("O8") + b"K\x00tsK\x08K\x01K\x1bt"), raw(b"\x41" * 8)
    ),
    "a field at a huge offset": array(
        (1,), dtype("V8", FIELDS + dtype("f8") + OFFSET + b"tsK\x08K\x01K\x00t"), raw(b"\0" * 8)
    ),
    "a field just behind the buffer": array(
        (1,), dtype("V8", FIELDS + dtype("f8") + b"K\x08tsK\x08K\x01K\x00t"), raw(b"\0" * 8)
    ),
    "more than its bytes": array((100,), dtype("f8"), raw(b"\0" * 8)),
    "less than its bytes": array((1,), dtype("f8"), raw(b"\0" * 16)),
    "a negative side": array((-1,), dtype("f8"), raw(b"\0" * 8)),
    "sides that overflow": array((2**32, 2**32), dtype("f8"), raw(b"")),
    "a state twice": array((1,), dtype("f8"), raw(b"\0" * 8))
    + b"(K\x01(K\x02t"
    + dtype("f8")
    + b"\x89"
    + raw(b"\0" * 16)
    + b"tb",
    "a state of a buffer": FROMBUFFER
    + b"("
    + raw(b"\0" * 8)
    + dtype("f8")
    + b"(K\x01tX\x01\0\0\0CtR"
    + b"(K\x01(K\x02t"
    + dtype("O8")
    + b"\x89"
    + raw(b"\0" * 16)
    + b"tb",
    "dates": array((1,), dtype("M8"), raw(b"\0" * 8)),
    "records": array((1,), dtype("f8,f8"), raw(b"\0" * 16)),
    "truth beyond 1": array((1,), dtype("b1"), raw(b"\x07")),
    "no characters": array((1,), dtype("<U1"), raw(b"\xff" * 4)),
    "a scalar of nothing": SCALAR + b"(" + dtype("f8") + raw(b"") + b"tR",
    "a scalar of an object": SCALAR + b"(" + dtype("O8") + raw(b"\x41" * 8) + b"tR",
    "a buffer too short": FROMBUFFER
    + b"("
    + raw(b"\0" * 8)
    + dtype("f8")
    + b"(K\x02tX\x01\0\0\0CtR",
    "the state of a helper": SCALAR + b"}" + text("__defaults__") + b"(K\x01tsb",
    "slots of a helper": FROMBUFFER + b"N}" + text("__defaults__") + b"(K\x01ts\x86b",
    "a helper's code": RECONSTRUCT + b"N}" + text("__code__") + b"K\x01s\x86b",
    "the class of arrays changed": NDARRAY + b"N}" + text("shape") + b"K\x01s\x86b",
    "bytes of a size": b"cbuiltins\nbytes\n(I2000000000\ntR",
    "a byte array of a size": b"cbuiltins\nbytearray\n(I2000000000\ntR",
    "a memo of 10 GB": b"]" + b"r" + struct.pack("<I", 0x2000_0000),
    "a memo in words": b"]p999999999\n",
    "a string of 3 GB": b"B" + struct.pack("<I", 3_000_000_000) + b"abc",
    "a string of 10 GB": b"\x8d" + struct.pack("<Q", 10_000_000_000) + b"abc",
    "a byte array of 10 GB": b"\x96" + struct.pack("<Q", 10_000_000_000) + b"abc",
    "an integer of 2 GB": b"\x8b" + struct.pack("<I", 2**31 - 1) + b"abc",
    "tuples as keys": b"}" + laughs(60, b"t") + b"K\x01s",
    "tuples in a set": b"\x8f(" + laughs(60, b"t") + b"\x90",
    "tuples in a frozen set": b"(" + laughs(60, b"t") + b"\x91",
    "tuples in a set by a call": b"cbuiltins\nset\n((" + laughs(60, b"t") + b"ltR",
    "tuples in an old dictionary": b"(" + laughs(60, b"t") + b"K\x01d",
    "numbers of the same hash": b"}("
    + b"".join(b"L%dL\nN" % (k * (2**61 - 1)) for k in range(1, 99))
    + b"u",
    "a name of several lines": text("a\nb") + text("c\nd") + b"\x93",
    "an extension": b"\x82\x01",
    "a buffer from outside": b"\x97",
    "something persistent": b"K\x01Q",
}
LARGE = {
    "lists of lists": (b"(" + laughs(60, b"l") + b"l", "expected"),
    "an array of a list of lists": (b"((" + laughs(60, b"l") + laughs(2, b"l") + b"tl", "expected"),
    "nested without end": (b"(" + b"(" * 200_000 + b"l" * 200_000 + b"l", "expected"),
    "many empty lists": (b"(" + b"]" * 30_000_000 + b"l", "objects of"),
    "one list a million times": (
        b"(((" + b"K\x01" * 500_000 + b"lq\x00" + b"h\x00" * 500_000 + b"ll",
        "expected numbers",
    ),
    "one instance many times": (
        b"(("
        + b"((K\x00K\x00l("
        + b"(K\x00K\x01l" * 20_000
        + b"l("
        + b"K\x01" * 20_000
        + b"lK\x09tq\x00"
        + b"h\x00" * 20_000
        + b"l",
        "of all instances",
    ),
}


@pytest.mark.parametrize("kind", [*ATTACKS, *LARGE])
def test_hostile_pickles_are_refused(kind: str, tmp_path: Path) -> None:
    """One line names the file; hardly any memory is taken, and nothing of the reader changed."""
    content, message = LARGE[kind] if kind in LARGE else (ATTACKS[kind], "pickle")
    path = tmp_path / "set.pkl"
    path.write_bytes(b"\x80\x04" + content + b".")
    before = {
        k: (v._name, v._make, getattr(v._make, "__defaults__", 0))
        for k, v in module.PLAIN_NAMES.items()
    }
    limit = 900 if kind in LARGE else 60
    found = refused_within(lambda: read_pkl(path), limit, InputError)
    assert message in found and "set.pkl" in found and "\n" not in found
    after = {
        k: (v._name, v._make, getattr(v._make, "__defaults__", 0))
        for k, v in module.PLAIN_NAMES.items()
    }
    assert before == after


@pytest.mark.parametrize("kind", ["a field just behind the buffer", "a memo of 10 GB"])
def test_the_command_refuses_them(kind: str, tmp_path: Path, run: Run) -> None:  # noqa: F811
    """`nco evaluate` ends with exit code 2 and one line."""
    (tmp_path / "set.pkl").write_bytes(b"\x80\x04" + ATTACKS[kind] + b".")
    result = run("evaluate", "--data", "set.pkl", "--problem", "cvrp")
    assert result.code == 2 and len(result.err.splitlines()) == 1 and result.out == ""


def test_nothing_callable_is_handed_out() -> None:
    """What a name in a pickle stands for has no attribute that can be set."""
    stand_in = loads(b"\x80\x02" + SCALAR + b".")
    for name in ("__defaults__", "__code__", "_make", "other"):
        with pytest.raises((AttributeError, InputError)):
            loads(b"\x80\x02" + SCALAR + b"N}" + text(name) + b"K\x01s\x86b.")
    with pytest.raises(AttributeError):
        stand_in.other = 1


SOUND: list[Any] = [
    [([0.5, 0.25], [[1.0, 2.0]] * 400, list(range(400)), 30.0)] * 20,
    {"a": {1: [2.5, None]}, "b": ("x" * 300, b"y" * 300), **{str(k): k for k in range(2000)}},
    {1, 2, "a", None},
    [np.arange(12, dtype=f">{kind}").reshape(3, 4) for kind in ("i2", "f4", "u8", "c16")],
    [
        np.asfortranarray(np.ones((2, 3))),
        np.array([True, False]),
        np.array(["\u00e9"]),
        np.zeros(0),
    ],
    [np.float64(k) for k in range(300)],
    -(10**40),
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value", SOUND, ids=lambda value: f"{type(value).__name__}{len(str(value))}"
)
def test_sound_pickles_are_scanned_to_their_end(value: Any, protocol: int) -> None:
    """What Python and numpy write is read as it was, and the scan ends where Python's tools say."""
    content = pickle.dumps(value, protocol)
    stream = io.BytesIO(b"ab" + content + b"more")
    stream.seek(2)
    assert pickletools.dis(stream, out=io.StringIO()) is None
    assert scan(b"ab" + content + b"more", 2).end == len(content) + 2 == stream.tell()
    again = loads(content)
    np.testing.assert_equal(again, value)
