"""
Quality against time: the mean gap of every solver at every time limit, from rows of `hybrid.py`.

    for t in 0.1 0.5 2 10 60; do
        python benchmarks/hybrid.py DATA --out benchmarks/hybrid.csv --time-limit $t --solvers \
            policy hybrid hybrid-savings ortools pyvrp pyvrp-2-seeds
    done
    python benchmarks/hybrid_curve.py benchmarks/hybrid.csv benchmarks/hybrid_curve.png

Only instances that a solver has solved at all of its limits count, so that a curve is about the
same instances from end to end; how many is in the legend.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

from matplotlib.figure import Figure


def main() -> None:
    """Reads the command line and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--family", default="cvrplib_x")
    args = parser.parse_args()
    gaps: dict[str, dict[float, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    with args.rows.open() as stream:
        for row in csv.DictReader(stream):
            if row["family"] == args.family and row["gap"]:
                gaps[row["solver"]][float(row["limit"])][row["instance"]] = float(row["gap"])
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for solver, limits in gaps.items():
        common = set.intersection(*(set(found) for found in limits.values()))
        if not common:
            continue
        times = sorted(limits)
        means = [sum(limits[t][name] for name in common) / len(common) for t in times]
        axes.plot(times, means, marker="o", label=f"{solver} ({len(common)} instances)")
        print(solver, *(f"{t:g} s: {gap:.2f} %" for t, gap in zip(times, means, strict=True)))
    axes.set(xscale="log", xlabel="wall seconds", ylabel="mean gap to the best known, %")
    axes.set_title(args.family)
    axes.legend()
    figure.savefig(args.picture, dpi=150)


if __name__ == "__main__":
    main()
