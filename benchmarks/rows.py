"""Tables of measurements."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nco.data.atomic import atomic


def write_rows(
    path: Path, rows: Iterable[Mapping[str, Any]], fields: Sequence[str] | None = None
) -> None:
    """Writes all rows as CSV, whatever stops the run meanwhile; columns as in the first row."""
    rows = list(rows)
    with atomic(path) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, fields or list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def kept_costs(path: Path, count: int, solve: Callable[[int], float]) -> Tensor:
    """Costs of the first instances: those in the file, one a line, and what is missing, kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    costs = [float(line) for line in path.read_text().split()] if path.exists() else []
    for row in range(len(costs), count):
        costs.append(solve(row))
        with path.open("a") as file:
            file.write(f"{costs[-1]}\n")
    return torch.tensor(costs[:count])
