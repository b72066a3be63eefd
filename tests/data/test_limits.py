"""Small files that would eat the machine, and files that are none, are refused at once."""

import bz2
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nco.cli.arguments import command_parser
from nco.cli.solve import solve
from nco.data.archive import read_archive
from nco.data.errors import InputError
from nco.data.formats import read
from nco.data.limits import DEFAULT_MEGABYTES, max_size, read_bytes
from nco.data.unpickle import unpickle
from tests.memory import refused_within
from tests.nco.cli.conftest import SQUARE, Run, run  # noqa: F401  a fixture


def npy(shape: tuple[int, ...], content: bytes, dtype: str = "<f8") -> bytes:
    """An array's file that claims a shape."""
    out = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue() + content


def packed(path: Path, kind: int, entries: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def zeros(path: Path, kind: int, size: int) -> None:
    """An archive of an array of zeros."""
    packed(path, kind, {"locs.npy": npy((size // 8,), b"\0" * size)})


BOMBS: dict[str, tuple[Callable[[Path], None], str]] = {
    "bz2": (lambda path: zeros(path, zipfile.ZIP_BZIP2, 10**8), "expected at most 64 MB"),
    "small bz2": (lambda path: zeros(path, zipfile.ZIP_BZIP2, 10**6), "packed in a way"),
    "deflated": (lambda path: zeros(path, zipfile.ZIP_DEFLATED, 10**8), "expected at most 64 MB"),
    "a shape of 8 TB": (
        lambda path: packed(path, zipfile.ZIP_STORED, {"locs.npy": npy((10**12,), b"\0" * 64)}),
        "locs.npy is cut off",
    ),
    "a negative shape": (
        lambda path: packed(path, zipfile.ZIP_STORED, {"locs.npy": npy((-1, -8), b"\0" * 64)}),
        "no readable .npz archive",
    ),
    "objects": (
        lambda path: packed(path, zipfile.ZIP_STORED, {"a.npy": npy((1,), b"\0" * 8, "|O")}),
        "Object arrays cannot be loaded",
    ),
    "records": (
        lambda path: packed(path, zipfile.ZIP_STORED, {"a.npy": npy((1,), b"\0" * 8, "|V8")}),
        "expected numbers",
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_archives_that_unfold(kind: str, tmp_path: Path) -> None:
    """What an archive says of its size is bounded before anything is allocated."""
    make, message = BOMBS[kind]
    path = tmp_path / "set.npz"
    make(path)
    assert path.stat().st_size < 10**6
    found = refused_within(lambda: read_archive(path), 60, InputError)
    assert message in found and "set.npz" in found


def test_the_command_refuses_an_archive(tmp_path: Path, run: Run) -> None:  # noqa: F811
    """`nco evaluate` on a packed archive ends with one line and exit code 2; a higher bound is
    given by the option that the line names."""
    zeros(tmp_path / "set.npz", zipfile.ZIP_DEFLATED, 10**8)
    result = run("evaluate", "--data", "set.npz", "--problem", "cvrp")
    (line,) = result.err.splitlines()
    assert result.code == 2 and "100 MB, expected at most 64 MB (--max-size)" in line
    result = run("evaluate", "--data", "set.npz", "--problem", "cvrp", "--max-size", 200)
    (line,) = result.err.splitlines()
    assert result.code == 2 and "--max-size" not in line


HEAD = "NAME: x\nTYPE: TSP\nDIMENSION: {}\nEDGE_WEIGHT_TYPE: EUC_2D\n"
TEXTS = {
    "dimension": (".vrp", SQUARE.replace("DIMENSION : 5", "DIMENSION : 2147483647"), "2147483647"),
    "tsp dimension": (".tsp", HEAD.format(2**31 - 1) + "NODE_COORD_SECTION\n1 1 1\n", "2147483647"),
    "vehicles": (".vrp", SQUARE.replace("CAPACITY", "VEHICLES : 2147483647\nCAPACITY"), ""),
    "spaces": (
        ".vrp",
        "A" + " " * 400_000 + "x\n" + SQUARE.replace("NAME", "B" + " " * 200_000),
        "x",
    ),
    "underscores": (".vrp", "_" * 400_000 + "\n" + SQUARE, "expected"),
    "a long number": (".vrp", SQUARE.replace("3 3", "3" * 100_000 + " 3"), "expected"),
    "a long integer": (".vrp", SQUARE.replace("3 5\n", "3 " + "5" * 100_000 + "\n"), "expected"),
    "nested lists": (".json", '{"vehicles": ' + "[" * 200_000, "no JSON"),
    "nested objects": (".json", '{"a":' * 200_000, ""),
    "a long JSON number": (".json", '{"format": "nco-instance", "x": ' + "1" * 100_000 + "}", ""),
    "sources that are no list": (
        ".json",
        json.dumps({"code": "Ok", "durations": [[0, 1]], "sources": 1.5, "destinations": [1]}),
        "expected",
    ),
    "a matrix of nothing": (
        ".json",
        json.dumps(
            {
                "vehicles": [{"id": 1, "start_index": 0}],
                "jobs": [{"id": 1, "location_index": 1}],
                "matrices": {"car": {"durations": []}},
            }
        ),
        "expected",
    ),
    "an index": (
        ".json",
        json.dumps(
            {
                "vehicles": [{"id": 1, "start_index": 2**31 - 1}],
                "jobs": [{"id": 1, "location_index": 1}],
                "matrices": {"car": {"durations": [[0, 1], [1, 0]]}},
            }
        ),
        "expected",
    ),
    "a long cell": (".csv", "name,x,y\n" + "a" * 300_000 + ",1,2\n", "expected"),
    "many columns": (".csv", "x,y" + ",a" * 200_000 + "\n1,2\n", "expected"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_that_claim_much(kind: str, tmp_path: Path) -> None:
    """Counts, lines, numbers and depths beyond reason are one line of reasonable length."""
    suffix, text, message = TEXTS[kind]
    path = tmp_path / f"x{suffix}"
    path.write_text(text)

    def use() -> None:
        read(path)
        raise InputError(f"{path}: read")  # the number was of no consequence

    found = refused_within(use, 200, InputError)
    assert message in found and len(found) < 700 and f"x{suffix}" in found and "\n" not in found


def test_numbers_of_nodes_with_decimals(tmp_path: Path) -> None:
    """A node numbered 2.0 is node 2, also where a name stands behind its coordinates."""
    path = tmp_path / "x.vrp"
    text = SQUARE.replace("2 0 0\n", "2.0 0 0 north\n").replace("2 5\n", "2.0 5\n")
    path.write_text(text)
    found = read(path)
    assert found.labels is not None and found.labels[1] == "north"
    assert found.instance["demand"][0].tolist() == [0, 5, 5, 5, 5]


def test_files_beyond_the_bound(tmp_path: Path) -> None:
    """A file larger than the bound is not even read, whatever its format."""
    for suffix in (".vrp", ".tsp", ".txt", ".csv", ".json", ".vrpspd", ".pkl"):
        path = tmp_path / f"x{suffix}"
        with path.open("wb") as file:
            file.truncate(10**9)  # sparse: takes no room
        reader = unpickle if suffix == ".pkl" else read
        found = refused_within(lambda reader=reader, path=path: reader(path), 20, InputError)
        assert "a file of 1,000 MB, expected at most 64 MB (--max-size)" in found


def test_the_bound_is_an_option(tmp_path: Path, run: Run) -> None:  # noqa: F811
    """A file just above the bound is refused, and read with `--max-size`; the default is said."""
    (tmp_path / "x.vrp").write_text(SQUARE + "\n" * 3000)
    words = ["--solver", "pyvrp", "--time-limit", 0.1, "--max-size"]
    result = run("solve", "x.vrp", *words, 0.002)
    assert result.code == 2 and "expected at most 0.002 MB (--max-size)" in result.err
    assert run("solve", "x.vrp", *words, 0.004).code == 0
    assert f"Default: {DEFAULT_MEGABYTES:g}." in command_parser(solve, "nco solve").format_help()
    with max_size(0.001), pytest.raises(InputError, match=r"0\.001 MB"):
        read(tmp_path / "x.vrp")
    with max_size(float("inf")):
        assert len(read_bytes(tmp_path / "x.vrp")) > 3000


@pytest.mark.parametrize("suffix", [".vrp", ".csv", ".json", ".npz", ".safetensors", ".pkl"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_waited_for(suffix: str, kind: str, tmp_path: Path) -> None:
    """A pipe that nothing is written to and a link to an endless device are refused."""
    path = tmp_path / f"x{suffix}"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    readers = {".pkl": unpickle, ".npz": read_archive, ".safetensors": read_archive}
    with pytest.raises(InputError, match=r"expected a regular file|no such file"):
        readers.get(suffix, read)(path)


def test_solutions_beside_that_are_no_files(tmp_path: Path, run: Run) -> None:  # noqa: F811
    """A pipe in place of the best-known solution does not stop the solver."""
    (tmp_path / "x.vrp").write_text(SQUARE)
    os.mkfifo(tmp_path / "x.sol")
    result = run("solve", "x.vrp", "--solver", "pyvrp", "--time-limit", 0.1)
    assert result.code == 0


def test_bz2_is_what_it_says() -> None:
    """The bomb of the first test is one: a thousand times smaller than what it unfolds to."""
    assert len(bz2.compress(b"\0" * 10**7)) < 10**4
