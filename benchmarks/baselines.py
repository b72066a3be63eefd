"""
Learning curves of the rollout, exponential and critic baselines on TSP20, at equal steps.

The comparison of Kool et al. (2019, section 5.3): the same policy, data, seeds and optimizer, only
the baseline differs. Runs ``nco fit`` three times, then writes a CSV and a plot.

    python benchmarks/baselines.py --steps 2000 --out benchmarks
"""

import argparse
import csv
from pathlib import Path

from matplotlib.figure import Figure

from nco.cli import main

CONFIG = Path(__file__).parents[1] / "configs/attention_model/tsp_20_cpu.yaml"
BASELINES = {
    "rollout": [],  # the recipe's own
    "exponential": ["--model.baseline", "nco.training.Exponential"],
    "critic": ["--model.baseline", "nco.training.Critic"],
}


def run(name: str, steps: int, every: int, runs: Path) -> list[tuple[int, float]]:
    """Trains with one baseline; returns (step, validation cost)."""
    folder = runs / f"baselines_{name}" / "version_0"
    if not (folder / "done").exists():  # an interrupted comparison goes on with the next baseline
        code = main(
            [
                "fit",
                *("--config", str(CONFIG), *BASELINES[name]),
                *("--trainer.max_steps", str(steps), "--data.batches", str(every)),
                *("--trainer.logger.save_dir", str(runs)),
                *("--trainer.logger.name", f"baselines_{name}"),
                *("--trainer.logger.version", "0"),
                *("--trainer.enable_progress_bar", "false", "--trainer.max_time", "null"),
            ]
        )
        if code:
            raise SystemExit(code)
        (folder / "done").touch()
    with (folder / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row.get("val/cost")]
    return [(int(row["step"]) + 1, float(row["val/cost"])) for row in rows]


def compare(steps: int, every: int, runs: Path, out: Path) -> None:
    """Runs all baselines and writes ``baselines_tsp20.csv`` and ``.png``."""
    curves = {name: run(name, steps, every, runs) for name in BASELINES}
    with (out / "baselines_tsp20.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["baseline", "step", "greedy_cost"])
        writer.writerows((name, *point) for name, curve in curves.items() for point in curve)
    figure = Figure(figsize=(7, 4.5), dpi=150)
    axes = figure.add_subplot()
    for name, curve in curves.items():
        axes.plot(*zip(*curve, strict=True), label=name)
    axes.set_xlabel("training steps (batches of 256)")
    axes.set_ylabel("greedy cost, 1,000 validation instances")
    axes.set_title("Baselines of REINFORCE on TSP20")
    axes.legend()
    figure.savefig(out / "baselines_tsp20.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=100, help="steps between validations")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks"))
    args = parser.parse_args()
    compare(args.steps, args.every, args.runs, args.out)
