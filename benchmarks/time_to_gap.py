"""
How long nco needs for what RL4CO's POMO learns in so many minutes; same network, same batches.

    python benchmarks/time_to_gap.py --rl4co-python RL4CO_VENV/bin/python --problem cvrp --size 20

RL4CO trains first, its POMO with its defaults; then nco trains until its multi-start cost on the
same held-out instances is as good: the same network, by its own recipe (``--rate``, ``--plan``,
``--batch``, ``--starts``, bfloat16). Writes both curves to time_to_gap_PROBLEM_SIZE.csv here.
Neither side's validation counts. Other work on the machine disturbs wall seconds: ``--clock cpu``
counts processor time. ``--theirs CSV`` takes RL4CO's half from an earlier file.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rows import write_rows

from nco.data.generators import CVRPGenerator, TSPGenerator
from nco.data.seeding import seeded

HERE = Path(__file__).parent


def train(python: str, script: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    """The curve of one side."""
    command = [python, str(HERE / "rl4co" / script), json.dumps(options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [{"side": script.split("_")[1][:-3], **json.loads(x)} for x in done.stdout.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("--rl4co-python", default=sys.executable, help="interpreter that has rl4co")
    parser.add_argument("--problem", choices=["cvrp", "tsp"], default="cvrp")
    parser.add_argument("--size", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=30, help="seconds between validations")
    parser.add_argument("--held-out", type=int, default=500, help="instances")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--rate", type=float, default=6e-4, help="learning rate of nco")
    parser.add_argument("--plan", type=float, default=300, help="seconds in which it falls to 3 %%")
    parser.add_argument("--batch", type=int, default=64, help="instances of a step of nco")
    parser.add_argument("--starts", type=int, default=-1, help="of an instance, for nco; -1 is all")
    parser.add_argument("--fp32", action="store_true", help="no autocast for nco")
    parser.add_argument("--theirs", type=Path, help="CSV with the curve of RL4CO")
    options = parser.parse_args()
    generator = {"cvrp": CVRPGenerator, "tsp": TSPGenerator}[options.problem](options.size)
    common = {k: getattr(options, k) for k in ("problem", "size", "every", "threads", "clock")}
    common |= {"seconds": 60 * options.minutes, "target": 0.0, "autocast": False}
    with tempfile.TemporaryDirectory() as folder:
        common["instances"] = str(Path(folder) / "held_out.npz")
        held_out = generator(options.held_out, seeded(4321))
        np.savez(common["instances"], **{name: v.numpy() for name, v in held_out.items()})
        theirs = (
            [row for row in csv.DictReader(options.theirs.open()) if row["side"] == "theirs"]
            if options.theirs
            else train(options.rl4co_python, "curve_theirs.py", common)
        )
        theirs = [{k: row[k] if k == "side" else float(row[k]) for k in row} for row in theirs]
        reached = min(row["cost"] for row in theirs)
        common |= {"target": reached, "autocast": not options.fp32, "every": options.every / 3}
        common |= {k: getattr(options, k) for k in ("rate", "plan", "batch", "starts")}
        ours = train(sys.executable, "curve_ours.py", common)
    path = HERE / f"time_to_gap_{options.problem}_{options.size}.csv"
    write_rows(path, [*theirs, *ours])
    last = ours[-1]
    verb = "reached" if last["cost"] <= reached else "did not reach"
    print(
        f"RL4CO: cost {reached:.4f} after {theirs[-1]['seconds']:.0f} s, "
        f"{theirs[-1]['steps']:.0f} steps. nco {verb} it: cost {last['cost']:.4f} after "
        f"{last['seconds']:.0f} s, {last['steps']} steps."
    )


if __name__ == "__main__":
    main()
