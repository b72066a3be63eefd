"""
What decoding costs by the number of nodes and by the batch, and where a training step goes.

    OMP_NUM_THREADS=1 python benchmarks/scaling.py

writes scaling.csv, scaling_step.csv and scaling.png beside this file. Seconds are those of the
processor, on one thread, the fastest of several runs. Linux only (/proc).
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import log
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from rows import write_rows

from nco.data.generators import CVRPGenerator
from nco.data.seeding import seeded
from nco.decoding import Sampling, Single, replay, rollout
from nco.envs import problem
from nco.policies import AttentionPolicy
from nco.policies.graph import GatedGCN

HERE = Path(__file__).parent
DENSE, NEAR = "all nodes", "20 near nodes"
NODES = [50, 100, 200, 500, 1000, 2000, 5000, 10000]
SIZES = {DENSE: NODES, NEAR: NODES}
BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
LINEAR_FROM = 200  # nodes from which on the exponent is fitted: below, every step costs the same
DIM, HIDDEN, LAYERS = 128, 512, 6  # of the network whose training step is profiled
Row = dict[str, Any]


def seconds(run: Callable[[], object], repeats: int) -> float:
    """CPU seconds of the fastest of several calls: other processes do not count."""
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        run()
        times.append(time.process_time() - begun)
    return min(times)


def peak_mib() -> float:
    """The most memory that this process ever held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def policy_for(kind: str) -> AttentionPolicy:
    """An untrained policy; it looks at all nodes, or at near ones only."""
    torch.manual_seed(0)
    env = problem("cvrp")
    if kind == DENSE:
        return AttentionPolicy(env).eval()
    encoder = partial(GatedGCN, layers=3, neighbours=16)
    return AttentionPolicy(env, encoder=encoder, neighbours=20, distance_bias=True).eval()


def decode(kind: str, size: int, batch: int) -> Row:
    """A greedy rollout of each instance. In a process of its own, for the sake of its memory."""
    torch.set_num_threads(1)
    policy, env = policy_for(kind), problem("cvrp")
    instance = CVRPGenerator(size)(batch, seeded(1))
    search = Single()
    search(env, policy, CVRPGenerator(10)(1, seeded(1)))  # warm
    before = peak_mib()
    took = seconds(lambda: search(env, policy, instance), 3 if size * batch < 2000 else 1)
    return {
        "kind": kind,
        "nodes": size,
        "batch": batch,
        "seconds": round(took, 4),
        "mib": round(peak_mib() - before, 1),
    }


def exponent(rows: list[Row], key: str) -> float:
    """Slope of a straight line through the points in logarithms."""
    points = [
        (log(r["nodes"]), log(max(r[key], 0.1 if key == "mib" else 1e-9)))
        for r in rows
        if r["nodes"] >= LINEAR_FROM
    ]
    x, y = np.array(points).T
    return float(np.polyfit(x, y, 1)[0])


def matrix_peak() -> float:
    """GFLOP/s of a large product of matrices in single precision, on one thread."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    return 2 * 2048**3 / seconds(lambda: a @ b, 5) / 1e9


def training_step(batch: int = 64, size: int = 50) -> list[Row]:
    """Seconds and products of the phases of a POMO step, against the peak of the machine."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    env = problem("cvrp")
    policy = AttentionPolicy(env, layers=LAYERS, norm="instance", graph_context=False)
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-4)
    instance = CVRPGenerator(size)(batch, seeded(1))
    first = env.starts(instance, size)
    peak, spent = matrix_peak(), dict[str, float]()

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        begun = time.process_time()
        yield
        took = time.process_time() - begun
        spent[name] = min(spent.get(name, took), took)

    for k in range(20):  # enough that rollouts are no longer those of a random policy
        with phase("encoder, forward"):
            embeddings = policy.encode(env.features(instance))
        with phase("rollouts"):
            done = rollout(
                env, policy, instance, Sampling(), size, first, seeded(k), embeddings, record=True
            )
        assert done.trajectory is not None
        likelihood = policy.evaluate(embeddings, done.trajectory)  # known since the rollouts
        loss = ((done.cost - done.cost.mean(-1, keepdim=True)) * likelihood).mean()
        with phase("backward"):
            loss.backward()
        with phase("optimizer"):
            optimizer.step()
            optimizer.zero_grad()
        if k == 14:
            spent.clear()  # rollouts are shorter now
    nodes = size + 1
    seen = replay(env, instance, done.actions, forced=1)
    choices = float((seen.free.flatten(1) & (seen.context.mask.sum(-1) > 1)).sum())
    encoder = batch * nodes * LAYERS * 2.0 * (4 * DIM**2 + 2 * DIM * HIDDEN + 2 * nodes * DIM)
    decision = 2.0 * 3 * nodes * DIM
    flops = {
        "encoder, forward": encoder,
        "rollouts": choices * decision,
        "backward": 2 * encoder + 2 * choices * decision,
    }
    total = sum(spent.values())
    return [
        {
            "phase": name,
            "seconds": round(took, 4),
            "share": round(took / total, 3),
            "gflop": round(flops.get(name, 0) / 1e9, 2),
            "of_peak": round(flops.get(name, 0) / 1e9 / took / peak, 3),
            "peak_gflops": round(peak),
        }
        for name, took in spent.items()
    ]


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function that runs in a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def plot(rows: list[Row], steps: list[Row], path: Path) -> None:
    """Time and memory by nodes, time by batch, phases of a step."""
    figure, axes = plt.subplots(1, 4, figsize=(17, 4), layout="constrained")
    for axis, key, label in zip(axes, ("seconds", "mib"), ("CPU seconds", "MiB"), strict=False):
        for kind in SIZES:
            mine = [r for r in rows if r["kind"] == kind and r["batch"] == 1]
            slope = f"{kind}: n^{exponent(mine, key):.2f} from n = {LINEAR_FROM}"
            axis.loglog([r["nodes"] for r in mine], [r[key] for r in mine], "o-", ms=3, label=slope)
        axis.set(xlabel="customers", ylabel=f"{label}, one instance, greedy")
        axis.legend()
    mine = [r for r in rows if r["kind"] == DENSE and r["nodes"] == 100]
    each = [1000 * r["seconds"] / r["batch"] for r in mine]
    axes[2].loglog([r["batch"] for r in mine], each, "o-", ms=3)
    axes[2].set(xlabel="instances at once", ylabel="CPU milliseconds an instance, CVRP100, greedy")
    names = [f"{s['phase']}\n{100 * s['of_peak']:.0f} % of peak" for s in steps]
    axes[3].barh(names, [s["seconds"] for s in steps])
    axes[3].set(xlabel="CPU seconds", title="POMO step, CVRP50, 64 x 50")
    axes[3].invert_yaxis()
    for axis in axes[:3]:
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--largest", type=int, default=10000, help="customers")
    parser.add_argument("--out", type=Path, default=HERE / "scaling.csv")
    options = parser.parse_args()
    steps = alone(training_step)
    for step in steps:
        print(*step.values(), flush=True)
    rows = []
    jobs = [(kind, n, 1) for kind, sizes in SIZES.items() for n in sizes if n <= options.largest]
    for job in dict.fromkeys([*jobs, *((DENSE, 100, batch) for batch in BATCHES)]):
        rows.append(alone(decode, *job))
        print(*rows[-1].values(), flush=True)
    write_rows(options.out, rows)
    write_rows(options.out.with_name(options.out.stem + "_step.csv"), steps)
    plot(rows, steps, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
