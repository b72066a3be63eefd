"""``nco solve`` says why there is no solution, and why a customer was left out."""

import json
from pathlib import Path

import pytest

from tests.nco.cli.conftest import Run

FILE = """NAME : pack
TYPE : CVRP
DIMENSION : 6
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : {capacity}
VEHICLES : 3
NODE_COORD_SECTION
1 0 0
2 10 1
3 2 20
4 30 3
5 4 40
6 5 5
DEMAND_SECTION
1 0
2 6
3 6
4 6
5 6
6 1
DEPOT_SECTION
1
-1
EOF
"""


@pytest.mark.parametrize("solver", ["ortools", "pyvrp"])
def test_a_conflict_is_told(solver: str, tmp_path: Path, run: Run) -> None:
    """Three vehicles of 10 cannot pack four demands of 6, whatever the fifth customer does."""
    path = tmp_path / "pack.vrp"
    path.write_text(FILE.format(capacity=10))
    result = run("solve", path, "--solver", solver, "--time-limit", 0.5)
    assert result.code == 1
    expected = "; nodes 1, 2, 3, 4 and the rules Capacity, Fleet cannot hold together"
    assert expected in " ".join(result.err.split())


def test_sums_need_no_solver(tmp_path: Path, run: Run) -> None:
    """25 do not fit into 3 x 8: the answer comes at once, whatever the time limit."""
    path = tmp_path / "pack.vrp"
    path.write_text(FILE.format(capacity=8))
    result = run("solve", path, "--time-limit", 500)
    assert result.code == 2
    expected = "demand 25 of all customers, capacity 24 of all 3 vehicles"
    assert f"no solution exists: capacity: {expected}" in " ".join(result.err.split())


def test_a_customer_left_out_has_a_reason(tmp_path: Path, run: Run) -> None:
    """
    A tour of at most 10 collects the prize at 3 from the depot; the one at 20 needs a limit of 40.
    """
    path = tmp_path / "far.json"
    path.write_text(
        json.dumps(
            {
                "format": "nco-instance",
                "problem": "op",
                "instance": {
                    "locs": [[0, 0], [3, 0], [20, 0]],
                    "prize": [0, 1, 1],
                    "distance_limit": 10,
                },
            }
        )
    )
    result = run("solve", path, "--solver", "ortools", "--time-limit", 0.5, "--json")
    (row,) = json.loads(result.out)
    assert row["routes"] == [[1]]
    (left,) = row["left_out"]
    assert (left["customer"], left["rule"]) == (2, "distance limit")
    assert left["reason"] == "with node 2: length 40, limit 10"
    assert left["relaxation"] == "distance_limit from 10 to 40"
    told = run("solve", path, "--solver", "ortools", "--time-limit", 0.5)
    assert "customer 2 left out: distance limit" in " ".join(told.err.split())
