"""File formats: what is read is what the file says, and what is written is read back."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import vrplib
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensordict import TensorDict

from nco.data import make_instance
from nco.data.errors import InputError, InputWarning
from nco.data.formats import (
    FileInstance,
    read,
    read_solution,
    read_tour,
    write,
    write_solution,
    write_tour,
)
from nco.data.formats.rounding import METRICS, euclidean_metric
from nco.data.metric import Metric, pairwise
from tests.benchmark_data import benchmark_data

VRP = """NAME : tiny
TYPE : CVRP
COMMENT : three customers
DIMENSION : 4
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 10
NODE_COORD_SECTION
1 0 0
2 3 4
3 -1.5 2.0
4 1e1 .5
DEMAND_SECTION
1 3
2 7
3 0
4 10.0
DEPOT_SECTION
3
-1
EOF
"""
TSP = """NAME: {name}
TYPE: TSP
DIMENSION: 4
EDGE_WEIGHT_TYPE: EXPLICIT
EDGE_WEIGHT_FORMAT: {layout}
EDGE_WEIGHT_SECTION
{numbers}
EOF
"""


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def equal(a: TensorDict, b: TensorDict) -> bool:
    """The same attributes, kinds and values, bit by bit."""
    return set(a.keys()) == set(b.keys()) and all(
        a[name].dtype == b[name].dtype and torch.equal(a[name], b[name]) for name in a.keys()
    )


def test_depot_comes_first_and_the_rest_stays_in_order(tmp_path: Path) -> None:
    """The depot is node 3 of the file and node 0 here; customer k is the k-th other node."""
    file = read(put(tmp_path, "tiny.vrp", VRP))
    assert (file.name, file.problem, file.labels) == ("tiny", "cvrp", None)
    assert file.best_known is None and file.best_known_source is None
    instance = file.instance
    assert instance.batch_size == torch.Size([1]) and instance["locs"].dtype == torch.float64
    assert instance["locs"][0].tolist() == [[-1.5, 2], [0, 0], [3, 4], [10, 0.5]]
    assert instance["demand"].tolist() == [[0, 3, 7, 10]] and instance["capacity"].tolist() == [10]
    assert instance["metric"].tolist() == [Metric.EUC_2D]
    assert pairwise(instance)[0, 1, 2] == 5 and pairwise(instance)[0, 0, 1] == 3  # 2.5 rounds up


def test_explicit_distances_move_with_the_depot(tmp_path: Path) -> None:
    """Reordering moves rows and columns of a matrix alike."""
    head, _, tail = VRP.partition("NODE_COORD_SECTION")
    head = head.replace("EUC_2D", "EXPLICIT\nEDGE_WEIGHT_FORMAT : FULL_MATRIX")
    matrix = "EDGE_WEIGHT_SECTION\n0 1 2 3\n4 0 5 6\n7 8 0 9\n10 11 12 0\n"
    demands = tail[tail.index("DEMAND_SECTION") :]
    file = read(put(tmp_path, "tiny.vrp", head + matrix + demands))
    order = [2, 0, 1, 3]
    given_matrix = torch.tensor([[0, 1, 2, 3], [4, 0, 5, 6], [7, 8, 0, 9], [10, 11, 12, 0]])
    assert torch.equal(file.instance["distance"][0], given_matrix.double()[order][:, order])


UPPER = [[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]]


@pytest.mark.parametrize(
    ("layout", "numbers"),
    [
        ("FULL_MATRIX", "99 1 2 3  1 99 4 5  2 4 99 6  3 5 6 99"),  # its diagonal means nothing
        ("UPPER_ROW", "1 2 3\n4 5\n6"),
        ("LOWER_ROW", "1\n2 4\n3 5 6"),
        ("UPPER_DIAG_ROW", "0 1 2 3 0 4\n5 0 6 0"),  # any line breaks
        ("LOWER_DIAG_ROW", "0\n1 0\n2 4 0\n3 5 6 0"),
        ("UPPER_COL", "1\n2 4\n3 5 6"),
        ("LOWER_COL", "1 2 3\n4 5\n6"),
        ("UPPER_DIAG_COL", "0\n1 0\n2 4 0\n3 5 6 0"),
        ("LOWER_DIAG_COL", "0 1 2 3 0 4 5 0 6 0"),
    ],
)
def test_explicit_layouts(tmp_path: Path, layout: str, numbers: str) -> None:
    """Each layout of TSPLIB 95 spells the same matrix."""
    text = TSP.format(name="m", layout=layout, numbers=numbers)
    file = read(put(tmp_path, "m.tsp", text))
    assert file.problem == "tsp" and file.instance["distance"][0].tolist() == UPPER


@pytest.mark.parametrize(
    ("name", "comment", "rounding", "metric"),
    [
        ("X-n101-k25", "", "auto", Metric.EUC_2D),
        ("E-n22-k4", "", "auto", Metric.EUC_2D),
        ("CMT1", "", "auto", Metric.EUCLIDEAN),
        ("Golden_12", "", "auto", Metric.EUCLIDEAN),
        ("Li_32", "", "auto", Metric.EUCLIDEAN),
        ("Tai100b", "", "auto", Metric.EUCLIDEAN),
        ("tai385", "", "auto", Metric.EUCLIDEAN),
        ("Taipei", "", "auto", Metric.EUC_2D),
        ("CMT1", "", "nearest", Metric.EUC_2D),
        ("CMT1", "ours (rounding: milli)", "auto", Metric.MILLI),
        ("X-n101-k25", "ours (rounding: none)", "decimal", Metric.DECIMAL),
        ("X-n101-k25", "", "up", Metric.CEIL_2D),
    ],
)
def test_roundings(name: str, comment: str, rounding: str, metric: Metric) -> None:
    """An option goes before the file's remark, the remark before the convention of its set."""
    assert euclidean_metric(name, comment, rounding) == metric  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tiny.sol": "Route #1: 1 2\nRoute #2: 3\nCost 31.5\n"}, (31.5, "tiny.sol")),
        ({"tiny.sol": "Route #1: 1 2 3\n"}, None),
        ({"tiny.opt.tour": "DIMENSION: 4\nTOUR_SECTION\n1 2 4 3 -1\n"}, (23, "tiny.opt.tour")),
        ({"solutions": "tin : 1\ntiny : 77\ntiny2 : 3\n"}, (77, "solutions")),
        ({"solutions/tiny.sol": "Route #1: 1 2 3\ncost: 9\n"}, (9, "solutions/tiny.sol")),
        ({"tiny.sol": "Route #1: 1\nCost 5\n", "solutions": "tiny : 4"}, (5, "tiny.sol")),
    ],
)
def test_best_known_solutions(
    tmp_path: Path, files: dict[str, str], expected: tuple[float, str] | None
) -> None:
    """The cost beside the file, from the first source that states one."""
    path = put(tmp_path, "tiny.vrp", VRP)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        put(tmp_path, name, text)
    file = read(path)
    if expected is None:
        assert file.best_known is None
    else:
        # The tour 1 2 4 3, by file numbers of a TSP, is 0 1 3 2 here:
        # depot (-1.5, 2) - (0, 0) - (10, .5) - (3, 4) - depot: 3 + 10 + 8 + 5 = 26 rounded.
        value, source = expected
        assert file.best_known == (26 if source == "tiny.opt.tour" else value)
        assert file.best_known_source == str(tmp_path / source)


