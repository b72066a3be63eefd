"""
nco and RL4CO side by side: the same networks, weights, instances and threads.

    python benchmarks/vs_rl4co.py --rl4co-python RL4CO_VENV/bin/python

writes vs_rl4co.csv beside this file and prints a table. RL4CO needs an environment of its own
(``pip install rl4co``). For every row one process of each side is warmed up; then they run in turn,
so that whatever else the machine does slows both alike. ``--bf16 nco`` autocasts our products to
bfloat16, ``--bf16 both`` theirs, too. ``--kernels avx2 avx512`` measures every row once for each
build of our kernels (see NCO_KERNELS); with avx2 and portable, PyTorch and its libraries use AVX2
at most on both sides, as on a processor that has no more. Seconds are medians: wall seconds and the
seconds of processor time that all threads took. Linux only (peak memory).
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """
    One row of the table.

    Parameters
    ----------
    title
        For people.
    model
        ``POMO`` (6 layers) or ``AM`` (3 layers).
    size, batch
        Customers, and instances at once.
    avx2, avx512
        How many times faster nco has to be, and should be, with AVX2 at most and with AVX-512.
    warmup
        Runs before the first one that counts.
    """

    title: str
    model: str
    size: int
    batch: int
    avx2: tuple[float, float]
    avx512: tuple[float, float]
    warmup: int = 1


ROWS = {
    "pomo step": Row(
        "POMO training step, CVRP50, 64 x 50 starts, 6 layers", "POMO", 50, 64, (3, 4.5), (3.5, 6)
    ),
    "am step": Row(
        "AM training step with rollout baseline, CVRP50, 512", "AM", 50, 512, (2, 4), (3, 8)
    ),
    "greedy": Row("greedy decode, CVRP100, batch 512, 3 layers", "AM", 100, 512, (4, 6), (5, 10)),
    "multi-start": Row(
        "multi-start x 8 augmentations, CVRP100, 16 instances, 6 layers",
        *("POMO", 100, 16, (3, 5), (4.5, 8)),
    ),
    "latency": Row(
        "latency of one CVRP100 instance, greedy, 3 layers", "AM", 100, 1, (5, 10), (7, 20), 5
    ),
    "env step cvrp": Row("env steps alone, CVRP50, 64 x 50", "POMO", 50, 64, (5, 8), (8, 12)),
    "env step cvrptw": Row("env steps alone, CVRPTW50, 64 x 50", "POMO", 50, 64, (5, 8), (8, 12)),
    "memory": Row("peak memory of the POMO step (MiB)", "POMO", 50, 64, (1, 2), (1, 2), 1),
}
# What PyTorch, MKL and oneDNN read: no more than AVX2.
AVX2_ALONE = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "DNNL_MAX_CPU_ISA": "AVX2",
}


class Side:
    """A process that runs a job whenever it is told to."""

    def __init__(self, python: str, script: str, options: dict[str, Any]):
        threads = str(options["threads"])
        self.process = subprocess.Popen(
            [python, str(HERE / "rl4co" / script), json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not options["verbose"] else None,
            text=True,
            env=os.environ
            | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
            | options["environment"],
        )
        self.versions: dict[str, str] = self._answer()

    def run(self) -> dict[str, float]:
        """One run of the job."""
        assert self.process.stdin is not None
        print(file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """Ends the process."""
        self.process.communicate()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self.process.args))}: ended early, try --verbose")
        return json.loads(line)


def compare(
    name: str, kernels: str, options: argparse.Namespace, folder: Path
) -> list[dict[str, Any]]:
    """Measures one row: a line of the CSV for each side."""
    row = ROWS[name]
    limits = AVX2_ALONE if kernels in ("avx2", "portable") else {}
    common = {
        "row": name,
        "model": row.model,
        "batch": row.batch,
        "warmup": row.warmup,
        "threads": options.threads,
        "autocast": options.bf16 != "none",
        "verbose": options.verbose,
        "environment": limits | ({} if kernels == "best" else {"NCO_KERNELS": kernels}),
        "data": str(folder / f"cvrp{row.size}_{row.batch}.npz"),
        "weights": str(folder / f"{row.model}.pt"),
    }
    sides = {
        "nco": Side(sys.executable, "ours.py", common),
        "rl4co": Side(
            options.rl4co_python, "theirs.py", common | {"autocast": options.bf16 == "both"}
        ),
    }
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(1 if name == "memory" else options.repeats):
        for side, process in sides.items():
            runs[side].append(process.run())
    lines = []
    for side, process in sides.items():
        process.close()
        lines.append({"row": name, "kernels": kernels, "side": side})
        lines[-1] |= summary(name, runs[side])
        lines[-1] |= {"runs": len(runs[side]), "threads": options.threads}
        lines[-1]["bf16"] = options.bf16 in ("both", side)
        lines[-1]["versions"] = " ".join(f"{k} {v}" for k, v in process.versions.items())
    return lines


def summary(name: str, runs: list[dict[str, float]]) -> dict[str, float]:
    """Medians and spread; seconds a step for the environments, MiB for the memory."""
    steps = runs[0]["value"] if name.startswith("env") else 1
    found = {"value": runs[-1]["value"]}
    if name == "memory":
        return found | {"median": runs[-1]["peak"] - runs[-1]["before"], "low": runs[-1]["before"]}
    for key in ("wall", "cpu"):
        values = sorted(run[key] / steps for run in runs)
        found |= {f"{key}": median(values), f"{key}_min": values[0], f"{key}_max": values[-1]}
    return found


def table(lines: list[dict[str, Any]]) -> str:
    """What was measured, in Markdown."""
    out = [
        "| what | kernels | nco | RL4CO | ratio (wall) | ratio (CPU) | bar | aim |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for ours, theirs in zip(lines[::2], lines[1::2], strict=True):
        row = ROWS[ours["row"]]
        if ours["row"] == "memory":
            cells = [f"{x['median']:.0f}" for x in (ours, theirs)]
            ratios = [f"{theirs['median'] / ours['median']:.2f}", ""]
        else:
            cells = [
                f"{seconds(x['wall'])} ({seconds(x['wall_min'])} to {seconds(x['wall_max'])}), "
                f"CPU {seconds(x['cpu'])}"
                for x in (ours, theirs)
            ]
            ratios = [f"{theirs[k] / ours[k]:.1f}" for k in ("wall", "cpu")]
        kernels = ours["kernels"]
        goals = row.avx2 if kernels in ("avx2", "portable") else row.avx512
        out.append(f"| {' | '.join([row.title, kernels, *cells, *ratios, *map(str, goals)])} |")
    return "\n".join(out)


def seconds(value: float) -> str:
    """With a unit that suits the size."""
    return f"{value:.2f} s" if value >= 0.2 else f"{value * 1000:.3g} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--rl4co-python", required=True, help="interpreter that has rl4co")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=100, help="of training before all")
    parser.add_argument("--bf16", choices=["none", "nco", "both"], default="none", help="autocast")
    parser.add_argument(
        "--kernels", nargs="+", default=["best"], help="builds: best, off, portable, avx2, ..."
    )
    parser.add_argument("--folder", type=Path, help="keeps instances and weights for another run")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE / "vs_rl4co.csv")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "POMO.pt").exists():
            folder.mkdir(exist_ok=True)
            ours = [sys.executable, str(HERE / "rl4co" / "ours.py")]
            one = os.environ | {"OMP_NUM_THREADS": "1"}
            subprocess.run([*ours, "prepare", str(folder), str(options.steps)], check=True, env=one)
        lines = []
        for name, kernels in product(options.rows, options.kernels):
            lines += compare(name, kernels, options, folder)
            print(table(lines[-2:]).splitlines()[-1], flush=True)
    keys = list(dict.fromkeys(key for line in lines for key in line))
    with options.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, keys)
        writer.writeheader()
        writer.writerows(lines)
    print(table(lines))


if __name__ == "__main__":
    main()
