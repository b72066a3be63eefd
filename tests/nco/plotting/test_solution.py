"""Pictures of routes and of gaps against time."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from tensordict import TensorDict

from nco.data import make_instance
from nco.data.errors import InputError
from nco.data.generators import CVRPGenerator, OPGenerator
from nco.data.metric import Metric
from nco.data.seeding import seeded
from nco.envs import Route, problem
from nco.plotting.label_placement import place
from nco.plotting.solution import plot_routes
from nco.plotting.style import COLOURS, INK, PALE, colours_in_a_ring, save
from nco.plotting.traces import mean_gaps, plot_traces


def share(picture: Path, *colours: str) -> list[float]:
    """Shares of a picture's pixels that have each of some colours."""
    pixels = np.rint(255 * imread(picture)[::2, ::2, :3]).astype(int)
    wanted = [np.rint(255 * np.array(to_rgb(colour))).astype(int) for colour in colours]
    return [float((pixels == rgb).all(-1).mean()) for rgb in wanted]


def instance(size: int) -> TensorDict:
    """A drawn CVRP instance."""
    return CVRPGenerator(size)(1, seeded(1))


@pytest.mark.parametrize("size", [1, 10, 300])
def test_every_route_has_a_colour_and_the_depot_is_there(size: int, tmp_path: Path) -> None:
    """Up to ten routes have a colour each, and these and no others are in the picture."""
    path = tmp_path / "routes.png"
    count = min(size, 10)
    split = np.array_split(np.arange(1, size + 1), count)
    routes = [Route(tuple(int(node) for node in part)) for part in split]
    plot_routes(path, problem("cvrp"), instance(size), routes, "title", "subtitle")
    shares = share(path, *COLOURS)
    assert min(shares[:count]) > 1e-5
    assert max(shares[count:], default=0) == 0
    assert share(path, INK)[0] > 1e-4


def test_tours_matrices_and_maps_are_drawn(tmp_path: Path) -> None:
    """A closed tour, an instance without coordinates, and one in degrees give pictures too."""
    locs = torch.tensor([[[48.2, 16.4], [52.5, 13.4], [38.7, -9.1], [60.2, 24.9]]]).double()
    metric = torch.tensor([int(Metric.GREAT_CIRCLE)])
    tour = [Route((0, 1, 3, 2), start=None, end=None)]
    degrees = make_instance(locs=locs, metric=metric)
    matrix = make_instance(distance=torch.cdist(locs, locs))
    for name, drawn in {"map": degrees, "matrix": matrix}.items():
        path = tmp_path / f"{name}.png"
        plot_routes(path, problem("tsp"), drawn, tour, labels=["Vienna", "Berlin", "Lisbon", "H"])
        assert share(path, COLOURS[0])[0] > 1e-3


def test_customers_that_are_left_out_are_pale(tmp_path: Path) -> None:
    """A tour that leaves customers out shows them, one without any customer shows them all."""
    env, drawn = problem("op"), OPGenerator(8)(1, seeded(1))
    found = []
    for visits in ((1, 2, 3, 4, 5, 6, 7, 8), (1, 2, 3), ()):
        path = tmp_path / f"{len(visits)}.png"
        routes = [Route(visits)] if visits else []
        plot_routes(path, env, drawn, routes, labels=[f"n{k}" for k in range(9)])
        found += share(path, PALE)
    assert 0 == found[0] < found[1] < found[2]


def test_north_is_up_and_east_is_right(tmp_path: Path) -> None:
    """Latitude grows upwards and longitude to the right: a map's depot lies where it should."""
    # The depot is the most northern and the most western node.
    locs = torch.tensor([[[60.0, 0.0], [50.0, 10.0], [55.0, 20.0]]]).double()
    metric = torch.tensor([int(Metric.GREAT_CIRCLE)])
    zeros, one = torch.zeros(1, 3).long(), torch.ones(1).long()
    drawn = make_instance(locs=locs, metric=metric, demand=zeros, capacity=one)
    path = tmp_path / "map.png"
    plot_routes(path, problem("cvrp"), drawn, [Route((1, 2))])
    pixels = imread(path)[..., :3]
    dark = np.argwhere(np.abs(pixels - np.array(to_rgb(INK))).max(-1) < 0.01)
    row, column = np.median(dark, axis=0) / pixels.shape[:2]
    assert row < 0.4
    assert column < 0.2


