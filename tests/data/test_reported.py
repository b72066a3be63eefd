"""Files that people had trouble with: each is solved right, or refused for the right reason."""

import csv
import io
import itertools
import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from nco.cli import main
from nco.data.errors import InputError, InputWarning
from nco.data.formats import FileInstance, read, write
from nco.data.metric import pairwise
from nco.envs import problem
from nco.evaluation.best_known import check_best_known
from nco.solution.files import numbered
from nco.solvers.registry import find_solver
from tests.benchmark_data import benchmark_data

INF = float("inf")
# Name, cost (None where it is refused), and what standard error says ("" where nothing).
ROWS: list[tuple[str, float | None, str]] = [
    ("29-detour-is-shorter.vrp", 8, ""),
    ("29b-detour-duration.vrp", 8, ""),
    ("29c-rounded-line.vrp", 5, ""),
    ("47-vroom-detour.json", 8, ""),
    ("47d-reach.vrp", 12, ""),
    ("46a-sol.vrp", 69, r"46a-sol\.sol: .* states 40, its routes cost 69"),
    ("46c-sol.vrp", 69, r"46c-sol\.sol: .* breaks a rule, capacity: load 19, capacity 10"),
    ("46d-sol.vrp", 69, r"46d-sol\.sol: .* states 69\.32, its routes cost 69"),
    ("40b-sol.vrp", 69, ""),
    ("06-lkh-vrptw.vrp", 36, ""),
    ("57-lkh-acvrp.vrp", 22, ""),  # 4 + 3 with the third alone, 5 + 3 + 7 with both others
    ("57b-lkh-tsptw.tsp", 18, ""),  # the third, 4 by 5, then the second and the first
    ("31a-opta-names.vrp", 17440.3, ""),
    ("49b-zero-based.vrp", 69, ""),
    ("53c-lowercase.tsp", 46, ""),
    ("53h-no-colon.vrp", 69, ""),
    ("07b-solomon-lower.txt", 153.8, ""),
    ("20b-coursera.txt", None, r"layouts of \.txt files: .*Solomon.*; found '5 4 10 0 0 0"),
    ("21-cordeau.txt", 104.1531987, ""),
    ("22-concorde.txt", None, "2 instances, one a line"),
    ("36-evrptw.txt", None, r"layouts of \.txt files: .*Solomon.*; found 'StringID Type x"),
    ("08b-osrm-sources0.json", None, "1 sources and 4 destinations, expected a square table"),
    ("08c-osrm-allnull.json", 4300.1, "durations are all null"),
    ("08d-osrm-noroute.json", None, "Table using 4 coordinates found none"),
    ("11-no-matrix.json", None, "matrices is missing"),
    ("12-vroom-doc-start-end.json", 5461, ""),
    ("16-demand-over.vrp", None, "no solution exists: capacity: demand 60 of node 2, capacity 30"),
    ("18-no-packing.json", None, "no feasible solution|no solution exists"),
    ("41a-breaks-empty.json", 2700, ""),
    ("41b-priority0.json", 2700, ""),
    ("41c-options.json", 2700, ""),
    ("45-unit-euc.tsp", 0, r"coordinates span 0\.3 x 0\.25 and EUC_2D rounds"),
    ("19c-labelled.csv", 15861, ""),
    ("19d-semicolon.csv", 1586.1, ""),
    ("27b-latitude.csv", 9.885753307, ""),
    ("55-solomon.csv", 41.29706982, "no capacity, .*: vehicles carry any load"),
    ("58-inf.csv", 15, ""),
    ("58b-bigM.csv", 15, "1 entries of 999999999 are taken for missing arcs"),
    ("58c-missing.csv", 15, ""),
    ("58d-diag-bigM.csv", 12, ""),
    ("62c-utf16.csv", 448.5971606, ""),
    ("62e-extra-columns.csv", 448.5971606, "columns id, address are kept and state no rule"),
    ("62f-lng.csv", 448.5971606, ""),
    ("62g-windows.csv", 20, ""),
    ("51b-points.json", None, "an object of type, features; expected .* VROOM .* OSRM"),
]


def solved(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Any, str]:
    """The row that ``nco solve --json`` prints, or its exit code; and standard error."""
    code = main(["solve", str(path), "--time-limit", "0.5", "--json", "--out", str(tmp_path / "o")])
    out, err = capsys.readouterr()
    rows = json.loads(out)
    return (rows[0] if code == 0 else code), err


