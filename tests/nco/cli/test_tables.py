"""What is said about runs: numbers, gaps, references."""

import json
from pathlib import Path

import pytest
import torch

from nco.cli.tables import is_best, show_cost, show_gap, show_seconds
from nco.data import make_instance
from nco.data.errors import InputError
from nco.data.formats import FileInstance
from nco.decoding import Augment, Beam, MultiStart, Sampling, Single
from nco.envs import Route, RoutingEnv, problem
from nco.evaluation.evaluate import safe_batch_size
from nco.evaluation.references import read_references
from nco.evaluation.runs import Run, gap, stated, whole
from nco.solution import judge


def line(name: str, cost: float | None = None) -> Run:
    """A run of one route through two customers on a line, 1 and 3 from the depot; it costs 6."""
    instance = make_instance(
        locs=torch.tensor([[[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]]]).double(),
        demand=torch.tensor([[0, 1, 1]]),
        capacity=torch.tensor([2]),
    )
    file = FileInstance("line", "cvrp", instance, Path("line.vrp"), best_known=cost)
    env = problem("cvrp")
    return Run(file, env, name, None, judge(env, instance, [Route((1, 2))], 0.5, name), 3)


@pytest.mark.parametrize(
    ("reference", "expected"), [(6.0, 0.0), (5.0, 20.0), (8.0, -25.0), (None, None), (0.0, None)]
)
def test_gaps_are_percent_of_the_reference(reference: float, expected: float) -> None:
    """The gap of a cost of 6 is 100 (6 / reference - 1), and unknown without a reference."""
    run = line("a", reference)
    assert run.gap == (None if expected is None else pytest.approx(expected))


def test_whole_costs_are_integers() -> None:
    """A cost without a fraction is printed as an integer, in JSON too."""
    run = line("a", 6.0)
    assert json.dumps(run.as_json()["cost"]) == json.dumps(run.as_json()["reference"]) == "6"
    assert isinstance(whole(2.5), float)


def test_prizes_are_stated_as_people_do() -> None:
    """A collected prize is positive, and collecting more than the reference is a negative gap."""
    env = problem("op")
    assert stated(env, -5.0) == 5
    assert gap(env, 5, 4) == pytest.approx(-25)
    assert gap(env, 3, 4) == pytest.approx(25)


def test_an_infinite_cost_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no solution there is no cost."""
    env: RoutingEnv = problem("cvrp")
    assert stated(env, float("inf")) is None


def test_the_best_is_the_cheapest_of_a_file() -> None:
    """Equal costs are both best."""
    first, second = line("a"), line("b")
    assert is_best(first, [first, second])
    assert is_best(second, [first, second])


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (show_cost(27591), "27,591"),
        (show_cost(27591.0), "27,591"),
        (show_cost(26182.0366), "26,182.04"),
        (show_cost(6.4033), "6.4033"),
        (show_cost(None), "—"),
        (show_gap(0.426), "0.43 %"),
        (show_gap(None), "—"),
        (show_seconds(0.1234), "0.123"),
        (show_seconds(12.34), "12.3"),
    ],
)
def test_numbers_are_shown(shown: str, expected: str) -> None:
    """Thousands apart, decimals only where there are some."""
    assert shown == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "cost\n1.5\n2\n"),
        ("b.csv", "1.5\n2\n"),
        ("c.csv", "name,cost\nx,1.5\ny,2\n"),
        ("d.json", "[1.5, 2]"),
        ("e.json", '[{"cost": 1.5}, {"cost": 2, "other": 3}]'),
    ],
)
def test_references_are_read(name: str, text: str, tmp_path: Path) -> None:
    """CSV with and without a header, JSON of numbers and of objects."""
    path = tmp_path / name
    path.write_text(text)
    assert read_references(path).tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", ""),
        ("b.csv", "cost\n"),
        ("c.csv", "cost\nnan\n"),
        ("d.csv", "name,value\nx,1\n"),
        ("e.csv", "name,cost\nx\n"),
        ("f.json", "{}"),
        ("g.json", "[1, null]"),
        ("h.json", "[1, "),
        ("i.json", '[{"price": 1}]'),
        ("j.json", "[true]"),
    ],
)
def test_bad_references_are_named(name: str, text: str, tmp_path: Path) -> None:
    """A file without costs, or with one that is no number, is an input error with its name."""
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=name):
        read_references(path)


def test_batches_shrink_with_the_work_of_an_instance() -> None:
    """More rollouts, more views or more nodes mean fewer instances at once, and at least one."""
    env = problem("tsp")
    small, large = (make_instance(locs=torch.rand(2, n, 2)) for n in (50, 5000))
    sizes = [
        safe_batch_size(env, small, search)
        for search in (
            Single(),
            Beam(10),
            MultiStart(),
            Single(Sampling(), 100),
            Augment(MultiStart()),
            Augment(Single(Sampling(), 100)),
        )
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 1000 > sizes[-1] > 1
    assert safe_batch_size(env, large, Augment(MultiStart())) == 1


def test_a_vanishing_gap_has_no_sign() -> None:
    """A gap below its last digit is 0.00 %, whichever side of the best-known cost it is on."""
    assert [show_gap(gap) for gap in (-1e-13, 1e-13, -0.01, None)] == [
        "0.00 %",
        "0.00 %",
        "-0.01 %",
        "—",
    ]
