"""
What decoding asks of an accelerator: kernels and waits per step, counted without one.

    PYTHONPATH=. python benchmarks/launches.py

writes launches.csv beside this file. Tensors are on PyTorch's "meta" device, which has shapes and
no values; operations on them are what a GPU would be sent, views apart (a fused or compiled
operation counts as one). A wait is a value that the host reads.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from rows import write_rows

from nco.data.seeding import seeded
from nco.decoding import Greedy, rollout
from nco.envs import PROBLEMS, problem
from nco.policies import AttentionPolicy
from tests.accelerator import DEVICE, on_meta, placed

HERE = Path(__file__).parent
NAMES = ["tsp", "cvrp", "sdvrp", "op", "pctsp", "vrptw", "vrpl", "ovrpbltw", "mdvrptw", "pdptw"]


def count(name: str, customers: int, rollouts: int) -> dict[str, Any]:
    """One row: greedy rollouts of two instances."""
    env = problem(name)
    torch.manual_seed(0)
    policy = AttentionPolicy(env).eval().to(DEVICE)
    instance = placed(PROBLEMS[name].generator(customers)(2, seeded(0)))
    with on_meta() as reset:
        env.reset(instance, rollouts)
    with on_meta() as encode, torch.no_grad():
        embeddings = policy.encode(env.features(instance))
    with on_meta() as decode:
        found = rollout(env, policy, instance, Greedy(), rollouts, embeddings=embeddings)
    steps, waits = found.actions.shape[-1], sum(reset.waits.values())
    return {
        "problem": name,
        "customers": customers,
        "steps": steps,
        "launches_encoding": encode.launches,
        "launches_reset": reset.launches,
        "launches_per_step": round((decode.launches - reset.launches) / steps, 1),
        "waits_reset": waits,
        "waits_per_step": round((sum(decode.waits.values()) - waits) / steps, 2),
    }


def main() -> None:
    """Counts every problem of the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", nargs="*", default=NAMES)
    parser.add_argument("--customers", type=int, default=20)
    parser.add_argument("--rollouts", type=int, default=4)
    parser.add_argument("--out", type=Path, default=HERE / "launches.csv")
    options = parser.parse_args()
    rows = []
    for name in options.problems:
        rows.append(count(name, options.customers, options.rollouts))
        print(rows[-1], flush=True)
    write_rows(options.out, rows)


if __name__ == "__main__":
    main()
