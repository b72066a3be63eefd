"""
Gap against instances a second on random TSP instances: a policy, fast-tsp and OR-Tools.

All cores work on many instances at once, as one solves batches: the policy decodes them together,
the classical solvers one in each process. Every tour is checked. The reference is the best tour of
fast-tsp after ``--reference-seconds``, or any shorter tour that is found. OR-Tools takes long,
so it solves the first instances only (``--few``); the gaps of all solvers on those are in the
file, too.

    python benchmarks/tsp_curve.py --out benchmarks/tsp_curve.csv --plot benchmarks/tsp_curve.png
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rows import write_rows
from tensordict import TensorDict
from torch import Tensor

from nco.cli.generators import make_generator
from nco.data.seeding import seeded
from nco.decoding import Augment, MultiStart, Search, Single
from nco.envs import problem
from nco.evaluation.evaluate import evaluate_policy
from nco.hub.released import load_policy
from nco.solvers.fast_tsp import FastTSP
from nco.solvers.hybrid.worker_pool import WorkerPool
from nco.solvers.ortools import ORTools

FIELDS = ["solver", "setting", "instances", "instances/s", "cost", "gap %", "gap of the first %"]
DECODINGS: list[tuple[str, Search]] = [
    ("greedy", Single()),
    ("greedy, 8 views", Augment(Single())),
    ("10 starts", MultiStart(10)),
    ("100 starts", MultiStart()),
    ("10 starts, 8 views", Augment(MultiStart(10))),
    ("30 starts, 8 views", Augment(MultiStart(30))),
    ("100 starts, 8 views", Augment(MultiStart())),
]
FAST_TSP = (0.001, 0.003, 0.01, 0.03, 0.1)  # seconds for an instance
OR_TOOLS = (0.1, 0.5, 2.0)
CLASSICAL: dict[str, Callable[[], FastTSP | ORTools]] = {"fast-tsp": FastTSP, "OR-Tools": ORTools}
Point = tuple[str, str, float, Tensor]


def solve_one(task: tuple[str, TensorDict, float]) -> float:
    """The checked cost of one instance."""
    solver, instance, seconds = task
    solution = CLASSICAL[solver]().solve(problem("tsp"), instance, seconds)
    if not solution.feasible:
        raise RuntimeError(f"{solver}, {seconds:g} s: {solution.violations}")
    return solution.cost


def classical(crew: WorkerPool, solver: str, instances: TensorDict, seconds: float) -> Point:
    """One solver with one time limit on all instances, one on each core at a time."""
    costs = torch.zeros(len(instances), dtype=torch.double)
    waiting, under_way = list(range(len(instances))), dict[int, int]()
    began = time.perf_counter()
    while waiting or under_way:
        while waiting and crew.idle:
            worker, k = crew.idle[0], waiting.pop(0)
            under_way[worker] = k
            crew.submit(worker, (solver, instances[k : k + 1], seconds))
        for worker, result in crew.wait(60):
            if isinstance(result, Exception):
                raise result
            costs[under_way.pop(worker)] = result
    return solver, f"{seconds:g} s", len(instances) / (time.perf_counter() - began), costs


def neural(name: str, instances: TensorDict, setting: str, search: Search) -> Point:
    """The policy with one way of decoding."""
    released = load_policy(name)
    env, there = released.adapt(problem("tsp"), instances)
    evaluate_policy(env, released.policy, there[:8], search, seed=1)
    found = evaluate_policy(env, released.policy, there, search, seed=1)
    if found.infeasible:
        raise RuntimeError(f"{setting}: {found.infeasible}")
    return f"policy {name}", setting, len(instances) / found.seconds, found.costs


def rows_of(points: list[Point], few: int) -> list[dict[str, str]]:
    """The table; gaps to the best tour of each instance that was found."""
    most = max(len(costs) for *_, costs in points)
    best = torch.full((most,), torch.inf, dtype=torch.double)
    for *_, costs in points:
        best[: len(costs)] = torch.minimum(best[: len(costs)], costs)
    rows = []
    for solver, setting, rate, costs in points:
        gaps = 100 * (costs / best[: len(costs)] - 1)
        values = [f"{rate:.4g}", f"{costs.mean():.5f}", f"{gaps.mean():.3f}"]
        values += [f"{gaps[:few].mean():.3f}"]
        rows.append(dict(zip(FIELDS, [solver, setting, str(len(costs)), *values], strict=True)))
    return rows


def draw(rows: list[dict[str, str]], size: int, picture: Path) -> None:
    """Gap against instances a second."""
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    axes = figure.subplots()
    for solver in dict.fromkeys(row["solver"] for row in rows):
        mine = [row for row in rows if row["solver"] == solver]
        x = [float(row["instances/s"]) for row in mine]
        y = [max(float(row["gap %"]), 1e-3) for row in mine]
        axes.plot(x, y, marker="o", linestyle="none" if "policy" in solver else "-", label=solver)
        for row, a, b in zip(mine, x, y, strict=True):
            axes.annotate(row["setting"], (a, b), (4, 3), textcoords="offset points", fontsize=7)
    axes.set(xscale="log", yscale="log", title=f"TSP, {size} uniform nodes")
    axes.set_xlabel("instances a second, all cores")
    axes.set_ylabel("mean gap to the best known, % (0.001 is 0)")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    figure.savefig(picture, dpi=150)


def main() -> None:
    """Measures one point after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path, required=True)
    parser.add_argument("--policy", default="tsp")
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--few", type=int, default=100, help="instances that OR-Tools solves")
    parser.add_argument("--reference-seconds", type=float, default=0.3)
    options = parser.parse_args()
    workers = len(os.sched_getaffinity(0))
    torch.set_num_threads(workers)
    instances = make_generator("tsp", options.size)(options.count, seeded(1234))
    points: list[Point] = []

    def keep(point: Point) -> None:
        points.append(point)
        rows = rows_of(points, options.few)
        print(*rows[-1].values(), sep="  ", flush=True)
        write_rows(options.out, rows, FIELDS)

    with WorkerPool(solve_one, workers) as crew:
        for seconds in (options.reference_seconds, *sorted(FAST_TSP, reverse=True)):
            keep(classical(crew, "fast-tsp", instances, seconds))
        for seconds in OR_TOOLS:
            keep(classical(crew, "OR-Tools", instances[: options.few], seconds))
    for setting, search in DECODINGS:
        keep(neural(options.policy, instances, setting, search))
    draw(rows_of(points, options.few), options.size, options.plot)


if __name__ == "__main__":
    main()