@pytest.mark.parametrize(("name", "cost", "told"), ROWS, ids=[row[0] for row in ROWS])
def test_reported_files(
    name: str,
    cost: float | None,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The published or hand-made answer, or one clean line that says what is wrong."""
    path = Path(shutil.copy(benchmark_data("reported", name), tmp_path))
    solution = benchmark_data("reported", name).with_suffix(".sol")
    if solution.exists():
        shutil.copy(solution, tmp_path)
    row, err = solved(path, tmp_path, capsys)
    if cost is None:
        assert row in (1, 2)
    else:
        assert row["feasible"] and row["cost"] == pytest.approx(cost, rel=1e-6)
    assert bool(err) == bool(told) and re.search(told, err), err
    assert len(err.splitlines()) <= 1


def test_a_cost_alone_is_a_reference() -> None:
    """The XL sets' solutions state a cost and no routes."""
    file = read(benchmark_data("xl", "XLTEST-n1048-k139.vrp"))
    assert file.best_known == 124450
    told: list[str] = []
    env = problem(file.problem, instance=file.instance)
    assert check_best_known(env, file, told.append).best_known == 124450 and not told


def test_gaps_are_against_what_is_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a contradicted best-known solution its routes count, of an overloaded one nothing."""
    for name, reference in (("40b", 69), ("46a", 69), ("46c", None), ("46d", 69)):
        for suffix in (".vrp", ".sol"):
            shutil.copy(benchmark_data("reported", f"{name}-sol{suffix}"), tmp_path)
        row, _ = solved(tmp_path / f"{name}-sol.vrp", tmp_path, capsys)
        assert row["reference"] == reference
        assert row["gap"] == (None if reference is None else 0)


CVRP = """NAME : t
TYPE : {kind}
DIMENSION : 4
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 10
{vehicles}NODE_COORD_SECTION
1 0 0
2 0 7.4
3 0 -7.4
4 7.4 0
DEMAND_SECTION
1 0
2 5
3 5
4 5
{sections}DEPOT_SECTION
1
-1
EOF
"""
ATSP = """TYPE: ATSP
DIMENSION: 3
EDGE_WEIGHT_TYPE: EXPLICIT
EDGE_WEIGHT_FORMAT: FULL_MATRIX
EDGE_WEIGHT_SECTION
"""


def instance(tmp_path: Path, text: str, name: str = "t.vrp") -> FileInstance:
    """What a text is read as."""
    path = tmp_path / name
    path.write_text(text)
    return read(path)


def cvrp(kind: str = "CVRP", sections: str = "", vehicles: str = "") -> str:
    """A file of a type."""
    return CVRP.format(kind=kind, sections=sections, vehicles=vehicles)


def same(a: FileInstance, b: FileInstance) -> bool:
    """Whether two files state the same attributes."""
    return set(a.instance.keys()) == set(b.instance.keys()) and all(
        torch.equal(a.instance[name], b.instance[name]) for name in a.instance.keys()
    )


def test_spellings_of_one_file(tmp_path: Path) -> None:
    """Lower case, no colons, numbers from 0 and names behind coordinates change nothing."""
    plain = instance(tmp_path, cvrp())
    assert same(plain, instance(tmp_path, cvrp().lower()))
    assert same(plain, instance(tmp_path, cvrp().replace(" : ", " ")))
    named = instance(tmp_path, cvrp().replace("4 7.4 0", "4 7.4 0 Bad Ems"))
    assert same(plain, named) and named.labels == ("1", "2", "3", "Bad Ems")
    down = re.sub(r"(?m)^([1-4])(?= |$)", lambda m: str(int(m[1]) - 1), cvrp())
    zero = instance(tmp_path, down)
    assert same(plain, zero)
    assert (plain.numbers, zero.numbers) == (tuple("1234"), tuple("0123"))
    with pytest.raises(InputError, match="node number: '4', expected an integer from 0 to 3"):
        instance(tmp_path, down.replace("3 7.4 0", "4 7.4 0"))


@pytest.mark.parametrize(
    ("kind", "problem", "distance"),
    [
        ("CVRPTW", "vrptw", 7),  # the nearest integer, in LKH and EURO/NeurIPS
        ("VRPTW", "vrptw", 7.4),  # tenths, in DIMACS
        ("OVRPTW", "ovrptw", 7),
        ("ACVRP", "cvrp", 7),
        ("TSPTW", "tsptw", 7),
    ],
)
def test_synonyms_of_types(tmp_path: Path, kind: str, problem: str, distance: float) -> None:
    """A type of another program has its rules and its rounding."""
    windows = "TIME_WINDOW_SECTION\n1 0 90\n2 0 90\n3 0 90\n4 0 90\n" if "TW" in kind else ""
    text = cvrp(kind, windows)
    if kind == "TSPTW":
        text = re.sub(r"CAPACITY : 10\n|DEMAND_SECTION\n(.*\n){4}", "", text)
    file = instance(tmp_path, text)
    assert file.problem == problem
    assert pairwise(file.instance)[0, 0, 1].item() == distance
    assert ("capacity" in file.instance.keys()) == (kind != "TSPTW")


@pytest.mark.parametrize("word", ["inf", "INF", "nan", "99999", "1000000", "2147483647", "1e30"])
def test_missing_arcs_of_matrices(tmp_path: Path, word: str) -> None:
    """Words and numbers that stand for no way are none; a remark makes numbers of them."""
    text = f"{ATSP}99999 5 {word}\n6 99999 3\n7 2 99999\n"
    number = word in ("99999", "1000000", "2147483647", "1e30")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        file = instance(tmp_path, text, "t.atsp")
    assert file.instance["distance"][0].tolist() == [[0, 5, INF], [6, 0, 3], [7, 2, 0]]
    assert len(caught) == number and all("missing arcs" in str(w.message) for w in caught)
    if number and word != "1e30":
        told = f"COMMENT: (missing arcs: none)\n{text}"
        assert instance(tmp_path, told, "t.atsp").instance["distance"][0, 0, 2] == float(word)
    write(tmp_path / "again.atsp", file)
    with pytest.warns(InputWarning, match="missing arcs"):
        assert same(file, read(tmp_path / "again.atsp"))


def test_large_distances_are_no_missing_arcs(tmp_path: Path) -> None:
    """What twice as many other arcs as nodes may exceed is a distance, whatever it looks like."""
    text = f"{ATSP}0 9999 1700\n6 0 3\n7 2 0\n"
    assert instance(tmp_path, text, "t.atsp").instance["distance"].max() == 9999


def cordeau(kind: int, window: str = "") -> str:
    """Two depots at -5 and 5, customers at -6, -4, 4 and 6 on a line; longest routes of 14."""
    nodes = [(1, -6), (2, -4), (3, 4), (4, 6)]
    rows = [f"{k} {x} 0 2 5 1 2 1 2{window}" for k, x in nodes]
    homes = [f"{k} {x} 0 0 0 0 0{window}" for k, x in ((5, -5), (6, 5))]
    return "\n".join([f"{kind} 1 4 2", "14 10", "14 10", *rows, *homes]) + "\n"


def test_cordeau(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each depot serves its two neighbours: 1 + 2 + 1, with 4 of service within 14."""
    path = tmp_path / "p.txt"
    for kind, window in ((2, ""), (6, " 0 100")):
        path.write_text(cordeau(kind, window))
        row, err = solved(path, tmp_path, capsys)
        assert (row["cost"], sorted(map(sorted, row["routes"])), err) == (8, [[1, 2], [3, 4]], "")
    path.write_text(cordeau(1))
    with pytest.raises(InputError, match="line 1: type 1 is not supported: periods"):
        read(path)
    path.write_text(cordeau(2).replace("14 10\n14 10\n", "14 10\n"))
    with pytest.raises(InputError, match=r"p\.txt"):
        read(path)


def test_a_learning_sets_line(tmp_path: Path) -> None:
    """A line is an instance with its tour as the best-known solution, counted from 1."""
    file = instance(tmp_path, "0 0 3 4 3 0 0 4 output 1 3 2 4 1\n", "line.txt")
    assert (file.problem, file.best_known) == ("tsp", 14)


def test_an_unused_speed_of_li_and_lim(tmp_path: Path) -> None:
    """Ten of the published files state a speed of 0, which means nothing: as if it were 1."""
    text = "2 10 {}\n0 0 0 0 0 90 0 0 0\n1 3 4 5 0 90 1 0 2\n2 0 4 -5 0 90 1 1 0\n"
    files = [instance(tmp_path, text.format(speed), "lc.txt") for speed in (0, 1)]
    assert files[0].problem == "pdptw" and same(*files)


@pytest.mark.parametrize(
    ("text", "reference", "told"),
    [
        ("Cost 40\n", 40, ""),  # a reference without routes
        ("Route #1: 1 3\nRoute #2: 2\n", 38, ""),  # 7 + 10 + 7 and twice 7, rounded
        ("Route #1: 1 3\nRoute #2: 2\nCost 38\n", 38, ""),
        ("Route #1: 1 3\nRoute #2: 2\nCost 30\n", 38, "states 30, its routes cost 38"),
        ("Route #1: 1 3\nRoute #2: 2\nCost 38.4\n", 38, r"states 38\.4, its routes cost 38"),
        ("Route #1: 1 2 3\nCost 30\n", None, "breaks a rule, capacity: load 15, capacity 10"),
        ("Route #1: 1 3\nCost 24\n", None, "breaks a rule, not visited"),
        ("Route #1: 1 9\nCost 24\n", None, "passed over: .*customer 9"),
    ],
)
def test_best_known_solutions_are_evidence(
    tmp_path: Path, text: str, reference: float | None, told: str
) -> None:
    """Routes are checked and measured; what they contradict is told and not used."""
    (tmp_path / "t.sol").write_text(text)
    file = instance(tmp_path, cvrp())
    warned: list[str] = []
    env = problem(file.problem, instance=file.instance)
    assert check_best_known(env, file, warned.append).best_known == reference
    assert len(warned) == bool(told) and re.search(told, "".join(warned)), warned


@pytest.mark.parametrize("folder", ["cvrplib_small", "cvrplib_x", "hfvrp", "li_lim", "mtvrptwr"])
def test_published_solutions_are_believed(folder: str) -> None:
    """Nothing that was published contradicts its instance."""
    files = [path for path in sorted(benchmark_data(folder).iterdir()) if path.suffix != ".sol"]
    for path in [path for path in files if path.suffix in (".vrp", ".txt")][:6]:
        file = read(path)
        warned: list[str] = []
        env = problem(file.problem, instance=file.instance)
        assert check_best_known(env, file, warned.append).best_known == file.best_known
        assert not warned, warned


DURATIONS = [[0, 4, 9, 5], [3, 0, 2, 7], [8, 1, 0, 2], [6, 7, 3, 0]]


def vroom(
    vehicles: list[dict[str, Any]], jobs: list[dict[str, Any]], **more: object
) -> dict[str, Any]:
    """A request over four places."""
    vehicles = [{"id": k, **vehicle} for k, vehicle in enumerate(vehicles)]
    jobs = [{"id": k, **job} for k, job in enumerate(jobs)]
    matrices = {"car": {"durations": DURATIONS}}
    return {"vehicles": vehicles, "jobs": jobs, "matrices": matrices, **more}


def best_of(request: dict[str, Any], tmp_path: Path) -> tuple[float, list[list[int]]]:
    """Cost and routes that every classical solver finds."""
    path = tmp_path / "t.json"
    path.write_text(json.dumps(request))
    file = read(path)
    env = problem(file.problem, instance=file.instance)
    found = [
        solver.solve(env, file.instance, 0.3, 1)
        for solver in (find_solver("pyvrp").build(), find_solver("ortools").build())
    ]
    assert all(solution.feasible for solution in found)
    assert found[0].cost == pytest.approx(found[1].cost)
    return found[0].cost, numbered(env, file, found[0].vehicle_routes)


@pytest.mark.parametrize("start", [0, 1, None])
@pytest.mark.parametrize("end", [0, 2, None])
def test_vehicles_end_anywhere(tmp_path: Path, start: int | None, end: int | None) -> None:
    """A route from one place to another, or without a start or an end, as brute force finds it."""
    ends = {"start_index": start, "end_index": end}
    jobs = [{"location_index": k} for k in (3, 1, 2)]
    request = vroom([ends], jobs)
    if start is None and end is None:
        with pytest.raises(InputError, match="neither start_index nor end_index"):
            best_of(request, tmp_path)
        return

    def length(order: tuple[int, ...]) -> int:
        stops = [*([] if start is None else [start]), *order, *([] if end is None else [end])]
        return sum(DURATIONS[a][b] for a, b in itertools.pairwise(stops))

    least = min(map(length, itertools.permutations((1, 2, 3))))
    assert best_of(request, tmp_path)[0] == least


def test_vehicles_of_different_ends(tmp_path: Path) -> None:
    """Vehicles that end where they like beside such that return: the cheapest assignment."""
    kinds = [
        {"start_index": 0, "end_index": 3},
        {"start_index": 0},
        {"start_index": 0, "end_index": 0},
    ]
    vehicles = [{**kind, "capacity": [1]} for kind in kinds]
    jobs = [{"location_index": k, "delivery": [1]} for k in (1, 2, 3)]
    ends = [3, None, 0]
    least = min(
        sum(
            DURATIONS[0][place] + (0 if end is None else DURATIONS[place][end])
            for place, end in zip(order, ends, strict=True)
        )
        for order in itertools.permutations((1, 2, 3))
    )
    assert best_of(vroom(vehicles, jobs), tmp_path)[0] == least


def test_priorities_of_jobs(tmp_path: Path) -> None:
    """Of what cannot all be served the largest sum of priorities is, then most jobs."""
    loads, priorities = (2, 2, 3), (5, 6, 10)  # of 4: the two small ones, 11, before the large one
    jobs = [
        {"location_index": k + 1, "delivery": [load], "priority": priority}
        for k, (load, priority) in enumerate(zip(loads, priorities, strict=True))
    ]
    vehicle = {"start_index": 0, "end_index": 0, "capacity": [4]}
    assert [sorted(route) for route in best_of(vroom([vehicle], jobs), tmp_path)[1]] == [[1, 2]]
    jobs[0]["priority"] = 3  # 9 against 10
    assert best_of(vroom([vehicle], jobs), tmp_path)[1] == [[3]]
    del jobs[0]["priority"], jobs[1]["priority"]
    jobs[2]["priority"] = 0
    jobs[0]["priority"] = 1  # with another of priority 0: two jobs rather than one
    assert [sorted(route) for route in best_of(vroom([vehicle], jobs), tmp_path)[1]] == [[1, 2]]
    roomy = {**vehicle, "capacity": [7]}
    assert best_of(vroom([roomy], jobs), tmp_path)[0] == 5 + 3 + 1 + 3


def test_keys_that_state_nothing(tmp_path: Path) -> None:
    """Neutral values, null and options change nothing; others of the same keys are refused."""
    vehicle, job = {"start_index": 0, "end_index": 0}, {"location_index": 1}
    plain = instance(tmp_path, json.dumps(vroom([vehicle], [job])), "t.json")
    idle = vroom(
        [{**vehicle, "breaks": [], "steps": [], "skills": None, "costs": {"per_km": 0}}],
        [{**job, "setup": 0, "priority": 0, "time_windows": None, "service_per_type": {}}],
        options={"g": True},
    )
    assert same(plain, instance(tmp_path, json.dumps(idle), "t.json"))
    for key, value in (("setup", 3), ("breaks", [{}])):
        with pytest.raises(InputError, match=f"jobs.0.: '{key}' is not supported"):
            instance(tmp_path, json.dumps(vroom([vehicle], [{**job, key: value}])), "t.json")


def test_several_windows_of_a_job(tmp_path: Path) -> None:
    """Windows that touch are one, windows outside every shift are none; a choice is refused."""
    vehicle = {"start_index": 0, "end_index": 0, "time_window": [10, 30]}

    def windows(*stated: list[int]) -> list[float]:
        request = vroom([vehicle], [{"location_index": 1, "time_windows": list(stated)}])
        file = instance(tmp_path, json.dumps(request), "t.json")
        return file.instance["time_windows"][0, 1].tolist()

    assert windows([20, 25], [12, 20]) == [12, 25]
    assert windows([0, 5], [12, 20], [40, 50]) == [12, 20]
    with pytest.raises(InputError, match="2 windows that vehicles can meet, expected one"):
        windows([12, 14], [20, 22])


def test_null_is_a_missing_arc(tmp_path: Path) -> None:
    """What a router cannot reach is infinitely far in OSRM's tables and VROOM's matrices."""
    rows: list[list[float | None]] = [list(row) for row in DURATIONS]
    rows[0][2] = None
    osrm = instance(tmp_path, json.dumps({"code": "Ok", "durations": rows}), "t.json")
    assert osrm.instance["distance"][0, 0].tolist() == [0, 4, INF, 5]
    vehicle = {"start_index": 0, "end_index": 0}
    request = vroom([vehicle], [{"location_index": k} for k in (1, 2, 3)])
    request["matrices"]["car"]["durations"] = rows
    assert best_of(request, tmp_path)[0] == 5 + 3 + 1 + 3  # 0 3 2 1 0


TABLE = """# capacity: 10
name,x,y,demand,ready,due,service
Hub,0,0,,0,100,
A,3,4,5,10,20,5
B,0,5,6,,,2
"""


def spelled(
    text: str, tmp_path: Path, name: str = "t.csv", encoding: str = "utf-8"
) -> FileInstance:
    """What a table in some encoding is read as."""
    (tmp_path / name).write_text(text, encoding=encoding)
    return read(tmp_path / name)


def test_spellings_of_one_table(tmp_path: Path) -> None:
    """Separators, encodings, decimal commas, synonyms and cases of titles change nothing."""
    plain = spelled(TABLE, tmp_path)
    assert plain.problem == "vrptw" and plain.labels == ("Hub", "A", "B")
    assert plain.instance["time_windows"][0].tolist() == [[0, 100], [10, 20], [0, INF]]
    assert plain.instance["service_time"][0].tolist() == [0, 5, 2]
    for other in (
        TABLE.replace(",", ";"),
        TABLE.replace(",", ";").replace("3;4;5", "3,0;4,000;5"),
        TABLE.replace(",", "\t"),
        TABLE.replace(",", "|").replace("# capacity: 10", "# Capacity : 10"),
        TABLE.replace("name,x,y,demand", "Customer,X_Coord,YCOORD.,Qty").replace(
            "ready,due,service", "Ready Time,DUE DATE,Service time (min)"
        ),
        TABLE.replace("name,x,y,demand,ready,due", "Stop,x,y,Load,TW Start,tw_end"),
    ):
        assert same(plain, spelled(other, tmp_path)), other
    for encoding in ("utf-8-sig", "utf-16", "latin-1"):
        accented = spelled(TABLE.replace("Hub", "Genève"), tmp_path, encoding=encoding)
        assert same(plain, accented) and accented.labels == ("Genève", "A", "B")
    assert same(plain, spelled(TABLE.replace(",", "\t"), tmp_path, "t.tsv"))


def test_times_of_day(tmp_path: Path) -> None:
    """08:30 is 510 minutes after midnight; without a speed the unit of distance is told."""
    text = TABLE.replace("10,20,5", "08:30,09:15:30,5").replace("0,100", "00:00,24:00")
    with pytest.warns(InputWarning, match="times of day are minutes"):
        file = spelled(text, tmp_path)
    assert file.instance["time_windows"][0].tolist() == [[0, 1440], [510, 555.5], [0, INF]]
    driven = spelled(f"# speed: 0.5\n# shift: 08:00-17:00\n{text}", tmp_path)
    assert driven.instance["speed"].tolist() == [[0.5]]
    assert driven.instance["time_windows"][0, 0].tolist() == [480, 1020]
    with pytest.raises(InputError, match=r"line 4: .*'25:00', expected a time of day"):
        spelled(text.replace("08:30", "25:00"), tmp_path)


def test_fleets_of_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table of vehicles beside the nodes, with costs, shifts and counts, and back again."""
    nodes = "name,x,y,demand\nHub,0,0,0\nA,3,4,5\nB,0,5,6\n"
    (tmp_path / "vehicles.csv").write_text(
        "name,capacity,count,fixed cost,shift start,shift end\nvan,6,2,1,0,50\ntruck,12,1,20,,\n"
    )
    file = spelled(nodes, tmp_path)
    assert file.instance["capacity"].tolist() == [[6, 12]]
    assert file.instance["vehicle_count"].tolist() == [[2, 1]]
    assert file.instance["fixed_cost"].tolist() == [[1, 20]]
    assert file.instance["time_windows"][0, :2].tolist() == [[0, 50], [0, INF]]
    assert (file.vehicle_names, file.vehicles) == (("van", "truck"), (0, 0, 1))
    row, err = solved(tmp_path / "t.csv", tmp_path, capsys)
    assert (row["cost"], err) == (22, "")  # two vans, 10 + 1 each, before a truck of over 33
    write(tmp_path / "again.csv", file)
    assert (tmp_path / "again.vehicles.csv").is_file()
    assert same(file, read(tmp_path / "again.csv"))
    with pytest.raises(InputError, match=r"capacity beside .*vehicles.csv, expected one of them"):
        spelled(f"# capacity: 5\n{nodes}", tmp_path)
    (tmp_path / "vehicles.csv").write_text("name,capacity,colour\nvan,6,red\n")
    with pytest.raises(InputError, match="column 'colour', expected one of name, capacity"):
        spelled(nodes, tmp_path)


def test_columns_are_written_back(tmp_path: Path) -> None:
    """What states no rule is told, kept and written again; so is all that is read."""
    text = (
        TABLE.replace("service\n", "service,phone\n")
        .replace("100,", "100,0,1")
        .replace("20,5", "20,5,2")
        .replace(",,2", ",,2,3")
    )
    with pytest.warns(InputWarning, match="columns phone are kept and state no rule"):
        file = spelled(text, tmp_path)
    assert file.columns == {"phone": ("1", "2", "3")}
    write(tmp_path / "again.csv", file)
    with pytest.warns(InputWarning):
        again = read(tmp_path / "again.csv")
    assert same(file, again) and again.columns == file.columns and again.labels == file.labels


@pytest.mark.parametrize(
    "text",
    [
        ",P,Q,R\nP,0,5,\nQ,6,0,3\nR,7,2,0\n",
        "from/to;P;Q;R\nP;0;5,0;inf\nQ;6;0;3\nR;7;2;0\n",
        "P,Q,R\n0,5,NaN\n6,0,3\n7,2,0\n",
        "P,0,5,99999\nQ,6,0,3\nR,7,2,0\n",
    ],
)
@pytest.mark.filterwarnings("ignore::nco.data.errors.InputWarning")
def test_labelled_matrices(tmp_path: Path, text: str) -> None:
    """Names in the first row, the first column or both; empty cells and inf are no way."""
    file = spelled(text, tmp_path)
    assert file.labels == ("P", "Q", "R") and file.problem == "tsp"
    assert file.instance["distance"][0].tolist() == [[0, 5, INF], [6, 0, 3], [7, 2, 0]]
    write(tmp_path / "again.csv", file)
    again = read(tmp_path / "again.csv")
    assert same(file, again) and again.labels == file.labels


def test_swapped_coordinates(tmp_path: Path) -> None:
    """A latitude beyond a pole is told, with what may have happened."""
    with pytest.raises(InputError, match=r"lat: '120.5', .* are latitude and longitude swapped"):
        spelled("lat,lon\n120.5,31\n121,32\n", tmp_path)


def test_workbooks(tmp_path: Path) -> None:
    """A workbook is read as its sheets would be in CSV, times of day and a fleet included."""
    pytest.importorskip("openpyxl")
    pandas = pytest.importorskip("pandas")
    plain = spelled(TABLE, tmp_path)
    head, *rows = [line.split(",") for line in TABLE.splitlines()[1:]]
    cells = [[row[0], *(float(cell) if cell else None for cell in row[1:])] for row in rows]
    nodes = pandas.DataFrame(cells, columns=head)
    fleet = pandas.DataFrame({"name": ["van"], "capacity": [10], "count": [99]})
    with pandas.ExcelWriter(tmp_path / "t.xlsx") as book:
        nodes.to_excel(book, sheet_name="stops", index=False)
        fleet.to_excel(book, sheet_name="vehicles", index=False)
    assert same(plain, read(tmp_path / "t.xlsx"))
    (tmp_path / "broken.xlsx").write_bytes(b"PK no zip")
    with pytest.raises(InputError, match="no Excel workbook"):
        read(tmp_path / "broken.xlsx")


def test_a_unit_square_is_hardly_rounded(tmp_path: Path) -> None:
    """Whole distances of a unit square are 0 or 1, which is told; --rounding none tells nothing."""
    path = tmp_path / "u.vrp"
    path.write_text(cvrp().replace("7.4", "0.74"))
    with pytest.warns(InputWarning, match="EUC_2D rounds distances to whole numbers"):
        read(path)
    read(path, "none")


def test_messages_count_nodes_as_the_file_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second node of a file that counts from 1 is node 2 in a message, with its name if any."""
    for text, told in (
        (cvrp().replace("2 5\n3 5", "2 50\n3 5"), "demand 50 of node 2,"),
        (TABLE.replace("3,4,5,", "3,4,50,"), r"demand 50 of node 1 \(A\),"),
    ):
        path = tmp_path / ("t.vrp" if text.startswith("NAME") else "t.csv")
        path.write_text(text)
        code, err = solved(path, tmp_path, capsys)
        assert code == 2 and re.search(told, err) and len(err.splitlines()) == 1, err


def test_standard_input_and_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of any format comes from standard input; options state what a table does not."""
    words = ["solve", "-", "--time-limit", "0.3", "--json", "--out", str(tmp_path)]
    bare = TABLE.replace("# capacity: 10\n", "").replace(",ready,due,service", "")
    bare = re.sub(r"(?m)^(\w+,\w+,\w+,\w*),.*,.*,.*$", r"\1", bare)
    for text, more in ((bare, ["--capacity", "20", "--vehicles", "1"]), (cvrp(), [])):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert main([*words, *more]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert row["instance"] == "stdin" and row["cost"] > 0
        assert (tmp_path / "stdin.sol").is_file()
        if more:
            assert row["cost"] == pytest.approx(5 + 10**0.5 + 5) and len(row["routes"]) == 1
            assert sorted(row["names"][0]) == ["A", "B"]
    path = tmp_path / "t.vrp"
    path.write_text(cvrp())
    assert main(["solve", str(path), "--capacity", "7", "--out", str(tmp_path)]) == 2
    assert "--capacity are for tables" in capsys.readouterr().err


def test_a_plan_to_begin_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is found is never worse than the start; a start that breaks a rule is refused."""
    path, start = tmp_path / "t.vrp", tmp_path / "plan.sol"
    path.write_text(cvrp())
    words = ["solve", str(path), "--time-limit", "0.3", "--json", "--out", str(tmp_path / "o")]
    start.write_text("Route #1: 1 3\nRoute #2: 2\n")
    assert main([*words, "--start", str(start)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["cost"] <= 38
    start.write_text("Route #1: 1 2 3\n")
    assert main([*words, "--start", str(start)]) == 2
    assert "plan.sol: no start, capacity: load 15" in capsys.readouterr().err


def test_vroom_answers_vroom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A request is answered with its own identifiers, times and what is left out."""
    jobs = [
        {"location_index": 1, "delivery": [3], "priority": 5, "service": 2},
        {"location_index": 2, "delivery": [3], "priority": 1, "description": "late"},
    ]
    vehicle = {"start_index": 0, "end_index": 3, "capacity": [4], "description": "van"}
    path = tmp_path / "t.json"
    path.write_text(json.dumps(vroom([vehicle], jobs)))
    row, err = solved(path, tmp_path, capsys)
    assert (row["routes"], err) == ([[1]], "")
    answer = json.loads((tmp_path / "o" / "t.solution.json").read_text())
    assert answer["unassigned"] == [
        {"id": 1, "type": "job", "description": "late", "location_index": 2}
    ]
    (route,) = answer["routes"]
    assert (route["vehicle"], route["description"], route["cost"]) == (0, "van", 11)
    steps = [(step["type"], step.get("id"), step["arrival"]) for step in route["steps"]]
    assert steps == [("start", None, 0), ("job", 0, 4), ("end", None, 13)]  # 4, 2 of service, 7
    assert answer["summary"]["unassigned"] == 1 and answer["summary"]["duration"] == 11


def test_stops_with_what_the_table_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table of stops has times, loads, names and the columns that state no rule."""
    path = tmp_path / "t.csv"
    text = TABLE.replace("service\n", "service,phone\n").replace("100,", "100,0,11")
    path.write_text(text.replace("20,5", "20,5,12").replace(",,2", ",,2,13"))
    words = ["--format", "csv", "--time-limit", "0.3", "--out", str(tmp_path)]
    assert main(["solve", str(path), *words]) == 0
    rows = list(csv.DictReader((tmp_path / "t.stops.csv").read_text().splitlines()))
    assert {row["name"]: row["phone"] for row in rows} == {"Hub": "11", "A": "12", "B": "13"}
    arrival = {row["name"]: float(row["start"]) for row in rows if row["name"] != "Hub"}
    assert 10 <= arrival["A"] <= 20
    capsys.readouterr()


@pytest.mark.parametrize(
    ("name", "text", "targets"),
    [
        ("a.vrp", cvrp(), ("b.csv", "b.json", "b.vroom.json", "b.vrp")),
        ("a.csv", TABLE.replace("6,,,2", "6,0,90,2"), ("b.vrp", "b.json", "b.csv")),
        ("a.json", json.dumps(vroom([{"start_index": 0, "end_index": 0}], [{"location_index": 1}])),
         ("b.vrp", "b.json", "b.vroom.json")),
        ("a.atsp", f"{ATSP}0 5 inf\n6 0 3\n7 2 0\n", ("b.csv", "b.json", "b.atsp")),
    ],
)  # fmt: skip
def test_conversions(
    tmp_path: Path,
    name: str,
    text: str,
    targets: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a format holds is read from it as the same distances, loads and times."""
    (tmp_path / name).write_text(text)
    one = read(tmp_path / name)
    for target in targets:
        assert main(["convert", str(tmp_path / name), str(tmp_path / target)]) == 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            other = read(tmp_path / target)
        assert torch.equal(pairwise(one.instance), pairwise(other.instance))
        for key in ("demand", "capacity", "time_windows", "service_time"):
            if key in one.instance.keys():
                assert torch.equal(one.instance[key].double(), other.instance[key].double()), key
    capsys.readouterr()


def test_a_conversion_names_what_would_be_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rules without a place are an error and leave no file; lost names are a warning."""
    path = tmp_path / "a.txt"
    path.write_text("2 10 1\n0 0 0 0 0 90 0 0 0\n1 3 4 5 0 90 1 0 2\n2 0 4 -5 0 90 1 1 0\n")
    assert main(["convert", str(path), str(tmp_path / "b.csv")]) == 2
    assert "a table has no place for delivery, shipment" in capsys.readouterr().err
    assert not (tmp_path / "b.csv").exists()
    (tmp_path / "t.csv").write_text(TABLE.replace("6,,,2", "6,0,90,2"))
    assert main(["convert", str(tmp_path / "t.csv"), str(tmp_path / "t.vrp")]) == 0
    assert "warning: " in (err := capsys.readouterr().err) and "names of nodes are lost" in err