def test_an_unreadable_solution_is_passed_over(tmp_path: Path) -> None:
    """A broken ``.sol`` beside the file is a warning, and the next source is asked."""
    path = put(tmp_path, "tiny.vrp", VRP)
    put(tmp_path, "tiny.sol", "Route #1: one\n")
    put(tmp_path, "solutions", "tiny : 44")
    with pytest.warns(InputWarning, match=r"tiny\.sol, line 1: customer: 'one', expected"):
        file = read(path)
    assert file.best_known == 44


def test_tables_of_nodes(tmp_path: Path) -> None:
    """Columns in any order, comments and blank lines; the first node is the depot."""
    text = '# a comment\n# capacity: 12\n\ndemand, Name ,y,x\n,depot,2,1\n5,"a, b",4,3\n7,c,6,5\n'
    file = read(put(tmp_path, "t.csv", text))
    assert file.problem == "cvrp" and file.labels == ("depot", "a, b", "c")
    assert file.instance["locs"].tolist() == [[[1, 2], [3, 4], [5, 6]]]
    assert file.instance["demand"].tolist() == [[0, 5, 7]]
    assert file.instance["capacity"].tolist() == [12] and "metric" not in file.instance.keys()
    assert file.instance["locs"].dtype == torch.float64


def test_tables_without_demands_are_tours(tmp_path: Path) -> None:
    """No demand column makes a TSP; the metric may be stated, or given as rounding."""
    path = put(tmp_path, "t.csv", "# metric: CEIL_2D\nx,y\n0,0\n1,1\n")
    file = read(path)
    assert file.problem == "tsp" and file.labels is None
    assert pairwise(file.instance)[0, 0, 1] == 2
    unrounded = pairwise(read(path, rounding="none").instance)[0, 0, 1].item()
    assert unrounded == pytest.approx(math.sqrt(2))


