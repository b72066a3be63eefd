"""Benchmark families: what is read costs what was published, and is what PyVRP reads."""

import pytest
import pyvrp
import torch
from tensordict import TensorDict

from nco.data.formats import read, read_solution, read_vehicle_routes
from nco.data.instance import num_depots
from nco.data.metric import leg
from tests.benchmark_data import benchmark_data

FAMILIES = [
    *(("hfvrp", name, "exact") for name in ("X101-FSMFD", "X256-FSMF", "X480-FSMD")),
    *(("mdvrptw", name, "exact") for name in ("PR11A", "PR20A")),
    *(("sdvrptw", name, "exact") for name in ("PR01", "PR13A", "PR19")),
    *(("pcvrptw", f"{name}_10_1", "dimacs") for name in ("C1", "R1", "RC1")),
    *(("mtvrptwr", name, "dimacs") for name in ("R211R0.5", "C2_2_01R0.5", "R2_2_02R0.5")),
    *(("vrpb", name, "round") for name in ("X-n524-50-k125", "X-n655-50-k66")),
    *(("gehring_homberger_1000", f"{name}_10_1", "dimacs") for name in ("C1", "R1")),
]


@pytest.mark.parametrize(("folder", "name", "rounding"), FAMILIES)
def test_stated_costs(folder: str, name: str, rounding: str) -> None:
    """Lengths times unit costs, fixed costs, and what is lost with those left out."""
    path = benchmark_data(folder, f"{name}.vrp")
    file = read(path)
    instance, depots = file.instance, num_depots(file.instance)
    driven = read_vehicle_routes(path.with_suffix(".sol"), file)
    cost = 0.0
    for vehicle, visits in driven:
        stops = torch.tensor([[vehicle, *visits, vehicle]])
        length = float(leg(instance, stops[:, :-1], stops[:, 1:]).double().sum())
        unit = float(instance["unit_cost"][0, vehicle]) if "unit_cost" in instance.keys() else 1
        fixed = float(instance["fixed_cost"][0, vehicle]) if "fixed_cost" in instance.keys() else 0
        cost += unit * length + fixed
    served = {node for _, visits in driven for node in visits}
    left = set(range(depots, instance["demand"].shape[1])) - served
    assert (not left) == ("penalty" not in instance.keys())
    cost += sum(float(instance["penalty"][0, node]) for node in left)
    stated = read_solution(path.with_suffix(".sol"))[1]
    assert stated is not None and file.best_known == stated / file.cost_steps
    assert cost == pytest.approx(file.best_known, abs=0.0051 if folder == "hfvrp" else 1e-6)


@pytest.mark.parametrize(("folder", "name", "rounding"), FAMILIES)
def test_against_pyvrp(folder: str, name: str, rounding: str) -> None:
    """Demands, times and prizes of every customer, and the vehicles with all that they have."""
    path = benchmark_data(folder, f"{name}.vrp")
    file = read(path)
    data = pyvrp.read(path, rounding)
    steps = {"exact": 1000, "dimacs": 10, "round": 1}[rounding]
    instance, depots = file.instance, num_depots(file.instance)
    assert len(data.clients()) == instance["demand"].shape[1] - depots
    # PyVRP scales amounts too; ours are those of the file.
    for node, client in enumerate(data.clients(), start=depots):
        assert client.delivery == [int(instance["demand"][0, node]) * steps]
        if "backhaul" in instance.keys():
            assert client.pickup == [int(instance["backhaul"][0, node])]
        if "time_windows" in instance.keys():
            first, last = instance["time_windows"][0, node].tolist()
            assert (client.tw_early, client.tw_late) == (first * steps, last * steps)
            assert client.service_duration == float(instance["service_time"][0, node]) * steps
        if "release_time" in instance.keys():
            assert client.release_time == float(instance["release_time"][0, node]) * steps
        if "penalty" in instance.keys():
            assert client.prize == float(instance["penalty"][0, node]) * steps
            assert not client.required
    vehicles = file.vehicles or (0,) * data.num_vehicles
    assert len(vehicles) == data.num_vehicles or "vehicle_count" not in instance.keys()
    costs = 100 if folder == "hfvrp" else 1
    for kind in data.vehicle_types():
        of_file = [int(k) for k in kind.name.split(",")]
        for node in {vehicles[k] for k in of_file}:  # of a kind, but one each where there are trips
            plain = instance[0]
            assert kind.capacity == [_of(plain, "capacity", node, 0) * steps]
            assert kind.fixed_cost == pytest.approx(
                _of(plain, "fixed_cost", node, 0) * costs * steps, abs=1e-6
            )
            unit = _of(plain, "unit_cost", node, 1)
            assert kind.unit_distance_cost == pytest.approx(unit * costs)
            limit = _of(plain, "duration_limit", node, float("inf")) * steps
            assert kind.shift_duration == min(limit, 2**63 - 1)
            if "depots" in instance.keys():
                assert kind.start_depot == int(plain["depots"][node]) or folder == "hfvrp"
            if "vehicle_count" in instance.keys():
                listed = sum(vehicle == node for vehicle in vehicles)
                assert int(plain["vehicle_count"][node]) == listed
            assert bool(kind.reload_depots) == (folder == "mtvrptwr")
            if "allowed" in instance.keys():
                way = data.distance_matrix(kind.profile)[0]
                for customer in range(num_depots(instance), plain["allowed"].shape[1]):
                    allowed = bool(plain["allowed"][node, customer])
                    assert (way[customer - num_depots(instance) + 1] < 2**40) == allowed


def _of(plain: TensorDict, name: str, node: int, neutral: float) -> float:
    """What a vehicle has."""
    if name not in plain.keys():
        return neutral
    return float(plain[name][node]) if plain[name].ndim else float(plain[name])
