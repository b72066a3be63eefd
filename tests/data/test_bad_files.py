"""Bad files: each defect is one line that names the file, what was found and what was expected."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nco.data import make_instance
from nco.data.atomic import atomic
from nco.data.dataset import load_instances, read_costs, save_instances
from nco.data.errors import InputError
from nco.data.formats import read, read_solution, read_tour, write_solution
from nco.data.formats.json_file import KEYS

VRP = """NAME : tiny
TYPE : CVRP
DIMENSION : 3
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 10
NODE_COORD_SECTION
1 0 0
2 3 4
3 1 2
DEMAND_SECTION
1 0
2 7
3 4
DEPOT_SECTION
1
-1
EOF
"""
MATRIX = """NAME : m
TYPE : TSP
DIMENSION : 3
EDGE_WEIGHT_TYPE : EXPLICIT
EDGE_WEIGHT_FORMAT : UPPER_ROW
EDGE_WEIGHT_SECTION
1 2 3
EOF
"""
TABLE = "# capacity: 10\nname,x,y,demand\nd,0,0,0\na,1,2,4\nb,3,4,10\n"
JSON = {
    "format": "nco-instance",
    "problem": "cvrp",
    "instance": {"locs": [[0, 0], [1, 2.5]], "demand": [0, 3], "capacity": 5, "metric": "EUC_2D"},
}


def fails(read_file: Callable[[Path], object], path: Path, message: str) -> None:
    """One line that opens with the file and says what is wrong."""
    with pytest.raises(InputError) as caught:
        read_file(path)
    text = str(caught.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 800
    assert message in text.removeprefix(str(path))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("DIMENSION : 3", "DIMENSION : 4", "line 6: NODE_COORD_SECTION has 3 rows, expected DIM"),
        ("DIMENSION : 3", "DIMENSION : 3.5", "line 3: DIMENSION: '3.5', expected an integer"),
        ("DIMENSION : 3", "DIMENSION : 1", "line 3: DIMENSION: '1', expected an integer from 2"),
        ("DIMENSION : 3\n", "", "DIMENSION is missing, expected the number of nodes"),
        ("3 1 2\n", "", "line 6: NODE_COORD_SECTION has 2 rows, expected DIMENSION 3"),
        ("3 4\nDEPOT", "DEPOT", "line 10: DEMAND_SECTION has 2 rows, expected DIMENSION 3"),
        ("3 1 2\n", "3 1\n", "line 9: '3 1', expected 'number x y'"),
        ("3 1 2\n", "2 1 2\n", "line 9: node 2 comes twice in NODE_COORD_SECTION"),
        ("3 1 2\n", "4 1 2\n", "line 9: node number: '4', expected an integer from 1 to 3"),
        ("3 1 2\n", "3 nan 2\n", "line 9: 'nan', expected a number"),
        ("3 1 2\n", "3 1e999 2\n", "line 9: '1e999', expected a number from -1e+12 to 1e+12"),
        ("3 1 2\n", "3 1,5 2\n", "line 9: '1,5', expected a number"),
        ("3 4\nDEP", "3 -4\nDEP", "line 13: demand of node 3: '-4', expected an integer from 0"),
        ("3 4\nDEP", "3 3.5\nDEP", "line 13: demand of node 3: '3.5', expected an integer"),
        (
            "3 4\nDEP",
            "3 99999999999999999999\nDEP",
            "line 13: demand of node 3: '99999999999999999999'",
        ),
        ("1 0\n2 7", "1 1\n2 7", "line 11: demand of node 1: 1, expected 0 at the depot"),
        ("CAPACITY : 10", "CAPACITY : 0", "line 5: CAPACITY: '0', expected an integer from 1"),
        ("CAPACITY : 10\n", "", "CAPACITY is missing, expected the load that a vehicle can carry"),
        ("CAPACITY : 10\n", "CAPACITY : 10\nCAPACITY : 9\n", "line 6: CAPACITY comes twice"),
        ("EUC_2D", "EUC_9D", "line 4: EDGE_WEIGHT_TYPE 'EUC_9D', expected one of EUC_2D, CEIL_2D"),
        ("EUC_2D", "EXPLICIT", "EDGE_WEIGHT_FORMAT is missing, expected the layout of the matrix"),
        ("EDGE_WEIGHT_TYPE : EUC_2D\n", "", "EDGE_WEIGHT_TYPE is missing, expected one of"),
        ("TYPE : CVRP", "TYPE : VRPTW", "TIME_WINDOW_SECTION is missing, expected what TYPE VRPTW"),
        ("TYPE : CVRP", "TYPE : XVRP", "line 2: TYPE 'XVRP', expected one of TSP, ATSP, CVRP"),
        ("TYPE : CVRP", "TYPE : GVRP", "line 2: TYPE GVRP is not supported: MUTUALLY_EXCLUSIVE"),
        ("TYPE : CVRP", "TYPE :", "line 2: TYPE '', expected one of TSP, ATSP, CVRP"),
        ("TYPE : CVRP", "TYPE : TSP", "line 5: CAPACITY states a rule that is not supported"),
        ("DEPOT_SECTION", "SKILLS_SECTION", "line 14: SKILLS_SECTION states a rule"),
        ("CAPACITY : 10", "CAPACITY : 10\nTIME : 8", "line 6: TIME states a rule that is"),
        (
            "CAPACITY : 10",
            "CAPACITY : 10\nDISTANCE : -8",
            "line 6: DISTANCE: '-8', expected",
        ),
        ("CAPACITY : 10", "CAPACITY : 10\nVEHICLES : 0", "line 6: VEHICLES: '0', expected an"),
        (
            "DEPOT_SECTION\n1\n-1\n",
            "",
            "DEPOT_SECTION is missing, expected the number of",
        ),
        (
            "DEPOT_SECTION\n1\n",
            "DEPOT_SECTION\n1\n2\n",
            "node 2: 7, expected 0 at the depot",
        ),
        ("DEPOT_SECTION\n1\n", "DEPOT_SECTION\n1\n1\n", "line 14: a depot comes twice, expected"),
        ("DEPOT_SECTION\n1\n", "DEPOT_SECTION\n", "line 14: 0 depots, expected one"),
        ("DEPOT_SECTION\n1\n-1", "DEPOT_SECTION\n-1\n1", "line 16: '1', expected nothing after -1"),
        ("DEPOT_SECTION\n1\n", "DEPOT_SECTION\n7\n", "line 15: depot: '7', expected an integer"),
        ("DEMAND_SECTION", "NODE_COORD_SECTION", "line 10: NODE_COORD_SECTION comes twice"),
        ("NAME : tiny", "tiny", "line 1: 'tiny', expected KEY : VALUE or a section"),
    ],
)
def test_bad_vrp_files(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Every defect of a CVRPLIB file is named with its line."""
    assert VRP.count(old) >= 1
    path = tmp_path / "tiny.vrp"
    path.write_text(VRP.replace(old, new, 1))
    fails(read, path, message)


