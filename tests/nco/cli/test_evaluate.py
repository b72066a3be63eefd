"""``nco evaluate`` from end to end."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from nco.data.dataset import load_instances, save_instances
from nco.decoding import Single
from nco.envs import problem
from nco.hub.released import load_policy
from tests.nco.cli.conftest import Run

FIELDS = ["problem", "n", "count", "policy", "decode", "cost", "stderr", "gap", "reference"]
FIELDS += ["seconds", "instances_per_second", "cost_interval", "gap_stderr", "gap_interval"]
FIELDS += ["seeds"]


@pytest.fixture
def data(run: Run) -> Path:
    """Thirty CVRP instances of ten customers."""
    assert run("generate", "cvrp", "--size", 10, "--count", 30, "--out", "set.npz").code == 0
    return Path("set.npz").absolute()


def greedy(data: Path) -> list[float]:
    """Costs of the shipped policy's greedy solutions, decoded one by one."""
    released, instances = load_policy("cvrp"), load_instances(data)
    return [
        float(Single()(released.env, released.policy, instances[row : row + 1]).best()[1])
        for row in range(len(instances))
    ]


def test_the_fields_are_what_a_loop_computes(data: Path, run: Run) -> None:
    """Mean and standard error over a batch equal those of instances decoded one by one."""
    result = run("evaluate", "--policy", "cvrp", "--data", data, "--json")
    assert result.code == 0, result.err
    told = json.loads(result.out)
    assert list(told) == FIELDS
    costs = torch.tensor(greedy(data), dtype=torch.float64)
    assert told["cost"] == pytest.approx(float(costs.mean()), rel=1e-5)
    assert told["stderr"] == pytest.approx(float(costs.std()) / 30**0.5, rel=1e-4)
    assert (told["problem"], told["n"], told["count"]) == ("cvrp", 10, 30)
    assert (told["policy"], told["decode"]) == ("cvrp", "greedy")
    assert told["gap"] is told["reference"] is None
    assert told["instances_per_second"] == pytest.approx(30 / told["seconds"])


@pytest.mark.parametrize("batch_size", [1, 7, 30, None])
def test_batches_change_nothing(batch_size: int | None, data: Path, run: Run) -> None:
    """The mean cost does not depend on how instances are batched."""
    words = [] if batch_size is None else ["--batch-size", batch_size]
    told = json.loads(run("evaluate", "--data", data, *words, "--json").out)
    assert told["cost"] == pytest.approx(sum(greedy(data)) / 30, rel=1e-5)


@pytest.mark.parametrize("suffix", [".pkl", ".npz", ".csv", ".json"])
def test_references_of_every_format(suffix: str, data: Path, run: Run) -> None:
    """The gap is the mean of the instances' gaps to the costs of the file."""
    costs = [2 + row / 10 for row in range(30)]
    path = data.with_name(f"reference{suffix}")
    if suffix == ".pkl":
        path.write_bytes(pickle.dumps([(cost, [1, 2, 3]) for cost in costs]))
    elif suffix == ".npz":
        save_instances(path, load_instances(data), "cvrp", torch.tensor(costs).double())
    elif suffix == ".csv":
        path.write_text("name,cost\n" + "".join(f"x,{cost}\n" for cost in costs))
    else:
        path.write_text(json.dumps([{"cost": cost} for cost in costs]))
    told = json.loads(run("evaluate", "--data", data, "--reference", path, "--json").out)
    gaps = [100 * (mine / cost - 1) for mine, cost in zip(greedy(data), costs, strict=True)]
    assert told["reference"] == pytest.approx(sum(costs) / 30)
    assert told["gap"] == pytest.approx(sum(gaps) / 30, rel=1e-4)


def test_a_data_set_may_bring_its_own_references(data: Path, run: Run) -> None:
    """Costs in the data set are the reference where no other is given."""
    instances = load_instances(data)
    save_instances(data, instances, "cvrp", torch.full((30,), 2.0, dtype=torch.float64))
    told = json.loads(run("evaluate", "--data", data, "--count", 5, "--json").out)
    assert told["count"] == 5
    assert told["gap"] == pytest.approx(100 * (told["cost"] / 2 - 1))


@pytest.mark.parametrize("decode", ["greedy", "sample", "multistart", "beam"])
def test_no_decoding_is_worse_than_greedy(decode: str, data: Path, run: Run) -> None:
    """Eight views with any decoding beat the mean of one greedy rollout."""
    words = ["--decode", decode, "--augment", 8, "--samples", 4]
    told = json.loads(run("evaluate", "--data", data, *words, "--json").out)
    assert told["cost"] <= sum(greedy(data)) / 30 + 1e-9
    assert "8 views" in told["decode"]


@pytest.mark.parametrize("distribution", ["uniform", "cluster", "x"])
def test_drawn_instances(distribution: str, run: Run) -> None:
    """Without a data set instances are drawn; the same seed gives the same cost."""
    words = ["--problem", "cvrp", "--size", 10, "--count", 8, "--distribution", distribution]
    first, second = (json.loads(run("evaluate", *words, "--json").out) for _ in range(2))
    assert first["cost"] == second["cost"]
    assert (first["n"], first["count"]) == (10, 8)


def test_the_table_has_cost_and_standard_error(data: Path, run: Run) -> None:
    """Without ``--json`` there is one line with what the JSON says."""
    told = json.loads(run("evaluate", "--data", data, "--json").out)
    out = run("evaluate", "--data", data).out
    assert f"{told['cost']:.4f} ± {told['stderr']:.4f}" in out


def test_costs_are_recomputed_from_checked_routes(data: Path) -> None:
    """`evaluate_policy` finds every solution feasible, at the cost of its routes."""
    from nco.evaluation.evaluate import evaluate_policy

    env, instances = problem("cvrp"), load_instances(data)
    found = evaluate_policy(env, load_policy("cvrp").policy, instances, Single())
    assert found.infeasible == {}
    assert found.costs.tolist() == pytest.approx(greedy(data), rel=1e-5)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ([], "--data"),
        (["--problem", "nosuch"], "nosuch"),
        (["--data", "missing.npz"], "missing.npz"),
        (["--data", "set.npz", "--size", "10"], "--size"),
        (["--data", "set.npz", "--problem", "tsp"], "tsp"),
        (["--data", "set.npz", "--policy", "tsp"], "'tsp'"),
        (["--data", "set.npz", "--count", "31"], "31"),
        (["--data", "set.npz", "--reference", "short.json"], "short.json"),
        (["--data", "set.npz", "--reference", "set.npz"], "cost"),
        (["--data", "broken.npz"], "broken.npz"),
    ],
)
def test_bad_requests_are_one_line(words: list[str], part: str, data: Path, run: Run) -> None:
    """What cannot be evaluated is exit code 2."""
    Path("short.json").write_text("[1, 2]")
    Path("broken.npz").write_bytes(data.read_bytes()[:100])
    result = run("evaluate", *words)
    assert result.code == 2
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert part in line
