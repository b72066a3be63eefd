"""Tables of measurements."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
