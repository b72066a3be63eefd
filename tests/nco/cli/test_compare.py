"""``nco compare`` from end to end."""

import csv
import json
from pathlib import Path
from statistics import fmean

import pytest

from tests.nco.cli.conftest import SQUARE_COST, Run
from tests.nco.cli.test_solve import FIELDS

SOLVERS = ["policy", "ortools", "pyvrp"]


def test_all_solvers_on_all_files(square: Path, rectangle: Path, run: Run) -> None:
    """One row a file and solver, with the fields of ``nco solve``; CSV says what JSON says."""
    words = ["--solvers", *SOLVERS, "--time-limit", 0.3, "--csv", "all.csv", "--json"]
    result = run("compare", square, rectangle, *words)
    assert result.code == 0, result.err
    rows = json.loads(result.out)
    assert [(row["instance"], row["solver"]) for row in rows] == [
        (name, solver) for name in ("square", "rectangle") for solver in SOLVERS
    ]
    assert all(list(row) == FIELDS for row in rows)
    assert [row["cost"] for row in rows[1:3]] == [SQUARE_COST, SQUARE_COST]
    with Path("all.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [float(line["cost"]) for line in written] == [row["cost"] for row in rows]
    assert [int(line["routes"]) for line in written] == [len(row["routes"]) for row in rows]
    assert [line["gap"] for line in written][3:] == ["", "", ""]


def test_the_end_of_the_table_is_the_mean_of_its_lines(square: Path, run: Run) -> None:
    """The last table has each solver with instances solved, mean gap and mean time."""
    words = ["--solvers", "ortools", "pyvrp", "--time-limit", 0.2]
    lines = run("compare", square, *words).out.splitlines()
    start = next(k for k, line in enumerate(lines) if "mean gap" in line)
    table = {line.split()[0]: line.split() for line in lines[start + 2 :] if line.strip()}
    for solver in ("ortools", "pyvrp"):
        assert "1/1" in table[solver]
        assert table[solver][-3:-1] == ["-50.00", "%"]
        assert 0.1 < float(table[solver][-1]) < 2


def test_solutions_and_pictures_of_every_solver(square: Path, run: Run) -> None:
    """``--out`` gets a solution and a picture for each solver, ``--plot`` the curves."""
    words = ["--solvers", "ortools", "pyvrp", "--time-limit", 0.2]
    result = run("compare", square, *words, "--out", "o", "--plot", "o/curves.png")
    assert result.code == 0
    names = [f"square-{solver}{end}" for solver in ("ortools", "pyvrp") for end in (".png", ".sol")]
    assert sorted(file.name for file in Path("o").iterdir()) == ["curves.png", *names]


def test_a_solver_that_cannot_stops_no_other(square: Path, rectangle: Path, run: Run) -> None:
    """What one solver refuses is named and ends in exit code 2; all else is solved."""
    words = ["--solvers", "fast-tsp", "pyvrp", "--time-limit", 0.1, "--json"]
    result = run("compare", square, rectangle, *words)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "square.vrp: fast-tsp cannot express DepotRoutes" in result.err
    pairs = [(row["instance"], row["solver"]) for row in json.loads(result.out)]
    assert pairs == [("square", "pyvrp"), ("rectangle", "fast-tsp"), ("rectangle", "pyvrp")]


@pytest.mark.parametrize("option", ["--csv", "--plot"])
def test_unwritable_outputs_are_found_out_first(option: str, square: Path, run: Run) -> None:
    """An output in a missing folder is refused before anything is solved."""
    result = run("compare", square, "--solvers", "pyvrp", "--time-limit", 60, option, "no/file.png")
    assert result.code == 2
    assert "no" in result.err


def test_the_mean_gap_is_over_files_with_a_reference(square: Path, run: Run) -> None:
    """The JSON's gaps are relative to the cost beside the file."""
    words = ["--solvers", "ortools", "pyvrp", "--time-limit", 0.2, "--json"]
    rows = json.loads(run("compare", square, *words).out)
    assert fmean(row["gap"] for row in rows) == pytest.approx(
        fmean(100 * (row["cost"] / row["reference"] - 1) for row in rows)
    )
