"""
The hybrid solver next to its rivals at the same wall time, instance by instance.

    python benchmarks/hybrid.py DATA --out benchmarks/hybrid.csv --family cvrplib_x \
        --solvers hybrid pyvrp ortools --time-limit 10

Every row is written as it is found and never made twice, so a run that was cut off goes on. With
``--summary`` it only prints mean gaps of what is in the file.
"""

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tensordict import TensorDict

from nco.cli.files import read_all
from nco.cli.generators import make_generator
from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.data.seeding import seeded
from nco.envs import RoutingEnv, problem
from nco.solution import Solution
from nco.solvers.base import UsesPolicy
from nco.solvers.fast_tsp import FastTSP
from nco.solvers.hybrid import Hybrid
from nco.solvers.hybrid.worker_pool import WorkerPool
from nco.solvers.ortools import ORTools
from nco.solvers.policy.solver import PolicySolver
from nco.solvers.pyvrp import PyVRP

FIELDS = ["family", "instance", "n", "solver", "limit", "cost", "reference", "gap", "feasible"]
FIELDS += ["seconds", "seed"]
Named = tuple[str, RoutingEnv, TensorDict, float | None]


class TwoSeeds:
    """PyVRP with two seeds in two processes at once, which stay; the better one counts."""

    def __init__(self) -> None:
        self._crew: WorkerPool | None = None

    def solve(
        self,
        env: RoutingEnv,
        instance: TensorDict,
        time_limit: float | None = None,
        seed: int = 0,
        start: Solution | None = None,
    ) -> Solution:
        """See `nco.solvers.base.Solver`."""
        self._crew = self._crew or WorkerPool(lambda task: PyVRP().solve(*task), 2)
        began = time.perf_counter()
        found: list[Solution] = []
        for worker in list(self._crew.idle):
            self._crew.submit(worker, (env, instance, time_limit, seed + worker, start))
        while self._crew.busy:
            found += [s for _, s in self._crew.wait(60) if isinstance(s, Solution)]
        best = min(found, key=lambda solution: (not solution.feasible, solution.cost))
        return replace(best, seconds=time.perf_counter() - began)

    def warm(self, env: RoutingEnv, instance: TensorDict) -> None:
        """Starts the processes, as the hybrid's are before its clock runs."""
        self.solve(env, instance, 0.1)


SOLVERS: dict[str, Callable[[], Any]] = {
    "hybrid": Hybrid,
    "hybrid-savings": lambda: Hybrid(proposals=False),
    "hybrid-random-parts": lambda: Hybrid(learned=False),
    "policy": PolicySolver,
    "pyvrp": PyVRP,
    "pyvrp-2-seeds": TwoSeeds,
    "ortools": ORTools,
    "fast-tsp": FastTSP,
}


def instances(data: Path, family: str, most: int, every: int, count: int) -> Iterator[Named]:
    """The instances of a folder up to a size, or of the CVRP with 100 customers as drawn."""
    if family == "cvrp_100":
        drawn = make_generator("cvrp", 100, "uniform")(200, seeded(1234))
        for k in range(0, 200, every)[:count]:
            yield f"cvrp_100_{k:03}", problem("cvrp"), drawn[k : k + 1], None
        return
    files, _ = read_all([str(data / family)], "auto", print)
    files = [file for file in files if num_nodes(file.instance) <= most]
    for file in files[::every][:count]:
        env = problem(file.problem, instance=file.instance)
        yield file.name, env, file.instance, file.best_known


def main() -> None:
    """Reads the command line and runs what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--family", default="cvrplib_x")
    parser.add_argument("--solvers", nargs="+", default=["hybrid", "pyvrp", "ortools"])
    parser.add_argument("--time-limit", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=20_000, help="nodes of an instance")
    parser.add_argument("--every", type=int, default=1, help="only every so many instances")
    parser.add_argument("--count", type=int, default=1000, help="so many of them")
    parser.add_argument("--minutes", type=float, default=1e9, help="begins no run after so long")
    parser.add_argument("--summary", action="store_true")
    args = parser.parse_args()
    rows = list(csv.DictReader(args.out.open())) if args.out.exists() else []
    if not args.summary:
        run(args, rows)
    summarise(rows)


def run(args: argparse.Namespace, rows: list[dict[str, Any]]) -> float:
    """Solves what is not in the rows, and adds it to them and to the file; minutes that it took."""
    done = {(row["instance"], row["solver"], float(row["limit"]), int(row["seed"])) for row in rows}
    begun = time.monotonic()
    end = begun + 60 * args.minutes
    new = not args.out.exists()
    with args.out.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        if new:
            writer.writeheader()
        made: dict[str, Any] = {}
        for name, env, instance, best in instances(
            args.data, args.family, args.most, args.every, args.count
        ):
            for solver in args.solvers:
                if (name, solver, args.time_limit, args.seed) in done or time.monotonic() > end:
                    continue
                if solver not in made:
                    made[solver] = SOLVERS[solver]()
                    if isinstance(made[solver], TwoSeeds):
                        made[solver].warm(env, instance)
                row = solve(env, instance, made[solver], args.time_limit, args.seed)
                row |= {"solver": solver}
                row |= {"family": args.family, "instance": name, "reference": best}
                if best and row["feasible"]:
                    row["gap"] = 100 * (row["cost"] / best - 1)
                writer.writerow(row)
                stream.flush()
                rows.append({key: str(row.get(key, "")) for key in FIELDS})
                print(name, solver, row["cost"], row.get("gap"), row["seconds"], flush=True)
    return (time.monotonic() - begun) / 60


def solve(
    env: RoutingEnv, instance: TensorDict, solver: Any, limit: float, seed: int
) -> dict[str, Any]:
    """One row; what a solver refuses is not feasible."""
    row = {"n": env.num_customers(instance), "limit": limit, "seed": seed}
    try:
        if isinstance(solver, UsesPolicy):
            solver.policy_for(env)  # loading is not solving
        began = time.perf_counter()
        found = solver.solve(env, instance, limit, seed)
        seconds = round(time.perf_counter() - began, 3)
    except InputError as error:
        print(error)
        return row | {"cost": "", "feasible": False, "seconds": ""}
    return row | {"cost": found.cost, "feasible": found.feasible, "seconds": seconds}


def summarise(rows: list[dict[str, Any]]) -> None:
    """Prints means over the instances that all solvers of a family and limit have solved."""
    table: dict[tuple[str, float], dict[str, dict[str, dict[str, Any]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for row in rows:
        table[row["family"], float(row["limit"])][row["solver"]][row["instance"]] = row
    for (family, limit), solvers in sorted(table.items()):
        good = [
            {name for name, row in found.items() if row["feasible"] == "True"}
            for found in solvers.values()
        ]
        common = set.intersection(*(names for names in good if names))
        for solver, found in solvers.items():
            gaps = [float(found[n]["gap"]) for n in common if n in found and found[n].get("gap")]
            costs = [float(found[n]["cost"]) for n in common if n in found]
            solved = sum(row["feasible"] == "True" for row in found.values())
            late = max((float(r["seconds"]) for r in found.values() if r["seconds"]), default=0.0)
            print(
                f"{family:24} {limit:5g} s  {solver:20}"
                f" gap {sum(gaps) / len(gaps) if gaps else float('nan'):7.3f} %"
                f"  cost {sum(costs) / len(costs) if costs else float('nan'):12.5g}"
                f"  of {len(common)}, feasible {solved}/{len(found)}, slowest {late:.2f} s"
            )


if __name__ == "__main__":
    main()
