"""Labels: right solutions in the format that training reads, resumed and with failures."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch

from nco.cli.label import label
from nco.data.dataset import save_instances
from nco.data.errors import InputError
from nco.data.generators import CVRPGenerator, TSPGenerator
from nco.data.seeding import seeded
from nco.data.solved import Labels
from nco.envs import PROBLEMS, problem
from nco.labelling.label import Settings, label_instances

QUICK = Settings("fast-tsp", 0.01)


def tours(count: int, size: int = 6):
    return TSPGenerator(size)(count, seeded(1))


def test_tours_are_optimal_and_costs_theirs(tmp_path: Path) -> None:
    """Labels of six nodes are the best of all 120 tours, with their length as cost."""
    out = tmp_path / "labels.npz"
    env = problem("tsp")
    assert label_instances(env, tours(8), QUICK, out).solved == 8
    instances, actions = Labels([out]).select(6, torch.arange(8))
    torch.testing.assert_close(instances["locs"], tours(8)["locs"], atol=1 / 65535, rtol=0)
    every = torch.tensor([(0, *p) for p in permutations(range(1, 6))])
    best = env.cost(instances, every.expand(8, -1, -1)).amin(-1)
    found = env.cost(instances, actions.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(found, best, atol=1e-4, rtol=0)
    content = np.load(out)
    torch.testing.assert_close(torch.from_numpy(content["cost"]), found, atol=1e-5, rtol=0)
    assert content["row"].tolist() == list(range(8))


def test_routes_are_feasible_and_costs_on_the_grid(tmp_path: Path) -> None:
    """CVRP labels pass the independent checker; costs are those of the grid of 1000."""
    out = tmp_path / "labels.npz"
    env = problem("cvrp")
    instances = CVRPGenerator(5)(2, seeded(2))
    label_instances(env, instances, Settings("ortools", 1.0), out)
    seen, actions = Labels([out]).select(6, torch.arange(2))
    assert torch.equal(seen["demand"], instances["demand"])
    assert torch.equal(seen["capacity"], instances["capacity"])
    costs = np.load(out)["cost"]
    for row in range(2):
        one = seen[row : row + 1]
        routes = env.visits.routes(one, actions[row].tolist())
        assert env.check(one, routes) == []
        assert env.routes_cost(one, routes) * 1000 == pytest.approx(float(costs[row]), rel=1e-5)


@pytest.mark.parametrize("name", ["vrptw", "1pdvrp", "mdovrp", "vrpbl"])
def test_labels_of_any_rules_come_back(tmp_path: Path, name: str) -> None:
    """Instances with windows, pickups, limits, depots or open ends come back as they were, with
    solutions that the checker accepts at the cost that the file states."""
    out = tmp_path / "labels.npz"
    env = problem(name)
    instances = PROBLEMS[name].generator(5)(2, seeded(2))
    found = label_instances(env, instances, Settings("ortools", 0.2), out)
    assert found.solved == 2
    labels = Labels([out])
    ((nodes, depots),) = labels.shapes
    seen, actions = labels.select(nodes, torch.arange(2), depots)
    assert seen.keys() == instances.keys()
    for key in instances.keys():
        assert torch.equal(seen[key], instances[key])
    costs = np.load(out)["cost"]
    for row in range(2):
        one = seen[row : row + 1]
        routes = env.visits.routes(one, actions[row].tolist())
        assert env.check(one, routes) == []
        assert env.routes_cost(one, routes) == pytest.approx(float(costs[row]), rel=1e-5)


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    """Rows of the journal are not solved again, and a line cut in half is."""
    out = tmp_path / "labels.npz"
    journal = tmp_path / "labels.npz.journal"

    class Killed(Exception):
        pass

    def kill(solved: int, failed: int) -> None:
        if solved == 3:
            raise Killed

    with pytest.raises(Killed):
        label_instances(problem("tsp"), tours(6), QUICK, out, progress=kill)
    assert not out.exists()
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 3
    marked = json.loads(lines[1]) | {"cost": 7.0}  # no solver finds this one
    journal.write_text(lines[0] + json.dumps(marked) + "\n" + lines[2] + lines[3][:9])
    counts: list[int] = []
    label_instances(
        problem("tsp"), tours(6), QUICK, out, progress=lambda done, _: counts.append(done)
    )
    assert counts == [2, 3, 4, 5, 6]
    content = np.load(out)
    assert content["row"].tolist() == list(range(6))
    assert content["cost"][marked["row"]] == 7
    assert not journal.exists()


def test_a_failure_loses_nothing_and_is_tried_again(tmp_path: Path) -> None:
    """The other instances are written, the failed one is named, and the next run tries it."""
    out = tmp_path / "labels.npz"
    env = problem("cvrp")
    instances = CVRPGenerator(4)(3, seeded(3))
    instances["demand"][1, 2] = 1000
    settings = Settings("ortools", 1.0)
    found = label_instances(env, instances, settings, out)
    assert found.solved == 2
    assert list(found.failures) == [1]
    assert "no solution exists" in found.failures[1]
    assert np.load(out)["row"].tolist() == [0, 2]
    assert len(Labels([out])) == 2
    again = label_instances(env, instances, settings, out)
    assert (again.solved, list(again.failures)) == (2, [1])


def test_foreign_journals_and_finished_files_are_refused(tmp_path: Path) -> None:
    """A journal of other settings is not continued, a finished file not overwritten."""
    out = tmp_path / "labels.npz"
    journal = tmp_path / "labels.npz.journal"
    journal.write_text("another\n")
    with pytest.raises(InputError, match="journal of other instances"):
        label_instances(problem("tsp"), tours(2), QUICK, out)
    journal.unlink()
    label_instances(problem("tsp"), tours(2), QUICK, out)
    with pytest.raises(InputError, match="exists already"):
        label_instances(problem("tsp"), tours(2), QUICK, out)


@pytest.mark.parametrize(("name", "rule"), [("op", "OptionalTour"), ("sdvrp", "SplitRoutes")])
def test_problems_without_a_format_are_refused(tmp_path: Path, name: str, rule: str) -> None:
    """What a label file cannot hold is refused before anything is solved, naming the rule."""
    instances = PROBLEMS[name].generator(5)(1, seeded(1))
    with pytest.raises(InputError, match=rule):
        label_instances(problem(name), instances, QUICK, tmp_path / "labels.npz")


def test_the_command_finds_in_two_processes_what_one_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command solves what the file states, says where, and the file is the same as ever."""
    data, alone = tmp_path / "set.npz", tmp_path / "alone.npz"
    save_instances(data, tours(6), "tsp")
    assert label(data, solver="fast-tsp", time_limit=0.01, workers=2) == 0
    assert "6 of 6 instances" in capsys.readouterr().out
    label_instances(problem("tsp"), tours(6), QUICK, alone)
    first, second = np.load(alone), np.load(tmp_path / "set.labels.npz")
    assert sorted(first) == sorted(second)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
