"""VROOM itself (the package ``pyvroom``, where it is installed) reads what we write for it."""

import json
from pathlib import Path

import pytest

from nco.data.formats import FileInstance, read, write
from nco.data.instance import num_depots
from nco.envs import Route, problem
from tests.benchmark_data import benchmark_data

vroom = pytest.importorskip("vroom", reason="pyvroom is not installed")

FILES = [
    *(("solomon", "R101.txt"), ("cvrplib_x", "X-n125-k30.vrp"), ("vrpspd", "CON3-0.vrpspd")),
    ("ortec_asymmetric_vrptw", "ORTEC-VRPTW-ASYM-0dc59ef2-d1-n213-k25.txt"),
]


def driven(path: Path, file: FileInstance) -> tuple[list[Route], int]:
    """VROOM's routes in our nodes, and their cost."""
    content = json.loads(path.read_text())
    node = num_depots(file.instance)
    nodes: dict[tuple[str, int], int] = {}
    for job in content.get("jobs", []):
        nodes["job", job["id"]] = node
        node += 1
    for shipment in content.get("shipments", []):
        for kind in ("pickup", "delivery"):
            nodes[kind, shipment[kind]["id"]] = node
            node += 1
    found = vroom.Input.from_json(path).solve(exploration_level=0, nb_threads=1)
    assert found.summary.unassigned == 0
    routes = []
    for number, steps in found.routes.groupby("vehicle_id"):
        vehicle = 0 if file.vehicles is None else file.vehicles[number - 1]
        keys = zip(steps["type"], steps["id"], strict=True)
        visits = tuple(nodes[key] for key in keys if key in nodes)
        routes.append(Route(visits, vehicle, vehicle, vehicle))
    return routes, found.summary.cost


@pytest.mark.parametrize(("folder", "name"), FILES)
def test_vroom_means_the_same(folder: str, name: str, tmp_path: Path) -> None:
    """Its routes are feasible here, and cost what it says."""
    path = tmp_path / "t.vroom.json"
    write(path, read(benchmark_data(folder, name)))
    file = read(path)
    routes, cost = driven(path, file)
    env = problem(file.problem, instance=file.instance)
    assert env.check(file.instance, routes) == []
    assert env.routes_cost(file.instance, routes) == cost


def test_vroom_means_the_same_by_pairs(tmp_path: Path) -> None:
    """Shipments with windows and loads, distances rounded to whole numbers."""
    path = tmp_path / "t.vroom.json"
    with pytest.warns(UserWarning, match="its cost is one of other distances"):
        write(path, read(benchmark_data("li_lim", "lc101.txt"), "nearest"))
    file = read(path)
    routes, cost = driven(path, file)
    env = problem(file.problem, instance=file.instance)
    assert env.check(file.instance, routes) == []
    assert env.routes_cost(file.instance, routes) == cost
