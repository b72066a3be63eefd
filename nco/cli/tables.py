"""Tables and files of results."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from rich import box
from rich.console import Console, Group
from rich.table import Table

from nco.data.atomic import atomic
from nco.envs import RoutingEnv
from nco.evaluation.runs import Run, gap


def console() -> Console:
    """Where tables go: stdout, wide enough for them when it is a file or a pipe."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=160)


def show_cost(cost: float | None) -> str:
    """A cost with thousands set apart; decimals only where it has some."""
    if cost is None:
        return "—"
    if float(cost).is_integer():
        return f"{cost:,.0f}"
    return f"{cost:,.4f}" if abs(cost) < 100 else f"{cost:,.2f}"


def show_gap(gap: float | None) -> str:
    """A gap in percent."""
    return "—" if gap is None else f"{round(gap, 2) + 0.0:.2f} %"  # no -0.00


def show_seconds(seconds: float) -> str:
    """Seconds, more digits for fewer of them."""
    return f"{seconds:.3f}" if seconds < 1 else f"{seconds:.1f}"


def table_of_runs(runs: Sequence[Run]) -> Table:
    """
    One line a run: name, n, routes, cost, gap, seconds; the solver where there are several.

    The best of several solvers on an instance is bold.
    """
    several = len({run.solver for run in runs}) > 1
    table = _table(["name", "n", *(["solver"] if several else []), "routes", "cost", "gap", "s"])
    last: Path | None = None
    for run in runs:
        first = run.file.path != last
        if several and first and last is not None:
            table.add_section()
        last = run.file.path
        cells = [run.file.name if first else "", str(run.n) if first else ""]
        if several:
            cells.append(run.solver)
        solved = run.solution.feasible
        cost = show_cost(run.cost) if solved else "infeasible"
        cells += [str(len(run.solution.routes)), cost, show_gap(run.gap)]
        style = None if solved else "red"
        if several and solved and is_best(run, runs):
            style = "bold green"
        for k in range(2, len(cells)):
            cells[k] = f"[{style}]{cells[k]}[/]" if style else cells[k]
        table.add_row(*cells, show_seconds(run.solution.seconds))
    return table


def table_of_solvers(runs: Sequence[Run]) -> Table:
    """One line a solver: instances solved, on how many it is best, mean gap and seconds."""
    table = _table(["solver", "solved", "best", "mean gap", "mean s"])
    for solver in dict.fromkeys(run.solver for run in runs):
        own = [run for run in runs if run.solver == solver]
        solved = [run for run in own if run.solution.feasible]
        gaps = [run.gap for run in solved if run.gap is not None]
        table.add_row(
            f"{solver}  [dim]{own[0].solution.solver}[/]",
            f"{len(solved)}/{len(own)}",
            str(sum(is_best(run, runs) for run in solved)),
            show_gap(fmean(gaps) if gaps else None),
            show_seconds(fmean(run.solution.seconds for run in own)),
        )
    return table


def beside_paper(
    env: RoutingEnv, result: Mapping[str, Any], printed: Sequence[tuple[str, float]]
) -> list[tuple[str, float, float | None]]:
    """Method, cost and gap to the first row of a paper's rows; the gap of the result first."""
    if not printed:
        return []
    best = printed[0][1]
    own = ("this policy", result["cost"], gap(env, result["cost"], best))
    return [own, *((name, cost, gap(env, cost, best)) for name, cost in printed)]


def table_of_evaluation(
    result: Mapping[str, Any], paper: Sequence[tuple[str, float, float | None]] = ()
) -> Table | Group:
    """The fields of ``nco evaluate``, one line; below it the rows of a paper, if there are any."""
    cost = f"{show_cost(result['cost'])} ± {result['stderr']:.4f}"
    cells = {
        "name": f"{result['policy']} on {result['problem']}",
        "n": str(result["n"]),
        "count": str(result["count"]),
        "decode": result["decode"],
        "cost": cost,
        "reference": show_cost(result["reference"]),
        "gap": show_gap(result["gap"]),
        "s": show_seconds(result["seconds"]),
        "instances/s": f"{result['instances_per_second']:.4g}",
    }
    table = _table(list(cells))
    table.add_row(*cells.values())
    if not paper:
        return table
    beside = _table(["method", "cost", "gap"])
    for name, value, worse in paper:
        beside.add_row(name, show_cost(value), show_gap(worse))
    return Group(table, beside)


def table_of_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Rows of text; names to the left, numbers to the right."""
    table = _table(list(header), left=2)
    for row in rows:
        table.add_row(*row)
    return table


def tables_of_info(found: Mapping[str, Any]) -> list[Table]:
    """What ``nco info`` found: problems with their support, solvers, policies, versions."""
    problems = _table(["problem", "asks for", "policies", *found["solvers"]], left=3)
    problems.columns[1].no_wrap = False
    for name, row in found["problems"].items():
        marks = ["yes" if solver in row["solvers"] else "—" for solver in found["solvers"]]
        problems.add_row(name, row["summary"], ", ".join(row["policies"]) or "—", *marks)
    solvers = _table(["solver", "is"], left=2)
    for name, summary in found["solvers"].items():
        solvers.add_row(name, summary)
    policies = _table(["policy", "measured"], left=2)
    policies.columns[1].no_wrap = False
    for name, measured in found["policies"].items():
        facts = ", ".join(f"{key} {value}" for key, value in measured.items())
        policies.add_row(name, facts or "—")
    versions = _table(["package", "version"], left=2)
    for name, version in found["versions"].items():
        versions.add_row(name, version)
    return [problems, solvers, policies, versions]


def is_best(run: Run, runs: Iterable[Run]) -> bool:
    """Whether no other feasible run of the same file costs less."""
    return run.solution.feasible and all(
        run.solution.value <= other.solution.value
        for other in runs
        if other.file.path == run.file.path and other.solution.feasible
    )


def print_json(value: Any) -> None:
    """JSON on stdout; a list one item a line."""
    if isinstance(value, list):
        rows = ",\n ".join(json.dumps(item, allow_nan=False) for item in value)
        print(f"[{rows}]")
    else:
        print(json.dumps(value, allow_nan=False, indent=2))


def write_csv(path: Path, runs: Sequence[Run]) -> None:
    """
    The fields of the JSON output, one line a run; of the routes, their number.

    Raises
    ------
    InputError
        The folder is missing or not writable.
    """
    rows = [run.as_json() | {"routes": len(run.routes)} for run in runs]
    with atomic(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["instance"])
        writer.writeheader()
        writer.writerows(rows)


def _table(columns: Sequence[str], left: int = 1) -> Table:
    """The first ``left`` columns and the solvers' to the left, numbers to the right."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for k, name in enumerate(columns):
        side: Literal["left", "right"] = "left" if k < left or name == "solver" else "right"
        table.add_column(name, justify=side, no_wrap=True)
    return table
