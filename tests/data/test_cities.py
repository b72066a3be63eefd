"""Road networks: synthetic cities, files of cities, and instances that are sub-samples of them."""

import json
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser

from nco.cli.generators import make_generator
from nco.data import make_instance
from nco.data.cities import City, city_files, read_city, write_cities
from nco.data.errors import InputError
from nco.data.generators import CityGenerator, InstanceGenerator
from nco.data.generators.attributes import Demands, Windows
from nco.data.generators.cities import synthetic_city
from nco.data.generators.streets import StreetPlan, _crossings, _streets, draw_city
from nco.data.metric import Metric, pairwise
from nco.data.seeding import seeded
from nco.envs import problem
from tests.envs.random_instances import rollout

SMALL = StreetPlan(blocks=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cities for training, one for testing."""
    place = tmp_path_factory.mktemp("cities")
    cities = [draw_city(name, 40, seeded(k), SMALL) for k, name in enumerate("ABCD")]
    write_cities(place, cities, test=["C"])
    return place


def test_ways_are_the_fastest() -> None:
    """
    Durations are those of the fastest ways in the graph of streets that another library finds, and
    distances are as long as these ways.
    """
    city = draw_city("x", 25, seeded(3), SMALL)
    numbers = np.random.default_rng(int(torch.randint(2**62, (), generator=seeded(3))))
    where = _crossings(SMALL, numbers)
    graph = nx.DiGraph()
    for a, b, main in zip(*_streets(SMALL, numbers), strict=True):
        length = float(np.hypot(*(where[a] - where[b])))
        graph.add_edge(int(a), int(b), time=60 * length / (50 if main else 25), length=length)
    centre = sorted(max(nx.strongly_connected_components(graph), key=len))
    places = sorted(numbers.choice(centre, 25, replace=False).tolist())
    for row, start in enumerate(places):
        times, paths = nx.single_source_dijkstra(graph, start, weight="time")
        lengths = [nx.path_weight(graph, paths[end], "length") for end in places]
        wanted = [[times[end] for end in places], lengths]
        for found, want in zip((city.duration[row], city.distance[row]), wanted, strict=True):
            torch.testing.assert_close(found.double(), torch.tensor(want).double())


def test_streets_are_one_way() -> None:
    """
    One-way streets make ways differ by direction, without them they do not; no way is shorter than
    the crow flies, or faster than the main roads, and none is slower than a detour.
    """
    both_ways = replace(SMALL, one_way=0.0, rivers=0, closed=0.0)
    city = draw_city("x", 60, seeded(1), both_ways)
    torch.testing.assert_close(city.duration, city.duration.T)
    winding = draw_city("x", 60, seeded(1), SMALL)
    assert not torch.allclose(winding.duration, winding.duration.T, rtol=1e-3)
    for one in (city, winding):
        sphere = torch.tensor([int(Metric.GREAT_CIRCLE)])
        crow = pairwise(make_instance(locs=one.points.unsqueeze(0).double(), metric=sphere))[0]
        assert bool((one.distance >= 0.995 * crow).all())
        assert bool((one.duration >= 60 * one.distance / 50 - 1e-4).all())
        over = one.duration.unsqueeze(2) + one.duration.unsqueeze(0)  # [from, over, to]
        assert bool((one.duration <= over.amin(1) + 1e-4).all())


def test_rivers_are_crossed_on_bridges_only() -> None:
    """With its one bridge away, a river parts the city in two."""
    plan = replace(SMALL, rivers=1, bridges=1, one_way=0.0, closed=0.0)
    numbers = np.random.default_rng(0)
    _crossings(plan, numbers)
    origin, target, _ = _streets(plan, numbers)
    graph = nx.Graph(zip(origin.tolist(), target.tolist(), strict=True))
    assert nx.is_connected(graph)
    assert len(graph) == 144
    parting = []
    for edge in list(nx.bridges(graph)):  # dead ends at the banks are such edges too
        graph.remove_edge(*edge)
        parting.append(min(map(len, nx.connected_components(graph))))
        graph.add_edge(*edge)
    assert len([size for size in parting if size > 40]) == 1


def test_cities_are_read_back(folder: Path) -> None:
    """What is written is read, with the same arrays, and in the layout of RRNCO's files."""
    city = draw_city("A", 40, seeded(0), SMALL)
    (path,) = folder.glob("A/*")
    assert path.name == "A_data.npz"
    found = read_city(path)
    assert found.name == "A"
    for name in ("points", "distance", "duration"):
        assert torch.equal(getattr(found, name), getattr(city, name))
    with np.load(path) as arrays:
        assert set(arrays.files) == {"points", "distance", "duration"}


def test_training_and_testing_are_kept_apart(folder: Path) -> None:
    """Every city is in one of the two splits, as the file says; one in both is an error."""
    assert [path.parent.name for path in city_files(folder, "train")] == ["A", "B", "D"]
    assert [path.parent.name for path in city_files(folder, "test")] == ["C"]
    assert len(city_files(folder, "all")) == 4
    assert synthetic_city(0, "train", 30, SMALL).name == "train-0"
    first, second = synthetic_city(0, "train", 30, SMALL), synthetic_city(0, "test", 30, SMALL)
    assert not torch.equal(first.points, second.points)
    assert torch.equal(second.points, synthetic_city(1, "all", 30, SMALL).points)


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ({"points": None}, "no array points, expected points, distance and duration"),
        ({"distance": torch.ones(40, 39)}, r"distance: shape \[40, 39\], expected \(40, 40\)"),
        ({"duration": torch.full((40, 40), -1.0)}, r"duration\[0, 0\]: -1.0, expected a number"),
        ({"distance": torch.full((40, 40), torch.nan)}, r"distance\[0, 0\]: nan, expected"),
    ],
)
def test_bad_cities_are_refused(
    flaw: dict[str, torch.Tensor | None], message: str, folder: Path, tmp_path: Path
) -> None:
    """What is missing, misshapen or no number is named."""
    city = read_city(folder / "A" / "A_data.npz")
    arrays = {"points": city.points, "distance": city.distance, "duration": city.duration, **flaw}
    kept = {name: value.numpy() for name, value in arrays.items() if value is not None}
    path = tmp_path / "A_data.npz"
    np.savez(path, **kept)
    with pytest.raises(InputError, match=message):
        read_city(path)


