"""Small files, and a way to run the command inside the test's own process."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nco.cli import main

# Depot in the middle of a square of side 6, capacity for two customers. Best: two routes along
# parallel sides, each sqrt(18) + 6 + sqrt(18), rounded 4 + 6 + 4.
SQUARE = """NAME : square
TYPE : CVRP
DIMENSION : 5
CAPACITY : 10
EDGE_WEIGHT_TYPE : EUC_2D
NODE_COORD_SECTION
1 3 3
2 0 0
3 0 6
4 6 0
5 6 6
DEMAND_SECTION
1 0
2 5
3 5
4 5
5 5
DEPOT_SECTION
1
-1
"""
SQUARE_COST = 28
# A rectangle of 3 x 4, whose best tour is its outline.
RECTANGLE = """NAME: rectangle
TYPE: TSP
DIMENSION: 4
EDGE_WEIGHT_TYPE: EUC_2D
NODE_COORD_SECTION
1 0 0
2 3 4
3 3 0
4 0 4
"""
RECTANGLE_COST = 14


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs ``nco`` with the given words in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> Result:
        try:
            code = main([str(word) for word in words])
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 1
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def square(tmp_path: Path) -> Path:
    """A CVRP file with a reference of twice the best cost beside it."""
    path = tmp_path / "data" / "square.vrp"
    path.parent.mkdir(exist_ok=True)
    path.write_text(SQUARE)
    path.with_suffix(".sol").write_text(f"Cost {2 * SQUARE_COST}\n")
    return path


@pytest.fixture
def rectangle(tmp_path: Path) -> Path:
    """A TSP file."""
    path = tmp_path / "data" / "rectangle.tsp"
    path.parent.mkdir(exist_ok=True)
    path.write_text(RECTANGLE)
    return path