def test_latitudes_and_longitudes(tmp_path: Path) -> None:
    """
    Great-circle kilometres: Berlin - Paris, 877 to 879 km by any spherical calculator.

    A quarter of the equator is pi/2 times the mean radius of 6371.0088 km.
    """
    path = put(tmp_path, "t.csv", "name,lat,lon\nB,52.52,13.405\nP,48.8566,2.3522\n")
    assert 877 < pairwise(read(path).instance)[0, 0, 1] < 879
    equator = read(put(tmp_path, "e.csv", "lat,lon\n0,0\n0,90\n"))
    assert pairwise(equator.instance)[0, 0, 1].item() == pytest.approx(math.pi / 2 * 6371.0088)


def test_matrices_in_csv(tmp_path: Path) -> None:
    """A square of numbers is a TSP, its rows where a leg begins."""
    file = read(put(tmp_path, "m.csv", "# minutes\n0,1,2.5\n3,0,1e1\n4,5,9\n"))
    assert file.problem == "tsp"
    assert file.instance["distance"].tolist() == [[[0, 1, 2.5], [3, 0, 10], [4, 5, 0]]]


def test_other_suffixes_are_recognised_by_content(tmp_path: Path) -> None:
    """A CVRPLIB file of any name is read; a text that is none is not."""
    assert read(put(tmp_path, "tiny.txt", VRP)).problem == "cvrp"
    with pytest.raises(InputError, match="unknown format, expected one of"):
        read(put(tmp_path, "other.txt", "some words\n"))


numbers = st.one_of(
    st.integers(-(10**6), 10**6).map(float),
    st.floats(-1e9, 1e9, allow_nan=False, allow_infinity=False),
)


@st.composite
def instances(draw: st.DrawFn) -> FileInstance:
    """Files of either problem, with coordinates or a matrix, any metric, perhaps labels."""
    n = draw(st.integers(2, 6))
    fields = {}
    explicit = draw(st.booleans())
    if explicit:
        rows = [[abs(draw(numbers)) for _ in range(n)] for _ in range(n)]
        upper = torch.tensor(rows, dtype=torch.float64).triu(1)
        fields["distance"] = (upper + upper.T).unsqueeze(0)
    if not explicit or draw(st.booleans()):
        locs = [[draw(numbers), draw(numbers)] for _ in range(n)]
        fields["locs"] = torch.tensor([locs], dtype=torch.float64)
    metric = draw(st.sampled_from([m for m in Metric if m != Metric.GREAT_CIRCLE]))
    if not explicit and metric != Metric.EUCLIDEAN:
        fields["metric"] = torch.tensor([int(metric)])
    problem = draw(st.sampled_from(["tsp", "cvrp"]))
    if problem == "cvrp":
        demand = [0, *(draw(st.integers(0, 2**31 - 1)) for _ in range(n - 1))]
        fields["demand"] = torch.tensor([demand])
        fields["capacity"] = torch.tensor([draw(st.integers(max(1, *demand), 2**31 - 1))])
    label = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=9)
    labels = draw(st.none() | st.lists(label.map(str.strip), min_size=n, max_size=n).map(tuple))
    best = draw(st.none() | st.floats(0, 1e9))
    return FileInstance("case", problem, make_instance(**fields), Path("case"), labels, best)


@pytest.mark.filterwarnings("ignore:.* rounds distances to whole numbers")
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(file=instances())
def test_round_trips(tmp_path: Path, file: FileInstance) -> None:
    """Writing and reading gives the same instance bit by bit, in every format that can hold it."""
    write(tmp_path / "case.json", file)
    again = read(tmp_path / "case.json")
    assert equal(again.instance, file.instance) and again.problem == file.problem
    assert again.labels == file.labels and again.best_known == file.best_known
    write(tmp_path / "case.vrp", file)
    again = read(tmp_path / "case.vrp")
    assert equal(again.instance, file.instance) and again.problem == file.problem
    if "distance" not in file.instance.keys():
        write(tmp_path / "case.csv", file)
        again = read(tmp_path / "case.csv")
        assert equal(again.instance, file.instance) and again.problem == file.problem
        assert again.labels == file.labels


