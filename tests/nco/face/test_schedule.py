"""What a solution says beside its cost: schedules, traces, pictures."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from matplotlib import pyplot as plt

import nco

# One line: the depot at 0, customers at 3, 4 and -5.
LINE = {"locs": [[0, 0], [3, 0], [4, 0], [-5, 0]]}


@pytest.fixture(autouse=True)
def lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records as lists, as where pandas is not installed; no picture stays."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    plt.switch_backend("agg")


def columns(solution: nco.Solution, *names: str) -> list[Sequence[object]]:
    """Some columns of the schedule."""
    return [tuple(record[name] for name in names) for record in solution.schedule()]


def test_windows_service_and_waiting() -> None:
    """
    Worked out by hand: 1 opens at 10, so that the vehicle leaves at 10 - 3 = 7 and does not wait;
    2 follows at 10 + 2 + 1 = 13 and waits until 20; back at 20 + 2 + 4 = 26.
    """
    instance = nco.make_instance(
        **LINE,
        demand=[0, 2, 3, 4],
        capacity=5,
        service_time=2,
        time_windows=[[0, 99], [10, 15], [20, 30], [0, 99]],
    )
    found = nco.check(instance, [[1, 2], [3]])
    assert found.feasible
    names = ("route", "stop", "arrival", "wait", "start", "departure", "load", "distance")
    assert columns(found, *names) == [
        (0, 0, 7, 0, 7, 7, 5, 0),
        (0, 1, 10, 0, 10, 12, 3, 3),
        (0, 2, 13, 7, 20, 22, 0, 4),
        (0, 0, 26, 0, 26, 26, 0, 8),
        (1, 0, 0, 0, 0, 0, 4, 0),
        (1, 3, 5, 0, 5, 7, 0, 5),
        (1, 0, 12, 0, 12, 12, 0, 10),
    ]


def test_releases_hold_the_vehicle_back() -> None:
    """Goods of a later stop that are there at 6 only: nothing leaves before."""
    instance = nco.make_instance(
        **LINE,
        demand=[0, 1, 1, 1],
        capacity=3,
        release_time=[0, 0, 6, 0],
        time_windows=[[0, 99]] * 4,
    )
    found = nco.check(instance, [[1, 2], [3]])
    assert columns(found, "stop", "departure")[:3] == [(0, 6), (1, 9), (2, 10)]


def test_what_is_aboard() -> None:
    """Deliveries are aboard from the start, pickups to the end, shipments in between."""
    both = nco.make_instance(**LINE, demand=[0, 2, 0, 3], backhaul=[0, 0, 4, 0], capacity=5)
    found = nco.check(both, [[1, 3, 2]])
    assert [load for (load,) in columns(found, "load")] == [5, 3, 0, 4, 4]
    pairs = nco.make_instance(**LINE, delivery=[0, 2, 0, 0], shipment=[0, 7, 0, 0], capacity=7)
    assert [load for (load,) in columns(nco.check(pairs, [[1, 2]]), "load")] == [0, 7, 0, 0]
    exchanged = nco.check(both, [[2, 1, 3]], problem="1pdvrp")  # what is picked up may be delivered
    assert [load for (load,) in columns(exchanged, "load")] == [1, 5, 3, 0, 0]
    split = nco.make_instance(**LINE, demand=[0, 4, 2, 0], capacity=3)
    found = nco.check(split, [[1], [1, 2], [3]], problem="sdvrp")
    assert [load for (load,) in columns(found, "load")][:6] == [3, 0, 0, 3, 2, 0]


def test_nothing_is_said_of_loads_without_one() -> None:
    """A tour has no load; it begins and ends at its first node."""
    found = nco.check(nco.make_instance(**LINE), [[1, 2, 3, 0]])
    assert columns(found, "stop", "distance") == [(1, 0), (2, 1), (3, 10), (0, 15), (1, 18)]
    assert "load" not in found.schedule()[0]


def test_trips_of_a_vehicle_follow_one_another() -> None:
    """The second trip begins when the first is back, at 8."""
    instance = nco.make_instance(
        **LINE, demand=[0, 1, 1, 1], capacity=2, trips=1, time_windows=[[0, 99]] * 4
    )
    found = nco.check(instance, [[2, 1], [3]])
    assert columns(found, "route", "stop", "arrival")[3:6] == [(0, 0, 8), (1, 0, 8), (1, 3, 13)]


def test_rounded_tenths_are_exact() -> None:
    """Distances of DIMACS' tenths add up without rounding errors."""
    instance = nco.make_instance(
        locs=[[0, 0], [1.25, 0], [3.5, 0]], demand=[0, 1, 1], capacity=2, metric="DECIMAL"
    )
    assert columns(nco.check(instance, [[1, 2]]), "distance") == [(0.0,), (1.2,), (3.4,), (6.9,)]


def test_a_data_frame_where_pandas_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """With pandas the same records are a data frame."""
    found = nco.check(nco.make_instance(**LINE), [[0, 1, 2, 3]])
    records = found.schedule()
    monkeypatch.undo()
    pandas = pytest.importorskip("pandas")
    frame = found.schedule()
    assert isinstance(frame, pandas.DataFrame) and frame.to_dict("records") == records


def test_names_are_those_of_the_file() -> None:
    """A schedule of a file with names tells them."""
    path = Path(__file__).parents[3] / "data" / "examples" / "capitals.csv"
    file = nco.read(path)
    found = nco.check(file, [[k] for k in range(1, len(file.labels))])
    assert [record["name"] for record in found.schedule()[:3]] == [
        file.labels[0],
        file.labels[1],
        file.labels[0],
    ]


def test_pictures_are_axes(tmp_path: Path) -> None:
    """A solution is drawn on axes that are given, or on new ones; a file is written from text."""
    instance = nco.make_instance(**LINE, demand=[0, 1, 1, 1], capacity=2)
    found = nco.check(instance, [[1, 2], [3]])
    _, mine = plt.subplots()
    assert found.plot(mine) is mine and len(mine.lines) == 6  # each route, and its ways from and to
    other = found.plot()
    assert other is not mine and "cost 18, 2 routes, feasible" in other.get_title()
    plt.close("all")
    target = str(tmp_path / "routes.png")
    axes = nco.plot_routes(target, found.env, instance, [[1, 2], [3]])
    assert len(axes.lines) == 6 and Path(target).stat().st_size > 1000
