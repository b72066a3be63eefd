"""
Time and peak memory of encoders by the number of nodes: dense attention and graph encoders.

    OMP_NUM_THREADS=1 python benchmarks/encoder_scaling.py

writes encoder_scaling.csv and encoder_scaling.png beside this file. Linux only (/proc).
"""

import argparse
import time
from collections.abc import Callable
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from rows import write_rows

from nco.data.generators import CVRPGenerator
from nco.data.seeding import seeded
from nco.envs import FeatureSpec, problem
from nco.policies.encoder import AttentionEncoder, Encoder
from nco.policies.graph import GatedGCN, GATv2, GraphTransformer, near_graph

HERE = Path(__file__).parent
NEAR = "neighbours alone"
SIZES = [100, 200, 500, 1000, 2000, 5000, 10000]
LAYERS, NEIGHBOURS = 3, 16
ENCODERS: dict[str, Callable[[FeatureSpec], Encoder]] = {
    "dense attention": lambda spec: AttentionEncoder(spec, layers=LAYERS),
    "GATv2": lambda spec: GATv2(spec, layers=LAYERS, neighbours=NEIGHBOURS),
    "gated GCN": lambda spec: GatedGCN(spec, layers=LAYERS, neighbours=NEIGHBOURS),
    "graph transformer": lambda spec: GraphTransformer(spec, layers=LAYERS, neighbours=NEIGHBOURS),
}


def peak_memory(run: Callable[[], object]) -> float:
    """MiB that a call needs beyond what the process held before."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
    before = _status("VmRSS")
    run()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name))


def seconds(run: Callable[[], object], repeats: int) -> float:
    """CPU seconds of the fastest of several calls: other processes do not count."""
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        run()
        times.append(time.process_time() - begun)
    return min(times)


@torch.no_grad()
def measure(name: str, size: int) -> dict[str, object]:
    """One row of the table. In a process of its own, so that no freed memory is used again."""
    env = problem("cvrp")
    features = env.features(CVRPGenerator(size)(1, seeded(1)))
    encoder = ENCODERS[name](env.spec).eval() if name in ENCODERS else None

    def run() -> object:
        return near_graph(features, NEIGHBOURS, 1) if encoder is None else encoder(features)

    memory = peak_memory(run)
    took = seconds(run, 5 if size <= 1000 else 2)
    return {"encoder": name, "nodes": size, "seconds": round(took, 5), "mib": round(memory, 1)}


def table(sizes: list[int]) -> list[dict[str, object]]:
    """One row for each encoder and size."""
    rows = []
    for name, size in product([NEAR, *ENCODERS], sizes):
        with get_context("fork").Pool(1) as pool:
            rows.append(pool.apply(measure, (name, size)))
        print(*rows[-1].values(), flush=True)
    return rows


def plot(rows: list[dict[str, object]], path: Path) -> None:
    """Time and memory against the number of nodes, both axes logarithmic."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, key, label in zip(
        axes, ("seconds", "mib"), ("CPU seconds, one thread", "peak memory, MiB"), strict=True
    ):
        for name in dict.fromkeys(row["encoder"] for row in rows):
            mine = [row for row in rows if row["encoder"] == name]
            style = ":" if name == NEAR else "-"
            axis.loglog(
                [r["nodes"] for r in mine],
                [max(float(str(r[key])), 0.1 if key == "mib" else 0) for r in mine],
                style,
                marker="o",
                ms=3,
                label=name,
            )
        axis.set(xlabel="customers", ylabel=label)
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.suptitle(f"{LAYERS} layers of 128 channels, {NEIGHBOURS} neighbours, one CVRP instance")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--out", type=Path, default=HERE / "encoder_scaling.csv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = table(options.sizes)
    write_rows(options.out, rows)
    plot(rows, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