@given(st.integers(1, 60))
def test_neighbours_never_have_the_same_colour(count: int) -> None:
    """In a ring of routes, no route has the colour of the next one."""
    colours = colours_in_a_ring(count)
    assert len(colours) == count
    assert count == 1 or all(
        a != b for a, b in zip(colours, colours[1:] + colours[:1], strict=True)
    )


@pytest.mark.parametrize("seed", range(5))
def test_names_stay_in_the_frame_and_apart(seed: int) -> None:
    """Thirty names on a wide picture overlap neither each other nor its edge."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.arange(6), np.arange(5)), -1).reshape(-1, 2)
    points = 100 + 200.0 * grid + rng.uniform(-60, 60, (30, 2))
    labels = ["name" * int(k) for k in rng.integers(1, 4, 30)]
    frame = (0.0, 0.0, 1200.0, 1000.0)
    centres = place(points, labels, 14, 8, np.empty((0, 2)), frame)
    half = np.array([[0.3 * 14 * len(label), 7] for label in labels])
    low, high = centres - half, centres + half
    assert (low >= 0).all()
    assert (high <= np.array(frame[2:])).all()
    for i in range(30):
        for j in range(i):
            apart = (high[i] <= low[j]) | (high[j] <= low[i])
            assert apart.any()


def test_a_name_avoids_a_line() -> None:
    """With a line leaving its point to the right, a name goes elsewhere."""
    point = np.array([[100.0, 100.0]])
    frame = (0.0, 0.0, 200.0, 200.0)
    line = np.stack([np.linspace(105, 160, 30), np.full(30, 100.0)], axis=-1)
    free = place(point, ["name"], 10, 5, np.empty((0, 2)), frame)
    moved = place(point, ["name"], 10, 5, line, frame)
    assert free[0, 0] > 105
    assert not (moved[0, 0] > 105 and abs(moved[0, 1] - 100) < 5)


def test_a_picture_is_whole_or_absent(tmp_path: Path) -> None:
    """An unknown format or a missing folder is an input error that leaves no file."""
    for path in (tmp_path / "picture.xyz", tmp_path / "no" / "picture.png"):
        with pytest.raises(InputError, match="picture"):
            save(Figure(), path)
    assert list(tmp_path.iterdir()) == []
    save(Figure(), tmp_path / "picture.svg")
    assert [file.name for file in tmp_path.iterdir()] == ["picture.svg"]


runs = st.lists(
    st.lists(
        st.tuples(st.integers(1, 30), st.integers(50, 200)), min_size=1, max_size=6, unique_by=min
    ).map(sorted),
    min_size=1,
    max_size=4,
)


@given(runs)
def test_mean_gaps_are_those_of_a_loop(found: list[list[tuple[float, float]]]) -> None:
    """At every time the mean gap is the mean over runs of the best cost so far."""
    references = [40.0 + k for k in range(len(found))]
    seconds, gaps = mean_gaps(found, references)
    begin = max(run[0][0] for run in found)
    assert seconds.tolist() == sorted({t for run in found for t, _ in run if t >= begin})
    for time, mean in zip(seconds, gaps, strict=True):
        best = [min(cost for t, cost in run if t <= time) for run in found]
        expected = [100 * (b / r - 1) for b, r in zip(best, references, strict=True)]
        assert mean == pytest.approx(sum(expected) / len(expected))


def test_curves_without_a_solution_are_left_out(tmp_path: Path) -> None:
    """A solver that has no solution of some instance has no line, and the others do."""
    assert mean_gaps([[(1.0, 5.0)], []], [4.0, 4.0])[0].size == 0
    path = tmp_path / "curves.png"
    plot_traces(path, {"a": [[]], "b": [[(0.1, 7.0), (1.0, 5.0)]]}, [4.0], "title", "subtitle")
    first, second = share(path, *COLOURS[:2])
    assert first == 0
    assert second > 1e-3
