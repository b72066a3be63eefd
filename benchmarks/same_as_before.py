"""
Whether two trees compute the same: costs, tours and training curves of fixed seeds.

``python benchmarks/same_as_before.py OLD_TREE`` runs this file in both trees and compares. Each
problem that the old tree knows is drawn small and solved by the shipped policies (greedy, and from
several starts), by PyVRP with so many iterations and by OR-Tools with so many solutions, so that no
clock decides; a TSP and a CVRP policy are trained for a few steps. Both trees compute without
compiled kernels, which are built differently.
"""

import argparse
import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
OWN_TREE = HERE.parent.parent
CUSTOMERS, ITERATIONS, SOLUTIONS, STEPS = 12, 50, 8, 20
MOST_SECONDS = 10.0  # of a solver: what takes as long is not compared
REFUSED = "refused"
STOPPED = "stopped by the clock"
TOLERANCE = 1e-6  # relative, of losses; tours and costs are compared as they are

TRAINING = """
seed_everything: 7
env: {class_path: nco.envs.problem, init_args: {name: NAME}}
model:
  class_path: nco.training.REINFORCE
  init_args:
    policy:
      class_path: nco.policies.AttentionPolicy
      init_args: {dim: 32, layers: 2, hidden: 64}
    baseline: {class_path: nco.training.RolloutMean}
    starts: -1
    optimizer: {class_path: torch.optim.Adam, init_args: {lr: 0.001}}
data:
  class_path: nco.training.Generated
  init_args:
    generator: {class_path: nco.data.generators.GENERATOR, init_args: {size: 10}}
    batch_size: 8
    batches: STEPS
    val_count: 4
trainer:
  max_epochs: 1
  accelerator: cpu
  precision: 32-true
  log_every_n_steps: 1
  enable_progress_bar: false
  enable_model_summary: false
  logger: {class_path: nco.training.RunLogger, init_args: {save_dir: RUNS, name: NAME}}
"""


def results() -> dict[str, Any]:
    """What the tree that this process imports computes, by name."""
    import torch

    torch.set_num_threads(1)
    from nco.envs import PROBLEMS

    found: dict[str, Any] = {}
    for name in sorted(PROBLEMS):
        found |= _decoded(name) | _solved(name)
        print(name, file=sys.stderr, flush=True)
    for name, generator in (("tsp", "TSPGenerator"), ("cvrp", "CVRPGenerator")):
        found[f"{name}: losses"] = _losses(name, generator)
    return found


def _drawn(name: str) -> tuple[Any, Any]:
    from nco.data.seeding import seeded
    from nco.envs import PROBLEMS, problem

    return problem(name), PROBLEMS[name].generator(CUSTOMERS)(2, seeded(7))


def _decoded(name: str) -> dict[str, Any]:
    """Actions and costs of the policies that serve a problem."""
    import nco
    from nco.data.errors import InputError
    from nco.decoding import MultiStart, Single

    moved = Path(nco.__file__ or "").with_name("hub").is_dir()
    hub = import_module("nco.hub.released" if moved else "nco.released")
    found = {}
    env, instances = _drawn(name)
    for policy in hub.shipped():
        released = hub.shipped_policy(policy)
        try:
            there, widened = released.adapt(env, instances)
        except InputError:
            found[f"{name}: {policy}"] = REFUSED
            continue
        for label, search in (("greedy", Single()), ("starts", MultiStart(5))):
            actions, cost = search(there, released.policy, widened).best()
            found[f"{name}: {policy}, {label}"] = [actions.tolist(), cost.tolist()]
    return found


def _solved(name: str) -> dict[str, Any]:
    """Routes and costs of classical solvers."""
    from nco.data.errors import InputError
    from nco.solvers.ortools import ORTools
    from nco.solvers.pyvrp import PyVRP

    found: dict[str, Any] = {}
    env, instances = _drawn(name)
    for solver in (PyVRP(iterations=ITERATIONS), ORTools(solutions=SOLUTIONS)):
        key = f"{name}: {type(solver).__name__}"
        try:
            solution = solver.solve(env, instances[:1], MOST_SECONDS, 3)
        except InputError:
            found[key] = REFUSED
            continue
        if solution.seconds >= MOST_SECONDS:
            found[key] = STOPPED
            continue
        # The first version called them so: routes with their depots, and what is minimised.
        routes = getattr(solution, "vehicle_routes", None) or solution.routes
        value = getattr(solution, "value", None)
        value = solution.cost if value is None else value
        found[key] = [[[route.vehicle, list(route.visits)] for route in routes], value]
    return found


def _losses(name: str, generator: str) -> list[float]:
    """The loss of each step of a short training."""
    from nco.cli import main as nco

    with tempfile.TemporaryDirectory() as folder:
        settings = {"NAME": name, "GENERATOR": generator, "STEPS": str(STEPS), "RUNS": folder}
        config = TRAINING
        for word, value in settings.items():
            config = config.replace(word, value)
        path = Path(folder) / "config.yaml"
        path.write_text(config)
        with contextlib.redirect_stdout(io.StringIO()):
            code = nco(["fit", "--config", str(path)])
        assert code == 0, f"nco fit: exit code {code}"
        (table,) = Path(folder).glob("**/metrics.csv")
        with table.open(newline="") as file:
            rows = list(csv.DictReader(file))
    (column,) = [key for key in rows[0] if key.endswith("loss")]
    return [float(row[column]) for row in rows if row[column]]


def run(tree: Path) -> dict[str, Any]:
    """The results of a tree, in a process of its own."""
    off = "0" if (tree / "data/compiled.py").exists() else "off"  # as version 0.1 calls it
    environment = {**os.environ, "NCO_KERNELS": off, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(tree)
    command = [sys.executable, "-P", str(HERE), "--results"]
    done = subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout.decode().splitlines()[-1])
    return found


def differs(before: Any, after: Any) -> bool:
    """Whether two results are not the same; real numbers are, within rounding."""
    if STOPPED in (before, after):
        return False
    if isinstance(before, list) and isinstance(after, list):
        unlike = len(before) != len(after)
        return unlike or any(differs(a, b) for a, b in zip(before, after, strict=True))
    if isinstance(before, float) and isinstance(after, float):
        return abs(before - after) > TOLERANCE * max(1.0, abs(before))
    return bool(before != after)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("old", type=Path, nargs="?", help="the other tree")
    parser.add_argument("--results", action="store_true", help="print this tree's results")
    arguments = parser.parse_args()
    if arguments.results:
        print(json.dumps(results()))
        return 0
    before, after = run(arguments.old.resolve()), run(OWN_TREE)
    odd = [key for key, value in before.items() if key not in after or differs(value, after[key])]
    for key in odd:
        print(f"{key}\n  before {_brief(before[key])}\n  after  {_brief(after.get(key))}")
    print(f"{len(before) - len(odd)} of {len(before)} results are the same")
    return int(bool(odd))


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) < 200 else f"{text[:197]}..."


if __name__ == "__main__":
    sys.exit(main())
