"""
How a multi-task run improves on each of the 16 single-depot variants [O]VRP[B][L][TW], n = 50.

Takes the checkpoints of a run, decodes 100 instances of every variant from 50 starts, and sets the
costs beside references: the best of the published costs of HGS, OR-Tools and LKH where DATA has the
variant (CVRP, OVRP, VRPL, VRPTW, OVRPTW), else PyVRP's on instances that are drawn once.

    python benchmarks/multitask.py runs/vrp48/version_0/checkpoints --data DATA/vrp_variants_50
"""

import argparse
import csv
import re
from itertools import product
from pathlib import Path

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.dataset import load_instances
from nco.data.seeding import seeded
from nco.decoding import MultiStart
from nco.envs import PROBLEMS, problem
from nco.envs.variants import canonical
from nco.evaluation import evaluate_policy
from nco.references import read_references
from nco.released import load_policy
from nco.solvers.pyvrp import PyVRP

COUNT, SIZE = 100, 50
VARIANTS = [
    canonical("".join(parts))
    for parts in product(("", "o"), ("vrp",), ("", "b"), ("", "l"), ("", "tw"))
]
PUBLISHED = {name: name.upper() for name in ("cvrp", "ovrp", "vrpl", "vrptw", "ovrptw")}
FIELDS = ["variant", "step", "cost", "reference", "gap %", "infeasible", "reference of"]


def references(
    name: str, data: Path | None, scratch: Path, seconds: float
) -> tuple[TensorDict, Tensor, str]:
    """Instances of a variant, a good cost of each, and whose it is."""
    folder = data / PUBLISHED[name] if data is not None and name in PUBLISHED else None
    if folder is not None and folder.exists():
        (file,) = (
            f for f in folder.glob("*.pkl") if not f.name.startswith(("hgs", "or_tools", "lkh"))
        )
        instances = load_instances(file, problem=name)[:COUNT]
        found = [
            read_references(f)[:COUNT]
            for f in folder.glob("*.pkl")
            if f.name.startswith((f"hgs_{name}", "or_tools", "lkh"))
        ]
        return instances, torch.stack(found).amin(0), "published"
    instances = PROBLEMS[name].generator(SIZE)(COUNT, seeded(2024))
    stored = scratch / f"{name}.csv"
    costs = [float(line) for line in stored.read_text().split()] if stored.exists() else []
    env = problem(name)
    for row in range(len(costs), COUNT):
        solution = PyVRP().solve(env, instances[row : row + 1], seconds, seed=1)
        with stored.open("a") as file:
            file.write(f"{solution.cost}\n")
        costs.append(solution.cost)
    return instances, torch.tensor(costs), f"PyVRP, {seconds:g} s"


def step_of(path: Path) -> int:
    """The training step in a checkpoint's name."""
    found = re.search(r"step=(\d+)", path.name)
    return int(found[1]) if found else -1


def main(
    folder: Path, steps: list[int], data: Path | None, scratch: Path, seconds: float, out: Path
) -> None:
    """Measures what is missing; writes after every row."""
    scratch.mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader(out.open())) if out.exists() else []
    known = {(row["variant"], int(row["step"])) for row in rows}
    files = {step_of(path): path for path in folder.glob("*.ckpt")}
    for name in VARIANTS:
        todo = [step for step in steps if (name, step) not in known]
        if not todo:
            continue
        instances, best, source = references(name, data, scratch, seconds)
        for step in todo:
            released = load_policy(files[step])
            env, there = released.adapt(problem(name), instances)
            found = evaluate_policy(env, released.policy, there, MultiStart(SIZE), seed=1)
            gap = 100 * float((found.costs / best - 1).mean())
            rows.append(
                {
                    "variant": name,
                    "step": step,
                    "cost": round(float(found.costs.mean()), 4),
                    "reference": round(float(best.mean()), 4),
                    "gap %": round(gap, 2),
                    "infeasible": len(found.infeasible),
                    "reference of": source,
                }
            )
            print(rows[-1], flush=True)
            with out.open("w", newline="") as file:
                writer = csv.DictWriter(file, FIELDS)
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("--steps", type=int, nargs="+", required=True)
    parser.add_argument("--data", type=Path, help="folder with the published variant sets")
    parser.add_argument("--scratch", type=Path, default=Path("runs/multitask_references"))
    parser.add_argument("--seconds", type=float, default=0.5, help="of PyVRP for an instance")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/multitask.csv"))
    args = parser.parse_args()
    main(args.checkpoints, args.steps, args.data, args.scratch, args.seconds, args.out)
