"""
The reproduction table of the Attention Model: published weights, greedy and best of 1280 samples.

Imports every checkpoint of a folder, decodes the paper's own test sets (greedy: all 10,000
instances; samples: the first 1,000) in the arithmetic of the original code, and sets the costs
beside Table 1. Rows that are in the CSV already are not measured again.

    python benchmarks/attention_model.py CHECKPOINTS --out benchmarks/attention_model.csv
"""

import argparse
import csv
import tempfile
from pathlib import Path

from rows import write_rows

from nco.decoding import Sampling, Search, Single
from nco.envs import problem
from nco.evaluation.evaluate import evaluate_policy
from nco.evaluation.experiment import Entry
from nco.evaluation.papers import PAPERS
from nco.hub.importers import import_attention_model
from nco.hub.released import load_policy

PAPER = PAPERS["attention-model"]
FIELDS = ["checkpoint", "decode", "count", "cost", "stderr", "seconds", "paper", "infeasible"]


def measure(folder: Path, samples: int, count: int) -> dict[str, object]:
    """One row: a checkpoint, greedy (``samples`` 0) or the best of some samples."""
    with tempfile.TemporaryDirectory() as scratch:
        import_attention_model(folder, Path(scratch) / "policy")
        released = load_policy(Path(scratch) / "policy")
    name = released.card["env"]["init_args"]["name"]
    size = released.card["training"]["graph_size"]
    instances = PAPER.instances(name, size, PAPER.count)[:count]
    search: Search = Single(Sampling(), samples) if samples else Single()
    env = problem(name, published=True)
    found = evaluate_policy(env, released.policy, instances, search, seed=1234)
    told = Entry(env, folder.name, "", {0: found}, None).summary()
    rows = dict(PAPER.find(name, size))
    return {
        "checkpoint": folder.name,
        "decode": f"sample {samples}" if samples else "greedy",
        "count": count,
        "cost": round(told["cost"], 4),
        "stderr": round(told["stderr"], 4),
        "seconds": round(found.seconds, 1),
        "paper": rows.get("paper, sample" if samples else "paper, greedy", ""),
        "infeasible": len(found.infeasible),
    }


def main(checkpoints: Path, out: Path, samples: int) -> None:
    """Measures what is missing; writes after every row."""
    rows = list(csv.DictReader(out.open())) if out.exists() else []
    # Greedy on the first 1,000 too: the gain of sampling is over the same instances.
    plan = [(0, PAPER.count), (0, 1000), (samples, 1000)]
    folders = sorted(p for p in checkpoints.iterdir() if (p / "args.json").exists())
    for wanted, count in plan:
        for folder in folders:
            decode = f"sample {wanted}" if wanted else "greedy"
            key = (folder.name, decode, str(count))
            if key in {(r["checkpoint"], r["decode"], str(r["count"])) for r in rows}:
                continue
            rows.append(measure(folder, wanted, count))
            print(rows[-1], flush=True)
            write_rows(out, rows, FIELDS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/attention_model.csv"))
    parser.add_argument("--samples", type=int, default=1280)
    args = parser.parse_args()
    main(args.checkpoints, args.out, args.samples)
