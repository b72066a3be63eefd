"""Several policies, decodings and seeds on the same instances, as the table of a paper has them."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import Tensor

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.envs import RoutingEnv
from nco.evaluation.evaluate import Evaluation
from nco.evaluation.runs import gap, stated
from nco.evaluation.statistics import Comparison, compare, mean_of

TABLES = (".md", ".csv", ".tex")
HEADER = ("policy", "decode", "seeds", "cost", "gap %", "s", "difference", "p")
FIELDS = ("instance", "policy", "decode", "seed", "cost", "reference", "gap", "feasible")


@dataclass(frozen=True)
class Entry:
    """
    A policy with a way of decoding, on all instances and with several seeds.

    Parameters
    ----------
    env
        The problem.
    policy, decode
        Their names.
    runs
        One evaluation for each seed.
    references
        Cost of each instance as people state it, or None.
    """

    env: RoutingEnv
    policy: str
    decode: str
    runs: dict[int, Evaluation]
    references: Tensor | None

    @property
    def costs(self) -> list[float]:
        """Of each instance as people state it, the mean over the seeds."""
        columns = [self._stated(run) for run in self.runs.values()]
        return [fmean(values) for values in zip(*columns, strict=True)]

    @property
    def gaps(self) -> list[float]:
        """Of each instance with a reference, in percent, the mean over the seeds."""
        known = [] if self.references is None else self.references.tolist()
        pairs = zip(self.costs, known, strict=False)
        return [found for c, r in pairs if (found := gap(self.env, c, r)) is not None]

    @property
    def seconds(self) -> float:
        """Of one run over all instances, the mean over the seeds."""
        return fmean(run.seconds for run in self.runs.values())

    def summary(self) -> dict[str, Any]:
        """
        What is reported: means with standard errors and 95 % intervals over the instances.

        Costs are as people state them (a prize is positive); the gap is the mean of the instances'
        gaps in percent.
        """
        cost, count = mean_of(self.costs), len(self.costs)
        gaps = mean_of(self.gaps) if self.gaps else None
        known = [] if self.references is None else self.references[:count].tolist()
        return {
            "cost": cost.value,
            "stderr": cost.stderr,
            "gap": None if gaps is None else gaps.value,
            "reference": fmean(known) if known else None,
            "seconds": self.seconds,
            "instances_per_second": count / max(self.seconds, 1e-9),
            "cost_interval": [cost.low, cost.high],
            "gap_stderr": None if gaps is None else gaps.stderr,
            "gap_interval": None if gaps is None else [gaps.low, gaps.high],
            "seeds": list(self.runs),
        }

    def rows(self) -> list[tuple[Any, ...]]:
        """One row for each instance and seed, by `FIELDS`."""
        found: list[tuple[Any, ...]] = []
        for seed, run in self.runs.items():
            for k, cost in enumerate(self._stated(run)):
                known = None if self.references is None else float(self.references[k])
                worse = gap(self.env, cost, known)
                feasible = k not in run.infeasible
                found.append((k, self.policy, self.decode, seed, cost, known, worse, feasible))
        return found

    def _stated(self, run: Evaluation) -> list[float]:
        return [stated(self.env, cost) or 0.0 for cost in run.costs.tolist()]


def comparisons(entries: Sequence[Entry]) -> list[Comparison]:
    """The costs of each entry but the first beside those of the first, on the same instances."""
    if len(entries) < 2 or len(entries[0].costs) < 2:
        return []
    return [compare(entry.costs, entries[0].costs) for entry in entries[1:]]


def cells(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    """The table's rows as text, by `HEADER`: intervals in brackets, differences to the first."""
    tests: list[Comparison | None] = [None, *comparisons(entries)]
    tests += [None] * (len(entries) - len(tests))
    table = []
    for entry, test in zip(entries, tests, strict=True):
        cost, gaps = mean_of(entry.costs), mean_of(entry.gaps) if entry.gaps else None
        table.append(
            (
                entry.policy,
                entry.decode,
                str(len(entry.runs)),
                f"{cost.value:.4f} ± {cost.stderr:.4f}",
                "" if gaps is None else f"{gaps.value:.2f} [{gaps.low:.2f}, {gaps.high:.2f}]",
                f"{entry.seconds:.2f}",
                "" if test is None else f"{test.difference.value:+.4f}",
                "" if test is None else f"{test.p:.2g}",
            )
        )
    return table


def write_rows(path: Path, entries: Sequence[Entry]) -> None:
    """Writes the cost of every instance, with every policy, decoding and seed, as CSV."""
    with atomic(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for entry in entries:
            writer.writerows(entry.rows())


def write_table(path: Path, entries: Sequence[Entry]) -> None:
    """
    Writes the table: Markdown, CSV or LaTeX by the suffix.

    Raises
    ------
    InputError
        The suffix is none of `TABLES`.
    """
    require_table(path)
    rows = [HEADER, *cells(entries)]
    with atomic(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        if path.suffix == ".csv":
            csv.writer(file).writerows(rows)
        else:
            file.write(markdown(rows) if path.suffix == ".md" else latex(rows))


def require_table(path: Path) -> None:
    """Refuses a table of another suffix: see `write_table`."""
    if path.suffix not in TABLES:
        raise InputError(f"{path}: {path.suffix or 'no suffix'}, expected {', '.join(TABLES)}")


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as a table of Markdown, the first one its header."""
    lines = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as a ``tabular`` of booktabs, the first one its header."""
    body = [" & ".join(map(_escaped, row)) + r" \\" for row in rows]
    columns = "l" * 2 + "r" * (len(rows[0]) - 2)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", body[0], r"\midrule", *body[1:]]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _escaped(text: str) -> str:
    for sign in "&%$#_{}":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("±", r"$\pm$")
