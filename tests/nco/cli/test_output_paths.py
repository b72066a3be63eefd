"""Where nothing can be written is told before any work; a home without room is no matter."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nco.cli import solving
from tests.nco.cli.conftest import Run


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Solving is an error."""

    def solve(*args: object) -> None:
        raise AssertionError("solved")

    monkeypatch.setattr(solving, "_solve", solve)


@pytest.mark.parametrize(
    ("command", "folder", "more"),
    [
        ("solve", "out/square.sol", []),
        ("solve", "out/square.png", ["--plot"]),
        ("compare", "out/square-pyvrp.sol", []),
        ("compare", "rows.csv", ["--csv", "rows.csv"]),
    ],
)
def test_a_folder_in_the_way_is_told_before_solving(
    command: str, folder: str, more: list[str], square: Path, run: Run, untouched: None
) -> None:
    """A folder with the name of the solution, the picture or the table: one line, exit code 2."""
    Path(folder).mkdir(parents=True)
    words = {"solve": ["--solver", "pyvrp"], "compare": ["--solvers", "pyvrp"]}[command]
    result = run(command, square, *words, "--out", "out", *more)
    (line,) = result.err.splitlines()
    assert result.code == 2 and folder in line and "is a folder" in line


def test_a_folder_in_the_way_of_a_data_set(run: Run) -> None:
    """`nco generate` and `nco label` say so before they draw or solve."""
    Path("set.npz").mkdir()
    result = run("generate", "cvrp", "--out", "set.npz", "--size", "9")
    assert result.code == 2 and "set.npz: is a folder" in result.err
    np.savez("data.npz", locs=np.random.default_rng(0).random((2, 5, 2)))
    result = run("label", "data.npz", "--problem", "tsp", "--out", "set.npz")
    assert result.code == 2 and "set.npz: is a folder" in result.err


def test_a_home_that_cannot_be_written(square: Path, tmp_path: Path) -> None:
    """With a home that is not there, a solution and its picture are made and nothing is said."""
    environment = {k: v for k, v in os.environ.items() if "XDG" not in k and "MPL" not in k}
    words = [
        "solve",
        square,
        "--solver",
        "pyvrp",
        "--time-limit",
        "0.1",
        "--plot",
        "--out",
        tmp_path / "out",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "nco", *map(str, words)],
        env=environment | {"HOME": "/proc/none"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "square.png",
        "square.sol",
    ]
