"""``nco evaluate``: a policy on many instances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nco.cli.arguments import Count, Seed
from nco.cli.choices import Decode, Distribution, Paper, Precision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tensordict import TensorDict
    from torch import Tensor

    from nco.decoding import Search
    from nco.envs import RoutingEnv
    from nco.evaluation.experiment import Entry
    from nco.hub.released import Released


def evaluate(
    policy: list[str] | None = None,
    data: Path | None = None,
    problem: str | None = None,
    size: Count | None = None,
    count: Count | None = None,
    distribution: Distribution = "uniform",
    reference: Path | None = None,
    decode: list[Decode] | None = None,
    samples: Count | None = None,
    augment: Count = 1,
    temperature: float = 1.0,
    top_k: Count | None = None,
    top_p: float = 1.0,
    iterations: Count | None = None,
    batch_size: Count | None = None,
    paper: Paper | None = None,
    device: str = "cpu",
    precision: Precision = "float32",
    seed: list[Seed] | None = None,
    csv: Path | None = None,
    table: Path | None = None,
    json: bool = False,
) -> int:
    """
    Measures policies on a data set, or on instances drawn for the purpose.

    Prints mean cost with its standard error, the mean gap to reference costs where there are any,
    with its 95 % interval, and instances a second. Several policies, decodings and seeds make one
    table, each row beside the first by a paired t-test. Every solution is checked. Exit codes: 0
    done, 1 a solution is not feasible, 2 bad input.

    Parameters
    ----------
    policy
        Names of shipped policies, released folders, or training checkpoints; by default the
        shipped policy for the problem.
    data
        Data set (.npz, .safetensors, .pkl, .txt of LEHD, .pt of POMO); its own costs are the
        reference where it has them.
    problem
        Problem to draw instances of, or of the data set where it does not state it.
    size
        Customers of drawn instances (for the TSP: nodes); by default 100.
    count
        Instances to draw, by default 1000; or to take from the beginning of the data set, by
        default all.
    distribution
        Of drawn instances: uniform, cluster or x.
    reference
        Costs of each instance: .pkl of (cost, tour), .npz or .safetensors with cost, .csv or .json.
    decode
        How the policies decode, one way or several; greedy by default.
    samples
        How many samples, starts or beams; by default 100 samples, a start at each customer, 10
        beams.
    augment
        Views of each instance under the symmetries of the square, 1 to 8.
    temperature
        Of sampling: above 1 is more random.
    top_k
        Sample from so many of the most probable nodes only.
    top_p
        Sample from the smallest set of nodes that holds this probability.
    iterations
        Of efficient active search (eas), by default 50.
    batch_size
        Instances decoded at once; by default as many as fit in the memory of the device.
    paper
        Decodes the test set of a paper in the arithmetic of its code, and prints the paper's rows
        beside the result: attention-model. --count then takes the beginning of the set, --size is
        by default what the policy was trained on.
    device
        Where to compute, cpu or cuda.
    precision
        In which the network computes: float32, bfloat16, or auto for what suits the device.
    seed
        Seeds of sampling, 1234 by default; the first one is that of drawn instances, too.
    csv
        File for the cost of every instance, with every policy, decoding and seed.
    table
        File for the table: .md, .csv or .tex.
    json
        Print one JSON object instead of a table; of several rows, with runs and tests.
    """
    from nco.cli import DONE, INFEASIBLE, complain
    from nco.cli.instances import draw, load, of_paper
    from nco.cli.tables import beside_paper, console, print_json, table_of_evaluation, table_of_rows
    from nco.data.errors import InputError
    from nco.decoding import make_search
    from nco.envs import problem as find_problem
    from nco.evaluation.evaluate import refuse_impossible
    from nco.evaluation.experiment import (
        HEADER,
        cells,
        comparisons,
        require_table,
        write_rows,
        write_table,
    )
    from nco.evaluation.references import read_references
    from nco.hub.released import default_policy, load_policy

    seeds = list(dict.fromkeys(seed or [1234]))
    decodes: list[Decode] = list(dict.fromkeys(decode or ["greedy"]))
    given = Sampled(temperature, top_k or 0, top_p, iterations or 0)
    searches = {
        describe(way, samples, augment): make_search(
            way, samples or 0, augment, *given.of(way, decodes)
        )
        for way in decodes
    }
    if table is not None:
        require_table(table)
    released = [load_policy(name) for name in dict.fromkeys(policy or [])]
    printed: tuple[tuple[str, float], ...] = ()
    costs = read_references(reference) if reference is not None else None
    if paper is not None:
        if data is not None or len(released) != 1:
            raise InputError("--paper goes with one --policy and without --data")
        name, instances, printed = of_paper(paper, released[0], problem, size, count)
        own = None
    elif data is not None:
        if size is not None:
            raise InputError(f"{data}: its instances have their size, expected no --size")
        name, instances, own = load(data, problem, count, released[0] if released else None)
    elif problem is not None:
        name, instances, own = draw(problem, size or 100, count or 1000, distribution, seeds[0])
    else:
        raise InputError("neither --data nor --problem, expected one of them")
    env = find_problem(name, instance=instances)
    costs = own if costs is None else costs
    if costs is not None and len(costs) < len(instances):
        where = reference or data
        raise InputError(f"{where}: {len(costs)} costs, expected {len(instances)}")
    released = released or [default_policy(env)]
    for one in released:
        one.require(env)
    env.require(instances)
    if data is not None:
        refuse_impossible(env, instances, str(data))
    published = find_problem(name, published=True) if paper is not None else None
    entries = measured(
        released, searches, seeds, env, published, instances, costs, batch_size, device, precision
    )
    infeasible = False
    for entry in entries:
        for at, run in entry.runs.items():
            for row, reason in run.infeasible.items():
                infeasible = True
                where = (
                    f"instance {row}"
                    if len(entries) == len(seeds) == 1
                    else (f"{entry.policy}, {entry.decode}, seed {at}: instance {row}")
                )
                complain("nco evaluate", f"{where}: no feasible solution: {reason}")
    shared = {"problem": name, "n": env.num_customers(instances), "count": len(instances)}
    results = [
        {**shared, "policy": entry.policy, "decode": entry.decode, **entry.summary()}
        for entry in entries
    ]
    if csv is not None:
        write_rows(csv, entries)
    if table is not None:
        write_table(table, entries)
    tests = [
        {
            "first": [entry.policy, entry.decode],
            "second": [entries[0].policy, entries[0].decode],
            "difference": test.difference.value,
            "interval": [test.difference.low, test.difference.high],
            "p": test.p,
        }
        for entry, test in zip(entries[1:], comparisons(entries), strict=False)
    ]
    if json:
        print_json(results[0] if len(results) == 1 else {"runs": results, "tests": tests})
    elif len(results) == 1:
        beside = beside_paper(published or env, results[0], printed)
        console().print(table_of_evaluation(results[0], beside))
    else:
        console().print(f"{name}, n = {shared['n']}, {shared['count']} instances")
        console().print(table_of_rows(HEADER, cells(entries)))
    return INFEASIBLE if infeasible else DONE


@dataclass(frozen=True)
class Sampled:
    """
    Options of single ways of decoding.

    Parameters
    ----------
    temperature, top_k, top_p
        Of sampling.
    iterations
        Of efficient active search.
    """

    temperature: float
    top_k: int
    top_p: float
    iterations: int

    def of(self, decode: Decode, asked: list[Decode]) -> tuple[float, int, float, int]:
        """Those of a way of decoding; all of them where no other way could take them."""
        sampling = decode == "sample" or "sample" not in asked
        searching = decode == "eas" or "eas" not in asked
        shape = (self.temperature, self.top_k, self.top_p) if sampling else (1.0, 0, 1.0)
        return (*shape, self.iterations if searching else 0)


def measured(
    released: Sequence[Released],
    searches: Mapping[str, Search],
    seeds: list[int],
    env: RoutingEnv,
    published: RoutingEnv | None,
    instances: TensorDict,
    costs: Tensor | None,
    batch_size: int | None,
    device: str,
    precision: Precision,
) -> list[Entry]:
    """Every policy with every way of decoding and every seed, on the same instances."""
    from nco.cli.solving import progress
    from nco.evaluation.evaluate import evaluate_policy
    from nco.evaluation.experiment import Entry
    from nco.policies.precision import computes_half

    half = precision == "bfloat16" or (precision == "auto" and computes_half(device))
    entries = []
    with progress() as bar:
        task = bar.add_task("", total=len(released) * len(searches) * len(seeds) * len(instances))
        for policy in released:
            wide, placed = (published, instances) if published else policy.adapt(env, instances)
            for way, search in searches.items():
                runs = {}
                for seed in seeds:
                    bar.update(task, description=f"{policy.name} · {way}")
                    before = bar.tasks[0].completed
                    runs[seed] = evaluate_policy(
                        wide,
                        policy.policy,
                        placed,
                        search,
                        batch_size,
                        seed,
                        device,
                        lambda done, before=before: bar.update(task, completed=before + done),
                        half,
                    )
                entries.append(Entry(wide, policy.name, way, runs, costs))
    return entries


def describe(decode: Decode, samples: int | None, augment: int) -> str:
    """How was decoded, in few words: ``sample 100, 8 views``."""
    number = f" {samples}" if samples else ""
    return f"{decode}{number}, {augment} views" if augment > 1 else f"{decode}{number}"
