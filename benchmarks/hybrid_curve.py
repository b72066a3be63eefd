"""
Quality against time of the hybrid, of its parts and of its rivals on a family of instances.

    python benchmarks/hybrid_curve.py DATA --out benchmarks/hybrid_curve.csv \
        --plot benchmarks/hybrid_curve.png

Five time limits, six solvers: the policy alone, the hybrid with the policy and from savings only,
OR-Tools, PyVRP, and PyVRP with two seeds side by side. Long limits take fewer instances (see
``--counts``), evenly spread over the files; all solvers of a limit have the same ones. Rows are
written as they are found and never made twice, so a run that was cut off goes on. The whole takes
about 32 minutes; ``--minutes 0`` only draws what is there.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

from hybrid import run, summarise
from matplotlib.figure import Figure

SOLVERS = ["policy", "hybrid", "hybrid-savings", "ortools", "pyvrp", "pyvrp-2-seeds"]
LABELS = {
    "policy": "policy alone",
    "hybrid": "hybrid, policy and savings",
    "hybrid-savings": "hybrid, savings alone",
    "ortools": "OR-Tools",
    "pyvrp": "PyVRP",
    "pyvrp-2-seeds": "PyVRP, better of two seeds at once",
}


def main() -> None:
    """Reads the command line, runs what is missing, and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path, required=True)
    parser.add_argument("--family", default="cvrplib_x")
    parser.add_argument("--solvers", nargs="+", default=SOLVERS)
    parser.add_argument("--limits", nargs="+", type=float, default=[0.1, 0.5, 2.0, 10.0, 60.0])
    parser.add_argument("--counts", nargs="+", type=int, default=[20, 20, 20, 7, 3])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=40.0, help="begins no run after so long")
    args = parser.parse_args()
    rows = list(csv.DictReader(args.out.open())) if args.out.exists() else []
    files = len(list((args.data / args.family).glob("*.vrp")))
    for limit, count in zip(args.limits, args.counts, strict=True):
        args.time_limit, args.count, args.most = limit, count, 20_000
        args.every = max(1, -(-files // count))
        args.minutes -= run(args, rows)
    rows = [row for row in rows if row["family"] == args.family and row["solver"] in args.solvers]
    summarise(rows)
    draw(rows, args.plot, args.family)


def draw(rows: list[dict[str, str]], picture: Path, family: str) -> None:
    """Mean gaps at each limit; of solvers that have solved all instances that were tried in it."""
    tried: dict[float, set[str]] = defaultdict(set)
    gaps: dict[float, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        tried[float(row["limit"])].add(row["instance"])
        if row["gap"]:
            gaps[float(row["limit"])][row["solver"]][row["instance"]] = float(row["gap"])
    limits = sorted(tried)
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    axes = figure.subplots()
    for solver, label in LABELS.items():
        found = {limit: gaps[limit][solver].values() for limit in limits}
        there = [limit for limit in limits if len(found[limit]) == len(tried[limit])]
        means = [sum(found[limit]) / len(found[limit]) for limit in there]
        if there:
            axes.plot(there, means, marker="o", label=label)
    axes.set(xscale="log", yscale="log", ylabel="mean gap to the best known, %", title=family)
    axes.set_xticks(limits, [f"{limit:g} s\n{len(tried[limit])} files" for limit in limits])
    axes.xaxis.minorticks_off()
    axes.set_xlabel("wall time on two cores; each point is the mean over the files of its limit")
    axes.grid(which="both", alpha=0.3)
    axes.legend()
    figure.savefig(picture, dpi=150)


if __name__ == "__main__":
    main()
