"""
How well time limits are kept: what solvers take of a limit, by size.

    OMP_NUM_THREADS=1 python benchmarks/time_limits.py
    OMP_NUM_THREADS=1 python benchmarks/time_limits.py --construction

writes time_limits.csv beside this file: achieved are wall seconds, on a quiet machine.
With ``--construction``: prints seconds of the processor for each pair of nodes that classical
solvers take where the limit is next to nothing; their constants ``PREPARING`` come from it.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from rows import write_rows

from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.envs import PROBLEMS, RoutingEnv, problem
from nco.solvers.base import Solver, UsesPolicy
from nco.solvers.registry import find_solver

HERE = Path(__file__).parent
SOLVERS = {
    "tsp": ("hybrid", "policy", "pyvrp", "ortools", "fast-tsp"),
    "cvrp": ("hybrid", "policy", "pyvrp", "ortools"),
}
LIMITS = {20: (0.1, 0.5, 2), 200: (0.1, 0.5, 2), 1000: (0.1, 0.5, 2), 10_000: (0.5, 2, 10)}
MEASURED = (500, 1000, 2000, 4000)
NO_TIME = 0.01


def solve(solver: Solver, env: RoutingEnv, name: str, n: int, limit: float) -> dict[str, Any]:
    """One run: what it took by both clocks, and what came of it."""
    instance = PROBLEMS[name].generator(n)(1, seeded(n))
    if isinstance(solver, UsesPolicy):
        solver.policy_for(env)  # loading is not solving
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        found = solver.solve(env, instance, limit, seed=1)
        outcome = f"{found.cost:.4f}" if found.feasible else "no solution"
    except InputError as error:
        outcome = f"refused: {error}"
    return {
        "problem": name,
        "n": n,
        "limit": limit,
        "solver": "",
        "achieved": round(time.perf_counter() - wall, 4),
        "cpu": round(time.process_time() - cpu, 4),
        "outcome": outcome,
    }


def limits() -> Iterator[dict[str, Any]]:
    """The table of limits."""
    for name, solvers in SOLVERS.items():
        env = problem(name)
        for label in solvers:
            solver = find_solver(label).build()
            solve(solver, env, name, 20, 0.1)  # imports are not solving
            for n, seconds in LIMITS.items():
                for limit in seconds:
                    row = solve(solver, env, name, n, limit) | {"solver": label}
                    print(*row.values(), flush=True)
                    yield row


def construction() -> None:
    """Seconds a pair of nodes without the refusal."""
    for name, solvers in SOLVERS.items():
        for label in solvers[2:]:
            solver = find_solver(label).build()
            for n in MEASURED:
                with patch("nco.solvers.base.MAX_OVERRUN", float("inf")):
                    cpu = solve(solver, problem(name), name, n, NO_TIME)["cpu"]
                print(f"{name} {label} n={n}: {cpu:.2f} s, {cpu / n**2:.2g} s a pair", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--construction", action="store_true")
    torch.set_num_threads(1)
    if parser.parse_args().construction:
        construction()
    else:
        write_rows(HERE / "time_limits.csv", limits())


if __name__ == "__main__":
    main()
