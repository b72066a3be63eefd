"""
One policy on the published variant sets, and on all 16 variants [O]VRP[B][L][TW], n = 50.

Decodes the first 100 instances of each set from 50 starts under eight views, or in another way
(``--decode``), and sets the costs beside the best published ones of HGS, OR-Tools and LKH
where DATA has the set, else beside PyVRP's on instances that are drawn once. The published sets
VRPB and VRPBLTW obey the one-commodity rule (`1pdvrp`, `1pdvrpltw`; LKH obeys another one and is
left out).

    python benchmarks/multitask.py vrp --data DATA/vrp_variants_50
    python benchmarks/multitask.py vrp --data DATA/vrp_variants_50 --sets vrptw --decode sgbs
    python benchmarks/multitask.py runs/vrp/version_0/checkpoints/last.ckpt --sets vrptw --views 1
"""

import argparse
from itertools import product
from pathlib import Path
from typing import get_args

import torch
from rows import kept_costs, write_rows
from tensordict import TensorDict
from torch import Tensor

from nco.data.dataset import load_instances
from nco.data.seeding import seeded
from nco.decoding import Decode, make_search
from nco.envs import PROBLEMS, problem
from nco.envs.problems.naming import canonical
from nco.evaluation.evaluate import evaluate_policy
from nco.evaluation.references import read_references
from nco.hub.released import load_policy
from nco.solvers.pyvrp import PyVRP

SIZE = 50
# Folder of each published set, and whose costs obey its rules.
SOLVERS = ("hgs_{}50", "or_tools", "lkh")
PUBLISHED = {name: (name.upper(), SOLVERS) for name in ("cvrp", "ovrp", "vrpl", "vrptw", "ovrptw")}
PUBLISHED |= {"1pdvrp": ("VRPB", ("or_tools",)), "1pdvrpltw": ("VRPBLTW", ("or_tools",))}
OTHERS = [
    canonical("".join(parts))
    for parts in product(("", "o"), ("vrp",), ("", "b"), ("", "l"), ("", "tw"))
]
SETS = [*PUBLISHED, *(name for name in OTHERS if name not in PUBLISHED)]
FIELDS = (
    "set",
    "policy",
    "decode",
    "views",
    "cost",
    "reference",
    "gap %",
    "ms",
    "infeasible",
    "reference of",
)


def published(name: str, data: Path, count: int) -> tuple[TensorDict, Tensor, str]:
    """The first instances of a published set, and the best costs that are known."""
    folder, solvers = data / PUBLISHED[name][0], PUBLISHED[name][1]
    stem = f"{PUBLISHED[name][0].lower()}50_uniform.pkl"
    starts = tuple(solver.format(name) for solver in solvers)
    found = [read_references(f)[:count] for f in folder.glob("*.pkl") if f.name.startswith(starts)]
    instances = load_instances(folder / stem, problem=name)[:count]
    return instances, torch.stack(found).amin(0), "published"


def drawn(name: str, count: int, scratch: Path, seconds: float) -> tuple[TensorDict, Tensor, str]:
    """Random instances of a variant, always the same, and PyVRP's costs, which are kept."""
    instances = PROBLEMS[name].generator(SIZE)(100, seeded(2024))[:count]
    env = problem(name)

    def reference(row: int) -> float:
        return PyVRP().solve(env, instances[row : row + 1], seconds, seed=1).cost

    costs = kept_costs(scratch / f"{name}.csv", count, reference)
    return instances, costs, f"PyVRP, {seconds:g} s"


def measure(name: str, options: argparse.Namespace) -> dict[str, str]:
    """One row of the table."""
    if name in PUBLISHED and options.data is not None:
        instances, best, source = published(name, options.data, options.count)
    else:
        instances, best, source = drawn(name, options.count, options.scratch, options.seconds)
    released = load_policy(options.policy)
    env, there = released.adapt(problem(name), instances)
    count = options.samples or (SIZE if options.decode == "multistart" else 0)
    search = make_search(options.decode, count, options.views, options.temperature)
    found = evaluate_policy(env, released.policy, there, search, seed=1)
    return {
        "set": name,
        "policy": Path(options.policy).name,
        "decode": f"{options.decode} {count or ''}".strip(),
        "views": str(options.views),
        "cost": f"{float(found.costs.mean()):.4f}",
        "reference": f"{float(best.mean()):.4f}",
        "gap %": f"{100 * float((found.costs / best - 1).mean()):.2f}",
        "ms": f"{1000 * found.seconds / len(best):.0f}",
        "infeasible": str(len(found.infeasible)),
        "reference of": source,
    }


def main() -> None:
    """Measures set by set; writes after every row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("policy", help="name, folder or checkpoint")
    parser.add_argument("--data", type=Path, help="folder with the published variant sets")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--count", type=int, default=100, help="of each set, the first ones")
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--decode", choices=get_args(Decode), default="multistart")
    parser.add_argument("--samples", type=int, default=0, help="starts, samples or beams of a view")
    parser.add_argument("--temperature", type=float, default=0.5, help="of samples")
    parser.add_argument("--scratch", type=Path, default=Path("runs/multitask_references"))
    parser.add_argument("--seconds", type=float, default=0.3, help="of PyVRP for an instance")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, str]] = []
    for name in options.sets:
        rows.append(measure(name, options))
        print(rows[-1], flush=True)
        if options.out is not None:
            write_rows(options.out, rows, FIELDS)


if __name__ == "__main__":
    main()
