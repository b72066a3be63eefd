"""
OR-Tools on the seven published variant sets of n = 50, against the published OR-Tools costs.

    python benchmarks/variant_sets.py DATA/vrp_variants_50 --time-limit 1 --out variants_1s.csv

The published costs were found in 200 s (Zhou et al. 2024). The sets with backhauls obey the
one-commodity rule: see `nco.envs.constraints.OneCommodity`. Sets that the output has already are
not solved again. Processor time is written down beside the wall time that the limit is about.
"""

import argparse
import csv
import time
from pathlib import Path
from statistics import fmean

from rows import write_rows

from nco.data.dataset import load_instances, read_costs
from nco.envs import RoutingEnv, problem
from nco.envs.constraints import LinehaulFirst, MaximumLoad, OneCommodity
from nco.solvers.ortools import ORTools

SETS = ("CVRP", "OVRP", "VRPB", "VRPL", "VRPTW", "OVRPTW", "VRPBLTW")
COLUMNS = ("set", "instances", "feasible", "gap", "seconds", "cpu_seconds", "time_limit")
Row = dict[str, str]


def rules_of(name: str) -> RoutingEnv:
    """The problem of a set, its backhauls by the rule of the published routes."""
    env = problem(name.lower())
    rules = [
        OneCommodity() if isinstance(rule, MaximumLoad) else rule
        for rule in env.constraints
        if not isinstance(rule, LinehaulFirst)
    ]
    return RoutingEnv(env.visits, rules, env.objective)


def run(folder: Path, count: int, time_limit: float) -> Row:
    """Mean gap of the first instances of one set."""
    name = folder.name
    stem = f"{name.lower()}50_uniform.pkl"
    instances = load_instances(folder / stem, problem=name.lower())[:count]
    published = read_costs(folder / f"or_tools_200s_{stem}")[:count].tolist()
    env, solver = rules_of(name), ORTools()
    began = time.process_time()
    found = [solver.solve(env, instances[k : k + 1], time_limit) for k in range(len(instances))]
    taken = time.process_time() - began
    gaps = [
        100 * (solution.cost / cost - 1)
        for solution, cost in zip(found, published, strict=True)
        if solution.feasible
    ]
    return {
        "set": name,
        "instances": str(len(found)),
        "feasible": str(len(gaps)),
        "gap": f"{fmean(gaps):.2f}" if gaps else "",
        "seconds": f"{fmean(solution.seconds for solution in found):.2f}",
        "cpu_seconds": f"{taken / len(found):.2f}",
        "time_limit": f"{time_limit:g}",
    }


def main() -> None:
    """Solves what is missing, set by set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=50, help="of each set, the first ones")
    parser.add_argument("--time-limit", type=float, default=1.0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows: list[Row] = []
    if options.out.exists():
        with options.out.open(newline="") as file:
            rows = list(csv.DictReader(file))
    for name in SETS:
        if name in {row["set"] for row in rows}:
            continue
        rows.append(run(options.data / name, options.count, options.time_limit))
        write_rows(options.out, rows, COLUMNS)
        print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
