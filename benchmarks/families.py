"""
OR-Tools and PyVRP on real files of every family, by ``nco compare``: gaps to the best-known costs.

    python benchmarks/families.py DATA --time-limit 10 --out benchmarks/families_10s.csv

``DATA`` is a folder with one folder of instances a family. Files that the output has already are
not solved again, so that a run can be stopped and resumed. Processor time is written down beside
the wall time that the limit is about: on a busy machine a solver gets only a part of it.
"""

import argparse
import csv
import io
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from statistics import fmean

from rows import write_rows

from nco.cli.compare import compare

FAMILIES = (
    "cvrplib_x",
    "solomon",
    "gehring_homberger_1000",
    "ortec_asymmetric_vrptw",
    "vrpb",
    "vrpspd",
    "li_lim",
    "hfvrp",
    "mdvrptw",
    "sdvrptw",
    "pcvrptw",
    "mtvrptwr",
    "tsplib_atsp",
    "gvrp",
)
# Optima that no file states.
KNOWN = {"br17": 39, "ftv33": 1286, "ft53": 6905, "ry48p": 14422, "kro124p": 36230, "p43": 5620}
COLUMNS = (
    *("family", "instance", "problem", "n", "solver", "routes", "cost", "best_known", "gap"),
    *("feasible", "seconds", "cpu_seconds", "time_limit", "error"),
)
Row = dict[str, str]


def files_of(folder: Path, count: int) -> list[Path]:
    """The first files of a family, by name."""
    return [path for path in sorted(folder.iterdir()) if path.suffix != ".sol"][:count]


def run(family: str, path: Path, solver: str, time_limit: float, seed: int) -> Row:
    """One solver on one file, by the code behind the command that a person types."""
    row = dict.fromkeys(COLUMNS, "")
    row |= {"family": family, "instance": path.stem, "solver": solver}
    row["time_limit"] = f"{time_limit:g}"
    told = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "runs.csv"
        began = time.process_time()
        with redirect_stderr(told), redirect_stdout(io.StringIO()):
            compare([str(path)], [solver], time_limit=time_limit, csv=table, seed=seed)
        row["cpu_seconds"] = f"{time.process_time() - began:.2f}"
        with table.open(newline="") as file:
            found = next(csv.DictReader(file), None)
    if found is None:
        row["error"] = " ".join(told.getvalue().replace(str(path), path.name).split())
        return row
    known = found["reference"] or str(KNOWN.get(path.stem, ""))
    gap = 100 * (float(found["cost"]) / float(known) - 1) if known and found["cost"] else None
    feasible = found["feasible"] == "True"
    row |= {name: found[name] for name in ("problem", "n", "routes", "cost", "feasible")}
    row |= {"seconds": f"{float(found['seconds']):.2f}", "best_known": known}
    row["gap"] = f"{gap:.2f}" if gap is not None and feasible else ""
    return row


def read(path: Path) -> list[Row]:
    """What there is already."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def summary(rows: list[Row]) -> str:
    """A line of Markdown for each family: mean gaps, and how many of its files were solved."""
    lines = [
        "| family | solver | solved | mean gap | mean s | mean CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for family, solver in dict.fromkeys((row["family"], row["solver"]) for row in rows):
        own = [row for row in rows if (row["family"], row["solver"]) == (family, solver)]
        solved = [row for row in own if row["feasible"] == "True"]
        gaps = [float(row["gap"]) for row in solved if row["gap"]]
        cells = [f"{fmean(gaps):.2f} %" if gaps else "no best-known" if solved else "—"]
        for name in ("seconds", "cpu_seconds"):
            values = [float(row[name]) for row in own if row[name]]
            cells.append(f"{fmean(values):.1f}" if values else "—")
        lines.append(f"| {family} | {solver} | {len(solved)}/{len(own)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Solves what is missing, family by family, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("data", type=Path)
    parser.add_argument("--families", nargs="+", default=FAMILIES)
    parser.add_argument("--solvers", nargs="+", default=["ortools", "pyvrp"])
    parser.add_argument("--files", type=int, default=3, help="of each family")
    parser.add_argument("--time-limit", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1234)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = read(options.out)
    done = {(row["family"], row["instance"], row["solver"]) for row in rows}
    for family in options.families:
        for path in files_of(options.data / family, options.files):
            for solver in options.solvers:
                if (family, path.stem, solver) in done:
                    continue
                row = run(family, path, solver, options.time_limit, options.seed)
                rows.append(row)
                write_rows(options.out, rows, COLUMNS)
                told = row["error"] or f"{row['cost']} {row['gap']} % {row['cpu_seconds']} s"
                print(f"{family} {path.stem} {solver} {told}", flush=True)
    print(summary(rows))


if __name__ == "__main__":
    main()
