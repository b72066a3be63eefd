"""VROOM's JSON, read and written, and OSRM's tables."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nco.data import make_instance
from nco.data.errors import InputError, InputWarning
from nco.data.formats import FileInstance, read, write
from nco.data.instance import num_depots, num_nodes
from nco.data.metric import Metric, pairwise
from nco.envs import PROBLEMS, Route, problem
from tests.benchmark_data import benchmark_data

DURATIONS = [[0, 5, 9, 4], [6, 0, 3, 7], [8, 2, 0, 1], [4, 7, 2, 0]]
VROOM: dict[str, Any] = {
    "vehicles": [
        {"id": 1, "start_index": 0, "end_index": 0, "capacity": [8], "time_window": [0, 90]},
        {
            "id": 2,
            "start_index": 3,
            "end_index": 3,
            "capacity": [5],
            "skills": [7],
            "costs": {"fixed": 30, "per_hour": 7200},
        },
        {"id": 3, "start_index": 0, "end_index": 0, "capacity": [8], "time_window": [0, 90]},
    ],
    "jobs": [
        {"id": 4, "location_index": 2, "delivery": [3], "service": 10, "time_windows": [[5, 40]]},
        {"id": 5, "location_index": 1, "pickup": [2], "skills": [7], "description": "north"},
    ],
    "matrices": {"car": {"durations": DURATIONS}},
}
SCALED = {
    *("locs", "distance", "duration", "time_windows", "service_time", "distance_limit"),
    "fixed_cost",
}
OSRM: dict[str, Any] = {
    "code": "Ok",
    "durations": DURATIONS,
    "distances": [[10 * x for x in row] for row in DURATIONS],
    "sources": [{"location": [13.4 + k, 52.5]} for k in range(4)],
    "destinations": [{"location": [13.4 + k, 52.5]} for k in range(4)],
}


def put(folder: Path, content: object, name: str = "t.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def test_vroom_jobs(tmp_path: Path) -> None:
    """Vehicles that are alike are one depot node; everything is where the file puts it."""
    file = read(put(tmp_path, VROOM))
    instance = file.instance
    assert file.vehicles == (0, 1, 0) and file.labels == ("vehicle", "vehicle", "4", "north")
    assert instance["depots"].tolist() == [[0, 3]] and "vehicle_count" in instance.keys()
    assert instance["vehicle_count"].tolist() == [[2, 1]]
    # Nodes: places 0, 3 (depots), 2, 1.
    assert instance["distance"][0].tolist() == [
        [0, 4, 9, 5],
        [4, 0, 2, 7],
        [8, 1, 0, 2],
        [6, 7, 3, 0],
    ]
    assert instance["demand"].tolist() == [[0, 0, 3, 0]]
    assert instance["backhaul"].tolist() == [[0, 0, 0, 2]]
    assert instance["capacity"].tolist() == [[8, 5]]
    assert instance["allowed"].tolist() == [[[1, 1, 1, 0], [1, 1, 1, 1]]]
    inf = float("inf")
    assert instance["time_windows"][0].tolist() == [[0, 90], [0, inf], [5, 40], [0, inf]]
    assert instance["service_time"].tolist() == [[0, 0, 10, 0]]


def test_vroom_shipments(tmp_path: Path) -> None:
    """A shipment is a pair of nodes, in a problem of pickups and deliveries; routes are open."""
    content = {
        "vehicles": [{"id": 1, "start_index": 0, "capacity": [4]}],
        "shipments": [
            {
                "amount": [2],
                "pickup": {"id": 1, "location_index": 2},
                "delivery": {"id": 2, "location_index": 1, "time_windows": [[3, 9]]},
            }
        ],
        "matrices": {"car": {"durations": DURATIONS, "costs": DURATIONS}},
    }
    file = read(put(tmp_path, content))
    assert file.problem == "opdptw"
    assert file.instance["delivery"].tolist() == [[0, 2, 0]]
    assert file.instance["shipment"].tolist() == [[0, 2, 0]]
    assert file.instance["open_route"].tolist() == [1]
    assert torch.equal(file.instance["duration"], file.instance["distance"])


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("vehicles", 0, "breaks"), [{"id": 1}], "vehicles[0]: 'breaks' is not supported"),
        (("jobs", 0, "priority"), 101, "jobs[0].priority: '101', expected an integer from 0 to"),
        (("jobs", 0, "setup"), 5, "jobs[0]: 'setup' is not supported"),
        (("vehicles", 0, "costs"), {"per_km": 3}, "vehicles[0].costs: 'per_km' is not supported"),
        (("vehicles", 0, "end_index"), 9, "vehicles[0].end_index: '9', expected an integer"),
        (("vehicles", 0, "capacity"), [1, 2], "vehicles[0].capacity: 2 dimensions, expected one"),
        (("jobs", 1, "time_windows"), [[0, 1], [2, 3]], "jobs[1].time_windows: 2 windows"),
        (("jobs", 1, "location_index"), 4, "jobs[1].location_index: '4', expected an integer"),
        (("jobs", 1, "pickup"), [2.5], "jobs[1].pickup: '2.5', expected an integer"),
        (("shipments",), [{}], "shipments[0].pickup: 'None', expected a JSON object"),
        (("matrices", "car", "costs"), DURATIONS, "per_hour beside a matrix of costs"),
        (("matrices", "car", "durations", 1, 2), "x", "durations[1][2]: 'x', expected a number"),
        (("matrices",), {}, "matrices: 0 profiles, expected one"),
        (("vehicles", 1, "profile"), "truck", "vehicles[1].profile: there is no other matrix"),
    ],
)
def test_what_vroom_says_and_we_do_not(
    tmp_path: Path, place: tuple[str | int, ...], value: object, message: str
) -> None:
    """What is not understood is refused by its key."""
    content = copy.deepcopy(VROOM)
    part: Any = content
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    path = put(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


@pytest.mark.parametrize(
    ("folder", "name", "steps"), [("solomon", "C101.txt", 10), ("hfvrp", "X101-FSMFD.vrp", 0)]
)
def test_vroom_is_written(folder: str, name: str, steps: int, tmp_path: Path) -> None:
    """What is written is read back, in steps of the distances; fractions are refused."""
    path = tmp_path / "t.vroom.json"
    if not steps:  # costs of 0.83 in a unit are 2988 in an hour
        with pytest.warns(InputWarning, match="its cost is one of other distances"):
            file = read(benchmark_data(folder, name), "nearest")
        write(path, file)
        again = read(path).instance
        for key in ("demand", "unit_cost", "fixed_cost", "capacity"):
            assert torch.equal(again[key], file.instance[key])
        assert torch.equal(again["distance"], pairwise(file.instance))
        unrounded = read(benchmark_data(folder, name))
        with pytest.raises(InputError, match="distance with fractions, expected whole numbers"):
            write(path, unrounded)
        return
    file = read(benchmark_data(folder, name))
    write(path, file)
    again = read(path).instance
    assert read(path).problem == "vrptw"
    assert torch.equal(again["distance"], (pairwise(file.instance) * steps).round())
    for key in ("time_windows", "service_time"):
        assert torch.equal(again[key], file.instance[key] * steps)
    for key in ("demand", "capacity", "vehicle_count"):
        assert torch.equal(again[key], file.instance[key])


SHIPMENT: dict[str, Any] = {
    "amount": [3],
    "skills": [7],
    "pickup": {"id": 8, "location_index": 1, "service": 2},
    "delivery": {"id": 9, "location_index": 2, "time_windows": [[3, 90]]},
}


@pytest.mark.parametrize(("jobs", "shipments"), [(2, 0), (1, 0), (0, 1), (2, 1), (1, 2)])
def test_vroom_round_trip(jobs: int, shipments: int, tmp_path: Path) -> None:
    """A file with depots, skills, jobs and shipments says the same once written and read."""
    content = {**VROOM, "jobs": VROOM["jobs"][:jobs], "shipments": [SHIPMENT] * shipments}
    file = read(put(tmp_path, {key: value for key, value in content.items() if value}))
    write(tmp_path / "again.vroom.json", file)
    again = read(tmp_path / "again.vroom.json")
    assert set(again.instance.keys()) == set(file.instance.keys())
    assert (again.problem, again.vehicles, again.labels) == (
        file.problem,
        file.vehicles,
        file.labels,
    )
    for key in set(file.instance.keys()) - {"depots"}:
        assert torch.equal(again.instance[key], file.instance[key]), key
    places = [row.instance["depots"].unique(return_inverse=True)[1] for row in (file, again)]
    assert torch.equal(*places)


def test_vroom_jobs_beside_shipments(tmp_path: Path) -> None:
    """Loads of jobs and of shipments share a vehicle, in a problem that PyVRP and we agree on."""
    file = read(put(tmp_path, {**VROOM, "shipments": [SHIPMENT]}))
    assert file.problem == "mdpdptw" and file.labels is not None
    assert file.labels[2:] == ("4", "north", "8", "9")
    instance = file.instance
    assert instance["demand"].tolist() == [[0, 0, 3, 0, 0, 0]]
    assert instance["backhaul"].tolist() == [[0, 0, 0, 2, 0, 0]]
    assert instance["shipment"].tolist() == [[0, 0, 0, 0, 3, 0]]
    assert instance["delivery"].tolist() == [[0, 0, 0, 0, 5, 0]]
    assert instance["allowed"][0, 0].tolist() == [1, 1, 1, 0, 0, 0]  # skills of the second only
    env = problem(file.problem, instance=instance)
    routes = [Route((2,), 0, 0, 0), Route((3, 4, 5), 1, 1, 1)]
    assert env.check(instance, routes) == []
    # Load 5 of 5 on the second; 30 for it, twice its 7 + 0 + 3 + 1 (3 - 1 - 1 - 2 - 3), and 17.
    assert env.routes_cost(instance, routes) == 17 + 30 + 2 * 11
    heavy = {**SHIPMENT, "amount": [4]}
    instance = read(put(tmp_path, {**VROOM, "shipments": [heavy]})).instance
    assert {v.rule for v in env.check(instance, routes)} == {"capacity"}


@pytest.mark.parametrize(
    "name", ["pdptw", "vrpspd", "hfvrp", "ovrpmb", "vrpl", "mdcvrp", "sdvrptw"]
)
def test_vroom_takes_generated_instances(name: str, tmp_path: Path) -> None:
    """On a grid, generated instances of many problems come back with the same nodes and costs."""
    drawn = PROBLEMS[name].generator(8)(1, torch.Generator().manual_seed(3))
    fields = {k: (v * 1000).round() if k in SCALED else v for k, v in drawn.items()}
    fields["metric"] = torch.tensor([int(Metric.EUC_2D)])
    if "unit_cost" in fields:
        fields["unit_cost"] = torch.tensor([[1.0, 1.25, 2.5]])
    file = FileInstance("t", name, make_instance(**fields), tmp_path)
    write(tmp_path / "t.vroom.json", file)
    again = read(tmp_path / "t.vroom.json")
    assert again.problem == name.removeprefix("a")
    size = num_nodes(file.instance)
    # Pairs come last, one behind the other: nodes are the same but for their order.
    place = again.instance["locs"][0].tolist()
    order = torch.tensor([place.index(node) for node in file.instance["locs"][0].tolist()])
    order[: num_depots(file.instance)] = torch.arange(num_depots(file.instance))
    assert sorted(order.tolist()) == list(range(size))
    matrix = again.instance["distance"][0][order][:, order]
    assert torch.equal(matrix, pairwise(file.instance)[0].double())
    for key in set(fields) & {"demand", "backhaul", "service_time", "time_windows", "shipment"}:
        assert torch.equal(again.instance[key][0, order].double(), fields[key][0].double()), key
    for key in set(fields) & {"capacity", "fixed_cost", "unit_cost", "distance_limit"}:
        found = again.instance[key].double().expand(fields[key].shape)
        assert torch.equal(found, fields[key].double()), key
    if "delivery" in fields:
        goes = again.instance["delivery"][0, order]
        assert [int(order[t]) if t else 0 for t in fields["delivery"][0]] == goes.tolist()
    if "allowed" in fields:
        customers = slice(num_depots(file.instance), None)
        flags = again.instance["allowed"][0][:, order]
        assert torch.equal(flags[:, customers], fields["allowed"][0].long()[:, customers])


@pytest.mark.parametrize("name", ["sdvrp", "mtvrptw", "hcvrp", "vrptw-vehicles"])
def test_vroom_has_no_such_problem(name: str, tmp_path: Path) -> None:
    """What only the name of a problem says (trips, split loads, an objective) is refused."""
    drawn = PROBLEMS[name].generator(5)(1, torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match=f"problem {name} says more than attributes do"):
        write(tmp_path / "t.vroom.json", FileInstance("t", name, drawn, tmp_path))


def test_vroom_has_no_place_for_it(tmp_path: Path) -> None:
    """What VROOM cannot express is refused by name."""
    file = read(put(tmp_path, VROOM))
    limited = file.instance.clone().update({"duration_limit": torch.tensor([9.0])})
    with pytest.raises(InputError, match="no place for duration_limit"):
        write(tmp_path / "t.vroom.json", FileInstance("t", "cvrp", limited, tmp_path))


def test_osrm_table(tmp_path: Path) -> None:
    """Distances and durations of an answer are those of an asymmetric instance."""
    file = read(put(tmp_path, OSRM))
    assert file.problem == "atsp"
    assert file.instance["duration"][0].tolist() == DURATIONS
    assert torch.equal(file.instance["distance"], file.instance["duration"] * 10)
    assert file.instance["locs"][0, 1].tolist() == [14.4, 52.5]
    times = {key: value for key, value in OSRM.items() if key != "distances"}
    assert read(put(tmp_path, times)).instance["distance"][0].tolist() == DURATIONS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"code": "NoTable"}, "code 'NoTable', expected 'Ok'"),
        ({"durations": [[0, "x"], [1, 0]]}, "durations[0][1]: 'x', expected a number"),
        ({"demands": [0, 1]}, "'demands' is not supported, expected code, durations"),
        ({"durations": [[0, 1], [1, 0]]}, "4 places, expected at least 2, the same in both"),
        ({"durations": [[0, 1, 2], [1, 0, 2]]}, "durations[0]: 3 entries, expected 2"),
        ({"sources": OSRM["sources"][::-1]}, "sources and destinations differ"),
        ({"fallback_speed_cells": [[0, 1]]}, "fallback_speed_cells: estimated entries"),
    ],
)
def test_bad_osrm_tables(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """An answer that is no whole table is refused."""
    path = put(tmp_path, OSRM | change)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)
