"""Several policies, decodings and seeds on the same instances, and how they differ."""

import csv
import json
from pathlib import Path

import pytest
import torch
from scipy import stats

from nco.data.dataset import load_instances, save_instances
from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.decoding import ActiveSearch, Single
from nco.decoding.strategies import Sampling
from nco.envs import problem
from nco.evaluation import evaluate as module
from nco.evaluation.evaluate import evaluate_policy, safe_batch_size
from nco.evaluation.experiment import latex, markdown
from nco.evaluation.statistics import compare, mean_of
from nco.hub.released import load_policy
from tests.nco.cli.conftest import Run, run  # noqa: F401  a fixture


@pytest.fixture
def data(run: Run) -> Path:  # noqa: F811
    """Ten CVRP instances of eight customers, with made-up references."""
    assert run("generate", "cvrp", "--size", 8, "--count", 10, "--out", "set.npz").code == 0
    path = Path("set.npz").absolute()
    costs = torch.linspace(2, 3, 10, dtype=torch.float64)
    save_instances(path, load_instances(path), "cvrp", costs)
    return path


def test_means_and_tests_are_those_of_scipy() -> None:
    """Standard error, 95 % interval and the p-value of a paired t-test."""
    rng = torch.Generator().manual_seed(1)
    first, second = torch.rand(2, 12, generator=rng).tolist()
    found = mean_of(first)
    assert found.stderr == pytest.approx(stats.sem(first))
    expected = stats.t.interval(0.95, 11, found.value, stats.sem(first))
    assert (found.low, found.high) == pytest.approx(expected)
    told, test = compare(first, second), stats.ttest_rel(first, second)
    assert told.p == pytest.approx(test.pvalue)
    interval = test.confidence_interval(0.95)
    assert (told.difference.low, told.difference.high) == pytest.approx(tuple(interval))


def test_edges_of_the_statistics() -> None:
    """One value has no spread, equal pairs no difference, a constant one no doubt."""
    assert mean_of([3.0]).low == mean_of([3.0]).high == 3.0
    assert compare([1.0, 2.0], [1.0, 2.0]).p == 1
    assert compare([2.0, 3.0], [1.0, 2.0]).p == 0
    with pytest.raises(InputError, match="expected 2 pairs or more"):
        compare([1.0], [2.0])


def test_the_gap_has_its_error_and_interval(data: Path, run: Run) -> None:  # noqa: F811
    """Over the instances' gaps, as scipy computes them from costs written one by one."""
    words = ["--policy", "cvrp", "--data", data, "--csv", "costs.csv", "--json"]
    told = json.loads(run("evaluate", *words).out)
    rows = list(csv.DictReader(Path("costs.csv").read_text().splitlines()))
    assert [int(row["instance"]) for row in rows] == list(range(10))
    costs, references = ([float(row[key]) for row in rows] for key in ("cost", "reference"))
    gaps = [100 * (cost / known - 1) for cost, known in zip(costs, references, strict=True)]
    assert [float(row["gap"]) for row in rows] == pytest.approx(gaps)
    assert {row["feasible"] for row in rows} == {"True"}
    assert (told["cost"], told["gap"]) == pytest.approx((sum(costs) / 10, sum(gaps) / 10))
    assert told["gap_stderr"] == pytest.approx(stats.sem(gaps))
    interval = stats.t.interval(0.95, 9, sum(gaps) / 10, stats.sem(gaps))
    assert told["gap_interval"] == pytest.approx(interval)


def test_one_command_makes_the_table(data: Path, run: Run) -> None:  # noqa: F811
    """Two policies, two decodings and three seeds: rows, tests beside the first row, and the same
    table as Markdown, CSV and LaTeX."""
    words = ["--policy", "cvrp", "vrp", "--decode", "greedy", "sample", "--samples", 2]
    words += ["--seed", 1, 2, 3, "--data", data, "--csv", "costs.csv", "--json"]
    result = run("evaluate", *words, "--table", "table.md")
    assert result.code == 0, result.err
    told = json.loads(result.out)
    names = [(row["policy"], row["decode"]) for row in told["runs"]]
    assert names == [(p, d) for p in ("cvrp", "vrp") for d in ("greedy 2", "sample 2")]
    assert all(row["seeds"] == [1, 2, 3] for row in told["runs"])

    rows = list(csv.DictReader(Path("costs.csv").read_text().splitlines()))
    assert len(rows) == 4 * 3 * 10
    by_row = {
        name: [
            sum(
                float(row["cost"])
                for row in rows
                if (row["policy"], row["decode"], row["instance"]) == (*name, str(k))
            )
            / 3
            for k in range(10)
        ]
        for name in names
    }
    for name, row in zip(names, told["runs"], strict=True):
        assert row["cost"] == pytest.approx(sum(by_row[name]) / 10)
    for name, test in zip(names[1:], told["tests"], strict=True):
        expected = stats.ttest_rel(by_row[name], by_row[names[0]])
        assert test["p"] == pytest.approx(expected.pvalue, rel=1e-6)
        difference = sum(by_row[name]) / 10 - sum(by_row[names[0]]) / 10
        assert test["difference"] == pytest.approx(difference)

    lines = Path("table.md").read_text().splitlines()
    assert len(lines) == 6 and lines[1] == "|" + " --- |" * 8
    assert f"{told['runs'][3]['cost']:.4f} ± {told['runs'][3]['stderr']:.4f}" in lines[5]
    for suffix, sign in (("csv", "policy,decode,seeds"), ("tex", r"\begin{tabular}{llrrrrrr}")):
        assert run("evaluate", *words, "--table", f"table.{suffix}").code == 0
        assert Path(f"table.{suffix}").read_text().startswith(sign)


