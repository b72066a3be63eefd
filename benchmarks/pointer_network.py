"""
Generalisation of a Pointer Network to sizes it was not trained on (Vinyals et al. 2015, table 2).

    python benchmarks/pointer_network.py CHECKPOINT LABELS.npz... --out F.csv

decodes the instances of label files (see ``nco label``) and prints a row for each size: mean length
of greedy tours and of the labels, and the mean of the gaps.
"""

import argparse
from pathlib import Path

import torch
from rows import write_rows

from nco.data.solved import Labels
from nco.decoding import Augment, MultiStart, Search, Single
from nco.hub.released import load_policy

SEARCHES: dict[str, Search] = {
    "greedy": Single(),
    "starts": MultiStart(),
    "starts x 8 views": Augment(MultiStart()),
}


@torch.no_grad()
def rows(checkpoint: Path, files: list[Path], searches: list[str]) -> list[dict[str, object]]:
    """One row for each size."""
    released = load_policy(checkpoint)
    labels = Labels(files)
    found = []
    for size in sorted(labels.sizes):
        instances, tours = labels.select(size, torch.arange(labels.count(size)))
        best = released.env.cost(instances, tours.unsqueeze(1)).squeeze(1)
        row: dict[str, object] = {"nodes": size, "instances": len(best)}
        row["reference"] = round(float(best.mean()), 4)
        for name in searches:
            search = SEARCHES[name]
            parts = [
                search(released.env, released.policy, p).best()[1] for p in instances.split(50)
            ]
            cost = torch.cat(parts)
            row[name] = round(float(cost.mean()), 4)
            row[f"{name} gap %"] = round(float(100 * (cost / best - 1).mean()), 2)
        found.append(row)
        print(*(f"{key} {value}" for key, value in row.items()), sep="  ", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[1])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("labels", type=Path, nargs="+")
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=["greedy"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = rows(options.checkpoint, options.labels, options.searches)
    if options.out is not None:
        write_rows(options.out, table)


if __name__ == "__main__":
    main()
