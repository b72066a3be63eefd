"""
Makes the X instances of ``data/examples`` and the best-known solutions beside all examples there.

    python benchmarks/make_examples.py [SECONDS]

Instances that are there already are kept, and a solution is replaced by a better one only.
"""

import sys
from pathlib import Path

from nco.data.formats import FileInstance, read, read_solution, write, write_solution
from nco.data.generators import XGenerator
from nco.data.seeding import seeded
from nco.envs import problem
from nco.solvers.pyvrp import PyVRP

FOLDER = Path(__file__).parents[1] / "data" / "examples"
SEED = 2017
SIZES = (100, 200)


def make_instance(size: int) -> None:
    """One instance of the X recipe, everything about it drawn."""
    instance = XGenerator(size, rounded=True)(1, seeded(SEED, size))
    vehicles = -(-int(instance["demand"].sum()) // int(instance["capacity"]))
    name = f"nco-n{size + 1}-k{vehicles}"  # nodes and least number of routes, as in CVRPLIB
    path = FOLDER / f"{name}.vrp"
    if not path.exists():
        write(path, FileInstance(name, "cvrp", instance, path))


def solve(path: Path, seconds: float) -> None:
    """Runs PyVRP and keeps its solution if it is better than the one that is there."""
    file = read(path)
    solution = PyVRP().solve(problem(file.problem), file.instance, seconds, seed=1)
    print(f"{file.name}: {solution.cost:g} (before: {file.best_known})", flush=True)
    if solution.feasible and (file.best_known is None or solution.cost < file.best_known):
        routes = solution.routes
        write_solution(path.with_suffix(".sol"), routes, solution.cost)
        assert read_solution(path.with_suffix(".sol"))[1] == solution.cost


if __name__ == "__main__":
    limit = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
    for size in SIZES:
        make_instance(size)
    for suffix in ("vrp", "csv"):
        for path in sorted(FOLDER.glob(f"*.{suffix}")):
            solve(path, limit)