def test_bad_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    """No cities, no split, or a city on both sides of it."""
    with pytest.raises(InputError, match="no cities of the split 'all'"):
        city_files(tmp_path, "all")
    split = tmp_path / "splited_cities_list.json"
    with pytest.raises(InputError, match="no such file, expected the lists of cities"):
        city_files(tmp_path, "train")
    for content, message in (
        ("{", "no JSON"),
        ('{"train": ["A"]}', "expected the lists of cities 'train' and 'test'"),
        ('{"train": ["A", "B"], "test": ["B"]}', "'B' is for training and for testing"),
    ):
        split.write_text(content)
        with pytest.raises(InputError, match=message):
            city_files(tmp_path, "train")
    with pytest.raises(InputError, match="at most the 40 places of a city"):
        CityGenerator(40, folder)(1, seeded(0))


def test_instances_are_sub_samples(folder: Path) -> None:
    """
    Every instance is a set of distinct places of one city of the split, with the ways between them,
    in both directions.
    """
    cities = {path.parent.name: read_city(path) for path in city_files(folder, "all")}
    batch = CityGenerator(9, folder, "train", [Demands()])(20, seeded(5))
    seen = set()
    for b in range(20):
        matches = [(n, _places(city, batch["locs"][b])) for n, city in cities.items()]
        ((name, places),) = [(n, p) for n, p in matches if p is not None]
        seen.add(name)
        assert len(set(places)) == 10
        torch.testing.assert_close(batch["distance"][b], cities[name].distance[places][:, places])
        torch.testing.assert_close(batch["duration"][b], cities[name].duration[places][:, places])
    assert seen == {"A", "B", "D"}


def _places(city: City, locs: torch.Tensor) -> list[int] | None:
    """Which places of a city these are, if they are."""
    nearest = (city.points.unsqueeze(0) - locs.unsqueeze(1)).abs().amax(-1).min(-1)
    return nearest.indices.tolist() if float(nearest.values.max()) < 1e-5 else None


@pytest.mark.parametrize(
    "name", ["atsp", "acvrp", "acvrptw", "avrpltw", "ahfvrp", "apdptw", "advrp"]
)
def test_all_that_masks_allow_is_feasible(name: str) -> None:
    """Problems with asymmetric distances and durations are possible, and their masks right."""
    env, batch = problem(name), make_generator(name, 12, "city")(8, seeded(1))
    assert "duration" in batch.keys()
    actions, _ = rollout(env, batch, 6, 0)
    for b in range(8):
        one = batch[b : b + 1]
        assert env.impossible(one) == []
        for r in range(6):
            routes = env.visits.routes(one, actions[b, r].tolist())
            assert env.check(one, routes) == []
            assert env.routes_cost(one, routes) == pytest.approx(
                float(env.cost(one, actions[b : b + 1, r : r + 1])), rel=1e-5
            )


def test_windows_follow_the_durations(folder: Path) -> None:
    """A window can be reached from the depot in the time that the way takes, in minutes."""
    batch = CityGenerator(9, folder, "train", [Demands(), Windows()])(20, seeded(5))
    arrival = batch["duration"][:, 0].double()
    back = batch["duration"][:, :, 0].double()
    windows = batch["time_windows"].double()
    assert bool((arrival <= windows[..., 1] + 1e-5)[:, 1:].all())
    ready = torch.maximum(windows[..., 0], arrival) + batch["service_time"]
    assert bool((ready + back <= windows[:, :1, 1] + 1e-4).all())


def test_a_generator_in_yaml(folder: Path) -> None:
    """Class path, folder and attributes are all that a configuration needs to say."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--generator", type=InstanceGenerator)
    chosen = {
        "class_path": "nco.data.generators.CityGenerator",
        "init_args": {
            "size": 8,
            "folder": str(folder),
            "split": "test",
            "attributes": [
                {"class_path": "nco.data.generators.attributes.Demands"},
                {"class_path": "nco.data.generators.attributes.Windows"},
            ],
        },
    }
    parsed = parser.parse_args([f"--generator={json.dumps(chosen)}"])
    generator = parser.instantiate_classes(parsed).generator
    batch = generator(3, seeded(0))
    env = problem("acvrptw", instance=batch)
    assert [path.parent.name for path in generator.files] == ["C"]
    assert env.impossible(batch[:1]) == []
