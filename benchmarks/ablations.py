"""
What each part of the policy `cvrp` is worth: the same minutes of imitation without it.

Trains one variant after another by ``nco fit --config configs/cvrp_imitation.yaml`` from random
weights, all for the same wall time (so each needs a core of its own), and decodes the same
instances with each: greedily, and from 100 starts under eight views. Gaps are to PyVRP's costs
after 6,000 iterations.

    python benchmarks/ablations.py 'LABELS/cvrp_*.npz' --minutes 3 --out benchmarks/ablations.csv
"""

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import torch
from rows import kept_costs, write_rows

import nco.configs
from nco.cli.generators import make_generator
from nco.data.seeding import seeded
from nco.decoding import Augment, MultiStart, Search, Single
from nco.envs import problem
from nco.evaluation.evaluate import evaluate_policy
from nco.hub.released import load_policy
from nco.solvers.pyvrp import PyVRP

POLICY = "--model.policy.init_args."
VARIANTS = {
    "as shipped: 6 layers, width 128": [],
    "no feed-forward after the glimpse": [f"{POLICY}residual", "false"],
    "no bias by log distance": [f"{POLICY}distance_bias", "false"],
    "neither": [f"{POLICY}residual", "false", f"{POLICY}distance_bias", "false"],
    "width 96": [f"{POLICY}dim", "96", f"{POLICY}hidden", "384"],
    "width 192": [f"{POLICY}dim", "192", f"{POLICY}hidden", "768"],
    "3 layers": [f"{POLICY}layers", "3"],
    "one way to drive each solution": ["--model.symmetric", "false"],
}
FIELDS = ["variant", "parameters", "steps", "greedy %", "100 starts x 8 %"]


def train(options: argparse.Namespace, arguments: list[str], folder: Path) -> Path:
    """Runs ``nco fit``; the last checkpoint."""
    config = Path(nco.configs.__file__).parent / "cvrp_imitation.yaml"
    minutes, seconds = divmod(round(60 * options.minutes), 60)
    command = [sys.executable, "-m", "nco", "fit", "--config", str(config), *arguments]
    command += ["--data.labels", f"[{options.labels}]", "--data.batch_size", "32"]
    command += ["--trainer.max_time", f"00:00:{minutes:02}:{seconds:02}"]
    command += ["--trainer.check_val_every_n_epoch", "1000000", "--data.batches", "1000000"]
    command += ["--trainer.logger.init_args.save_dir", str(folder)]
    command += ["--trainer.logger.init_args.name", "fit", "--trainer.enable_progress_bar", "false"]
    subprocess.run(command, check=True)
    return max(folder.glob("fit/version_*/checkpoints/last.ckpt"), key=lambda p: p.stat().st_mtime)


def main() -> None:
    """Trains and measures what is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("labels", help="label files of CVRP instances, * is expanded")
    parser.add_argument("--minutes", type=float, default=3.0, help="of training, each")
    parser.add_argument("--count", type=int, default=60, help="instances to decode")
    parser.add_argument("--scratch", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--only", type=int, nargs="+", help="numbers of variants; by default all")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = list(csv.DictReader(options.out.open())) if options.out.exists() else []
    instances = make_generator("cvrp", 100)(200, seeded(1234))[: options.count]
    env = problem("cvrp")

    def reference(row: int) -> float:
        return PyVRP(iterations=6000).solve(env, instances[row : row + 1], seed=row).cost

    best = kept_costs(options.scratch / "references.csv", options.count, reference)
    decodings: list[Search] = [Single(), Augment(MultiStart())]
    for number, (name, arguments) in enumerate(VARIANTS.items()):
        if options.only is not None and number not in options.only:
            continue
        if any(row["variant"] == name for row in rows):
            continue
        checkpoint = train(options, arguments, options.scratch / str(number))
        steps = torch.load(checkpoint, weights_only=True)["global_step"]
        policy = load_policy(str(checkpoint)).policy
        gaps = [
            100 * float((evaluate_policy(env, policy, instances, s).costs / best - 1).mean())
            for s in decodings
        ]
        size = sum(p.numel() for p in policy.parameters())
        values = [name, str(size), str(steps), *(f"{gap:.2f}" for gap in gaps)]
        rows.append(dict(zip(FIELDS, values, strict=True)))
        print(*values, sep="  ", flush=True)
        write_rows(options.out, rows, FIELDS)


if __name__ == "__main__":
    main()