def test_great_circles_in_every_format_that_has_them(tmp_path: Path) -> None:
    """JSON and CSV keep latitude and longitude; TSPLIB has no name for them and says so."""
    locs = torch.tensor([[[52.52, 13.405], [48.8566, 2.3522]]], dtype=torch.float64)
    fields = {"locs": locs, "metric": torch.tensor([int(Metric.GREAT_CIRCLE)])}
    file = FileInstance("g", "tsp", make_instance(**fields), Path("g"))
    for name in ("g.csv", "g.json"):
        write(tmp_path / name, file)
        assert equal(read(tmp_path / name).instance, file.instance)
    with pytest.raises(InputError, match="GREAT_CIRCLE"):
        write(tmp_path / "g.vrp", file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g.csv", "g.json"]


@pytest.mark.parametrize("rounding", METRICS)
def test_written_roundings_are_read_by_others(tmp_path: Path, rounding: str) -> None:
    """vrplib reads what is written for a rounding without a name of its own."""
    file = read(put(tmp_path, "tiny.vrp", VRP), rounding=rounding)  # type: ignore[arg-type]
    write(tmp_path / "again.vrp", file)
    content = vrplib.read_instance(tmp_path / "again.vrp")
    assert content["node_coord"].tolist() == file.instance["locs"][0].tolist()
    assert content["demand"].tolist() == file.instance["demand"][0].tolist()
    assert content["capacity"] == 10 and content["depot"].tolist() == [0]
    assert equal(read(tmp_path / "again.vrp").instance, file.instance)


def test_vrplib_reads_the_same_numbers() -> None:
    """Coordinates, demands and capacities of the X set are those that vrplib finds."""
    for path in sorted(benchmark_data("cvrplib_x").glob("*.vrp"))[::4]:
        content = vrplib.read_instance(path, compute_edge_weights=False)
        instance = read(path).instance
        assert instance["locs"][0].tolist() == content["node_coord"].tolist()
        assert instance["demand"][0].tolist() == content["demand"].tolist()
        assert instance["capacity"].tolist() == [content["capacity"]]


def test_solutions(tmp_path: Path) -> None:
    """Routes and cost come back; whole costs are written whole, others to the last bit."""
    path = tmp_path / "s.sol"
    for cost, text in ((784.0, "784"), (0.1 + 0.2, "0.30000000000000004")):
        write_solution(path, [[3, 1], [], [2]], cost)
        assert path.read_text() == f"Route #1: 3 1\nRoute #2: 2\nCost: {text}\n"
        assert read_solution(path) == ([[3, 1], [2]], cost)
        assert vrplib.read_solution(path)["routes"] == [[3, 1], [2]]


def test_solutions_in_every_spelling(tmp_path: Path) -> None:
    """Upper and lower case, with and without colons, tabs, and remarks."""
    text = "route 1: 1\t2\nROUTE #2 : 3\nsome remark\ncost  12.5\nTime 3\n"
    assert read_solution(put(tmp_path, "s.sol", text)) == ([[1, 2], [3]], 12.5)
    assert read_solution(put(tmp_path, "t.sol", "Route #1: 1 \r\nRoute #2:\r\n")) == (
        [[1], []],
        None,
    )


def test_vrplib_reads_the_same_solutions() -> None:
    """Routes and costs of the X set are those that vrplib finds."""
    for path in sorted(benchmark_data("cvrplib_x").glob("*.sol")):
        content = vrplib.read_solution(path)
        assert read_solution(path) == (content["routes"], content["cost"])


def test_tours(tmp_path: Path) -> None:
    """A tour comes back; its numbers may stand on any lines, with or without -1."""
    path = tmp_path / "t.tour"
    write_tour(path, [2, 1, 3], 7.0)
    assert read_tour(path) == [2, 1, 3] and "length 7\n" in path.read_text()
    assert read_tour(put(tmp_path, "u.tour", "TOUR_SECTION\n1 3\n2\nEOF\n")) == [1, 3, 2]


def test_nothing_is_half_written(tmp_path: Path) -> None:
    """A writer that fails leaves the old file as it was, and nothing beside it."""
    path = put(tmp_path, "tiny.vrp", VRP)
    file = read(path)
    broken = replace(file, instance=file.instance.exclude("demand"))
    for name in ("old.vrp", "old.csv"):
        put(tmp_path, name, "old")
    write(tmp_path / "old.json", file)
    with pytest.raises(InputError):
        write(tmp_path / "nowhere" / "x.vrp", file)
    with pytest.raises(InputError, match="unknown format"):
        write(tmp_path / "x.txt", file)
    with pytest.raises(KeyError):
        write(tmp_path / "old.csv", broken)
    assert (tmp_path / "old.csv").read_text() == "old"
    names = {"tiny.vrp", "old.vrp", "old.csv", "old.json"}
    assert {entry.name for entry in tmp_path.iterdir()} == names