def test_signs_of_the_formats_are_escaped() -> None:
    """A name with the signs of a format is a name there."""
    rows = [("name", "gap %"), ("a_b|c", "1 ± 2")]
    assert markdown(rows).splitlines()[2] == "| a\\_b\\|c | 1 ± 2 |".replace("\\_", "_")
    assert r"a\_b|c & 1 $\pm$ 2 \\" in latex(rows)
    assert r"name & gap \% \\" in latex(rows)


def test_options_reach_the_decoding(data: Path, run: Run) -> None:  # noqa: F811
    """Temperature, top-k and top-p are those of `Sampling`; iterations those of active search."""
    env, instances, policy = problem("cvrp"), load_instances(data), load_policy("cvrp").policy
    for words, search in (
        (["sample", "--samples", 3, "--temperature", 3, "--top-k", 4, "--top-p", 0.8],
         Single(Sampling(3.0, 4, 0.8), 3)),
        (["eas", "--samples", 4, "--iterations", 2], ActiveSearch(iterations=2, samples=4)),
    ):  # fmt: skip
        options = ["--policy", "cvrp", "--data", data, "--seed", 5, "--json"]
        result = run("evaluate", "--decode", *words, *options)
        assert result.code == 0, result.err
        told = json.loads(result.out)
        found = evaluate_policy(env, policy, instances, search, seed=5).costs
        assert told["cost"] == pytest.approx(float(found.mean()))


def test_bfloat16_rounds_the_network_alone(data: Path, run: Run) -> None:  # noqa: F811
    """Costs of half-precision decoding are those of checked routes, near those of float32."""
    words = ["--policy", "cvrp", "--data", data, "--json", "--precision"]
    single, half = (
        json.loads(run("evaluate", *words, kind).out)["cost"] for kind in ("float32", "bfloat16")
    )
    assert half == pytest.approx(single, rel=0.05)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--temperature", "2"], "temperature, top-k and top-p: not of greedy, expected sample"),
        (["--decode", "beam", "--iterations", "2"], "iterations: 2 of beam, expected"),
        (["--table", "table.doc"], "table.doc: .doc, expected .md, .csv, .tex"),
        (["--policy", "cvrp", "tsp"], "'tsp' does not support this problem"),
        (["--precision", "int8"], "--precision"),
    ],
)
def test_what_does_not_fit_is_one_line(
    words: list[str],
    message: str,
    data: Path,
    run: Run,  # noqa: F811
) -> None:
    """Options of another decoding, an unknown table, a policy for other problems."""
    result = run("evaluate", "--data", data, *words)
    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert message in line


def test_batches_shrink_where_memory_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that a device has no memory for is halved until it fits; costs stay the same."""
    env, released = problem("cvrp"), load_policy("cvrp")
    from nco.data.generators import CVRPGenerator

    instances, sizes = CVRPGenerator(6)(9, seeded(1)), []

    class Small(Single):
        """A search on a device with memory for two instances."""

        def __call__(self, env, policy, instance, rng=None, deadline=None):  # type: ignore[no-untyped-def]
            sizes.append(len(instance))
            if len(instance) > 2:
                raise torch.OutOfMemoryError
            return super().__call__(env, policy, instance, rng, deadline)

    found = evaluate_policy(env, released.policy, instances, Small()).costs
    assert sizes == [9, 4, 2, 2, 2, 2, 1]
    expected = evaluate_policy(env, released.policy, instances, Single()).costs
    torch.testing.assert_close(found, expected)
    with pytest.raises(InputError, match="not enough memory for 9 instances"):
        evaluate_policy(env, released.policy, instances, Small(), batch_size=9)


def test_batches_use_the_memory_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what is free on the device, and never less than on a CPU."""
    from nco.data.generators import CVRPGenerator

    env, instances = problem("cvrp"), CVRPGenerator(100)(1, seeded(1))
    modest = safe_batch_size(env, instances, Single())
    for free, factor in ((80e9, 80), (0.1e9, 1)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, free))
        found = safe_batch_size(env, instances, Single(), "cuda")
        assert found == pytest.approx(factor * modest, rel=0.01)
    assert module.MODEST == 0.5e9