@pytest.mark.parametrize("end", range(20, len(VRP) - 8, 7))
def test_truncated_vrp_files(tmp_path: Path, end: int) -> None:
    """Cut anywhere before the depot is known, a file is an error, not a smaller instance."""
    path = tmp_path / "tiny.vrp"
    path.write_text(VRP[:end])
    fails(read, path, "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1 2 3", "1 2", "line 6: EDGE_WEIGHT_SECTION has 2 numbers, expected 3 (UPPER_ROW of DIM"),
        ("1 2 3", "1 2 3 4", "line 6: EDGE_WEIGHT_SECTION has 4 numbers, expected 3"),
        ("1 2 3", "1 -2 3", "line 7: '-2', expected a number from 0"),
        ("UPPER_ROW", "UPPER", "line 5: EDGE_WEIGHT_FORMAT 'UPPER', expected one of FULL_MATRIX"),
        ("DIMENSION : 3", "DIMENSION : 99999", "has 3 numbers, expected 4999850001"),
        ("EXPLICIT", "GEO", "line 4: EDGE_WEIGHT_TYPE GEO with an EDGE_WEIGHT_SECTION"),
        ("UPPER_ROW\n", "FULL_MATRIX\n", "has 3 numbers, expected 9 (FULL_MATRIX of DIMENSION 3)"),
        (
            "UPPER_ROW\nEDGE_WEIGHT_SECTION\n1 2 3",
            "FULL_MATRIX\nEDGE_WEIGHT_SECTION\n0 1 2 1 0 3 2 4 0",
            "distance 3 from 2 to 3, 4 back, expected a symmetric matrix for TYPE TSP",
        ),
    ],
)
def test_bad_matrices(tmp_path: Path, old: str, new: str, message: str) -> None:
    """A matrix of the wrong size or kind is an error, whatever its DIMENSION claims."""
    path = tmp_path / "m.tsp"
    path.write_text(MATRIX.replace(old, new, 1))
    fails(read, path, message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name,x", "name,a", "column 'a', expected each of name, x, y, demand once"),
        ("name,x", "x,x", "column 'x', expected each of name, x, y, demand once"),
        ("name,x,y", "name,x,demand", "column 'demand', expected each of"),
        ("# capacity: 10\n", "", "no capacity, expected a line like '# capacity: 100'"),
        ("# capacity: 10", "# capacity: ten", "line 1: capacity: 'ten', expected an integer"),
        ("# capacity: 10", "# capacity: 3\n# capacity: 3", "line 2: capacity comes twice"),
        ("# capacity: 10", "# capacity: 10\n# metric: L2", "line 2: metric 'L2', expected one of"),
        ("a,1,2,4", "a,1,2", "line 4: 3 values, expected 4 (name, x, y, demand)"),
        ("a,1,2,4", "a,1,2,3.5", "line 4: demand: '3.5', expected an integer"),
        ("a,1,2,4", "a,1,2,-1", "line 4: demand: '-1', expected an integer from 0 to"),
        ("a,1,2,4", "a,1,nan,4", "line 4: y: 'nan', expected a number"),
        ("a,1,2,4", 'a,1,"2,4', "line 4: unexpected end of data, expected CSV"),
        ("d,0,0,0", "d,0,0,5", "line 3: demand 5 of the first node, expected 0 at the depot"),
        ("a,1,2,4\nb,3,4,10\n", "", "1 nodes, expected at least 2"),
        (
            "name,x,y,demand",
            "name,lat,lon,demand\ne,91,0,0",
            "line 3: lat: '91', expected a number",
        ),
        (",demand\nd,0,0,0\na,1,2,4\nb,3,4,10", "\nd,0,0\na,1,2", "line 1: capacity, expected a"),
    ],
)
def test_bad_tables(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Every defect of a table is named with its line or column."""
    assert old in TABLE
    path = tmp_path / "t.csv"
    path.write_text(TABLE.replace(old, new, 1))
    fails(read, path, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,1\n1,0,3\n", "line 2: 3 distances, expected 2, one for each row"),
        ("0,1\n", "1 row of distances, expected at least 2"),
        ("0,1\n-1,0\n", "line 2: distance: '-1', expected a number from 0"),
        ("0,1\nx,0\n", "line 2: distance: 'x', expected a number"),
        ("# comment only\n", "no rows, expected nodes or distances"),
    ],
)
def test_bad_csv_matrices(tmp_path: Path, text: str, message: str) -> None:
    """A matrix must be square and hold distances."""
    path = tmp_path / "m.csv"
    path.write_text(text)
    fails(read, path, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, 'expected a JSON object with "format": "nco-instance"'),
        ({"note": "x"}, "key 'note', expected one of format, problem, labels"),
        ({"problem": None}, "problem is missing, expected its name"),
        ({"instance": []}, "instance is missing, expected an object of attributes"),
        ({"labels": [1, 2]}, "labels, expected a list of names"),
        ({"best_known": "12"}, "best_known '12', expected a number"),
        ({"demand": [0, 2.5]}, "demand: '2.5', expected an integer"),
        ({"demand": [0, True]}, "demand: 'True', expected an integer"),
        ({"demand": [0, -9]}, "demand: -9 at [1], expected a number from 0"),
        ({"demand": [0, 10**30]}, "demand: '1000000000000000000000000000000', expected an integer"),
        ({"demand": [1, 2]}, "demand: 1 at [0], expected 0 at the depot"),
        ({"demand": [0, 1, 2]}, "demand: size 3 along N, expected 2"),
        ({"demand": 3}, "demand: '3', expected a list"),
        ({"locs": [[0, 0], [1, "2"]]}, "locs: '2', expected a number"),
        ({"locs": [[0, 0], [1]]}, "locs: lists of 2 and 1 items, expected equal ones"),
        ({"locs": [[0], [1]]}, "locs: size 1 along 2, expected 2"),
        ({"capacity": [5, 5]}, "depots: absent, expected one of each of the 2 depot nodes"),
        ({"capacity": [5.5]}, "capacity: '5.5', expected an integer"),
        ({"vehicle_count": 3}, "vehicle_count: '3', expected a list"),
        ({"locs": [[0, 0], ["inf", 0]]}, "locs: 'inf', expected a number up to 1e+12"),
        ({"vehicles": [0, 1]}, "vehicles, expected depot nodes from 0 to 0"),
        ({"cost_steps": 0}, "cost_steps: '0', expected an integer from 1"),
        ({"metric": "L2"}, "metric 'L2', expected one of EUCLIDEAN"),
        ({"metric": [1]}, "metric '[1]', expected one of EUCLIDEAN"),
        ({"colour": 3}, "attribute 'colour', expected one of locs"),
    ],
)
def test_bad_json(tmp_path: Path, change: dict[str, object], message: str) -> None:
    """Every defect of our own format is named with its key."""
    (key,) = change
    inner = key not in {*KEYS, "note"}
    content = {**JSON, "instance": {**JSON["instance"], **change}} if inner else JSON | change  # type: ignore[dict-item]
    path = tmp_path / "t.json"
    path.write_text(json.dumps(content))
    fails(read, path, message)


@pytest.mark.parametrize("text", ["{", "[1]", '{"format": NaN}', "[" * 100_000, '"\\ud800"', "1"])
def test_no_json(tmp_path: Path, text: str) -> None:
    """What is no JSON object of ours is said to be none."""
    path = tmp_path / "t.json"
    path.write_text(text)
    fails(read, path, "JSON")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Kost 7\n", "no routes, expected lines like 'Route #1: 4 2 7'"),
        ("Route #1: 1 x\n", "line 1: customer: 'x', expected an integer"),
        ("Route #1: 1 -2\n", "line 1: customer: '-2', expected an integer from 0"),
        ("Route #1: 1\nCost seven\n", "line 2: cost: 'seven', expected a number"),
        ("Route #1: 1\nCost\n", "line 2: cost: '', expected a number"),
        ("Route #1: 1\nCost 7\nCost 8\n", "line 3: 'Cost 8', expected one cost only"),
    ],
)
def test_bad_solutions(tmp_path: Path, text: str, message: str) -> None:
    """Every defect of a solution is named with its line."""
    path = tmp_path / "t.sol"
    path.write_text(text)
    fails(read_solution, path, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("TYPE: TOUR\n", "TOUR_SECTION is missing"),
        (
            "TOUR_SECTION\n-1\n",
            "line 1: 0 numbers, 0 of them different, expected each of 1..n",
        ),
        ("TOUR_SECTION\n1 2 2\n", "line 1: 3 numbers, 2 of them different, expected each of 1..3"),
        ("DIMENSION: 4\nTOUR_SECTION\n1 2 3\n", "line 2: 3 numbers, 3 of them different, expected"),
        ("TOUR_SECTION\n0 1\n", "line 2: node number: '0', expected an integer from 1"),
    ],
)
def test_bad_tours(tmp_path: Path, text: str, message: str) -> None:
    """A tour is a permutation of the nodes."""
    path = tmp_path / "t.tour"
    path.write_text(text)
    fails(read_tour, path, message)


@pytest.mark.parametrize("suffix", [".vrp", ".tsp", ".csv", ".json", ".txt"])
def test_files_that_are_none(tmp_path: Path, suffix: str) -> None:
    """Missing, empty, binary, and a folder: for every format."""
    path = tmp_path / f"x{suffix}"
    fails(read, path, "no such file")
    path.write_text(" \n\n")
    fails(read, path, "the file is empty")
    path.write_bytes(b"\x7fELF\0\1\2")
    fails(read, path, "binary data, expected text")
    path.unlink()
    path.mkdir()
    fails(read, path, "cannot be read, Is a directory")


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    """An unknown rounding, and a rounding where the file settles it, are errors."""
    path = tmp_path / "m.tsp"
    path.write_text(MATRIX)
    with pytest.raises(InputError, match="rounding: 'floor', expected one of auto, none"):
        read(path, rounding="floor")  # type: ignore[arg-type]
    fails(lambda p: read(p, rounding="none"), path, "line 4: EDGE_WEIGHT_TYPE EXPLICIT has its own")
    for name, text in (("t.json", json.dumps(JSON)), ("m.csv", "0,1\n1,0\n"), ("g.csv", "lat,lon")):
        other = tmp_path / name
        other.write_text(text if name != "g.csv" else "lat,lon\n0,0\n1,1\n")
        fails(lambda p: read(p, rounding="none"), other, "expected none")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_bad_data_sets(tmp_path: Path, suffix: str) -> None:
    """Missing, truncated and foreign archives, arrays that fit nothing, and lacking costs."""
    path = tmp_path / f"d{suffix}"
    fails(load_instances, path, "no such file")
    good = make_instance(locs=torch.rand(3, 4, 2))
    save_instances(path, good, "tsp")
    fails(read_costs, path, "no array cost, expected reference costs")
    whole = path.read_bytes()
    for content in (b"", b"PK\3\4 something", whole[:-40], whole[: len(whole) // 2]):
        path.write_bytes(content)
        fails(load_instances, path, f"no readable {suffix} archive")
    save_instances(path, good, "tsp", cost=torch.tensor([1.0, torch.nan, 2.0]))
    fails(read_costs, path, "costs of shape [3], expected finite ones")
    assert load_instances(path).batch_size == torch.Size([3])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"xy": np.zeros((2, 3, 2))}, "xy: unknown attribute, expected one of locs"),
        ({"locs": np.zeros((2, 3))}, "locs: shape [2, 3], expected [B, N, 2]"),
        ({"locs": np.zeros((2, 3, 2)), "demand": np.zeros((2, 3))}, "demand: torch.float64, expec"),
        ({"locs": np.full((2, 3, 2), np.nan)}, "locs: nan at [0, 0] of instance 0, expected a num"),
        (
            {"locs": np.zeros((2, 3, 2)), "capacity": np.ones(3, int)},
            "capacity: shape [3], exp",
        ),
        ({"locs": np.zeros((2, 3, 2)), "capacity": np.array(1)}, "no readable .npz archive"),
        ({"demand": np.zeros((2, 3), int)}, "neither locs nor distance, expected one of them"),
        ({"locs": np.zeros((2, 0, 2))}, "no nodes, expected at least one"),
        ({"locs": np.zeros((2, 3, 2)), "metric": np.array([0, 99])}, "metric: 99 of instance 1"),
        ({"locs": np.array([["a"]])}, "no readable .npz archive"),
        ({"locs": np.array([{}])}, "no readable .npz archive (Object arrays cannot be loaded"),
        ({}, "an instance needs at least one attribute"),
    ],
)
def test_bad_arrays(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    """Arrays that are no instances are named; pickled objects are never loaded."""
    path = tmp_path / "d.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    fails(load_instances, path, message)


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    """A missing folder, and a file in the place of one: named, and nothing is left behind."""
    (tmp_path / "file").write_text("x")
    for folder, reason in (("nowhere", "No such file"), ("file", "Not a directory")):
        target = tmp_path / folder / "t.sol"
        with pytest.raises(InputError, match=re.escape(f"{target}: cannot be written, {reason}")):
            write_solution(target, [[1]], 1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_no_trace(tmp_path: Path) -> None:
    """An error in the middle keeps the old content and removes the temporary file."""
    target = tmp_path / "t.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["t.txt"]
