"""What ``nco solve`` and ``nco compare`` share: solvers, outputs, and the loop over files."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from nco.cli import BAD_INPUT, DONE, INFEASIBLE, complain
from nco.cli.choices import Decode
from nco.cli.output import Output
from nco.data.errors import InputError
from nco.data.formats import FileInstance
from nco.data.instance import num_nodes
from nco.envs import RoutingEnv, problem
from nco.evaluation.best_known import check_best_known, read_start
from nco.evaluation.conflicts import find_conflict
from nco.evaluation.runs import Run
from nco.solvers.base import Solver, UsesPolicy
from nco.solvers.registry import SolverEntry, find_solver

if TYPE_CHECKING:
    from tensordict import TensorDict

    from nco.decoding import Search
    from nco.solution import Solution

TOLD = 5  # customers left out of a solution that are told on standard error


@dataclass
class Outcome:
    """
    What a command has to show in the end.

    Parameters
    ----------
    prog
        The command, for messages.
    runs
        Every run, file by file.
    bad
        Files, or files for one solver, that could not be used.
    """

    prog: str
    runs: list[Run] = field(default_factory=list)
    bad: int = 0

    def refuse(self, error: Exception | str) -> None:
        """Notes and tells that something cannot be used."""
        self.bad += 1
        complain(self.prog, error)

    def warn(self, message: str) -> None:
        """Tells what the work goes on without."""
        complain(self.prog, f"warning: {message}")

    @property
    def code(self) -> int:
        """The exit code."""
        if self.bad:
            return BAD_INPUT
        return DONE if all(run.solution.feasible for run in self.runs) else INFEASIBLE


def choose_solvers(names: Sequence[str], settings: Mapping[str, Any]) -> dict[str, SolverEntry]:
    """
    The rows of solvers, of which nothing is imported yet.

    Parameters
    ----------
    names
        Of the table of solvers.
    settings
        What the user asked for; None means nothing.

    Raises
    ------
    InputError
        A name is unknown, or no solver has a setting that was asked for.
    """
    entries = {name: find_solver(name) for name in names}
    for setting, value in settings.items():
        if value is not None and not any(setting in entry.settings for entry in entries.values()):
            raise InputError(f"solver {', '.join(names)}: takes no {setting}, expected none")
    return entries


def build_solvers(
    entries: Mapping[str, SolverEntry], settings: Mapping[str, Any]
) -> dict[str, Solver]:
    """Makes solvers, each with those of the settings that it has, see `choose_solvers`."""
    given = {name: value for name, value in settings.items() if value is not None}
    return {
        name: entry.build(**{k: v for k, v in given.items() if k in entry.settings})
        for name, entry in entries.items()
    }


def search_of(decode: Decode | None, samples: int | None, augment: int | None) -> "Search | None":
    """The search that the options ask for; None where the solver may choose."""
    if decode is None and samples is None and augment is None:
        return None
    from nco.decoding import make_search

    views = augment or (1 if decode else 8)
    return make_search(decode or "multistart", samples or 0, views)


def solve_all(
    outcome: Outcome,
    files: Sequence[FileInstance],
    solvers: Mapping[str, Solver],
    time_limit: float | None,
    seed: int,
    output: Output,
    start: Path | None = None,
) -> None:
    """
    Solves every file with every solver; what fails for one of them stops none of the others.

    Parameters
    ----------
    outcome
        Takes the runs and the errors.
    files, solvers
        Who solves what.
    time_limit, seed
        See `nco.solvers.base.Solver`.
    output
        Where solutions go; written as they are found.
    start
        A ``.sol`` file of the instance to begin with.
    """
    with progress() as bar:
        task = bar.add_task("", total=len(files) * len(solvers))
        for file in files:
            try:
                env = problem(file.problem, instance=file.instance)
                output.claim(file)
                file = check_best_known(env, file, outcome.warn)
                begin = None if start is None else read_start(env, file, start)
            except InputError as error:
                outcome.refuse(_at(file, error))
                bar.advance(task, len(solvers))
                continue
            for name, solver in solvers.items():
                bar.update(task, description=f"{file.name} · {name}")
                try:
                    output.target(file, name)
                    run = _solve(file, env, name, solver, time_limit, seed, begin)
                    outcome.runs.append(run)
                    output.write(run)
                    _explain(outcome, run, solver)
                except (InputError, OSError, FloatingPointError) as error:
                    outcome.refuse(_at(file, error))
                bar.advance(task)


def progress() -> Progress:
    """A progress bar on stderr, which is there while work goes on, and on a terminal only."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _solve(
    file: FileInstance,
    env: RoutingEnv,
    name: str,
    solver: Solver,
    time_limit: float | None,
    seed: int,
    start: "Solution | None",
) -> Run:
    policy = None
    if isinstance(solver, UsesPolicy):  # found before the clock starts: loading is not solving
        released = solver.policy_for(env)
        policy = released.name if released is not None else None
    solution = solver.solve(env, file.instance, time_limit, seed, start)
    return Run(file, env, name, policy, solution, seed)


def _explain(outcome: Outcome, run: Run, solver: Solver) -> None:
    """Says why a run has no feasible solution."""
    if run.solution.feasible:
        return
    reason = run.solution.violations[0].message if run.solution.routes else "found no routes"
    conflict = find_conflict(run.env, run.file.instance, partial(_finds, solver, run.seed))
    told = reason if conflict is None else f"{reason}; {conflict}"
    told = in_numbers_of(run.file, told)
    complain(outcome.prog, f"{run.file.path}: {run.solver}: no feasible solution: {told}")


def _finds(
    solver: Solver, seed: int, env: RoutingEnv, instance: "TensorDict", seconds: float
) -> bool:
    """Whether a solver finds a solution; what it cannot express counts as found."""
    try:
        return solver.solve(env, instance, seconds, seed).feasible
    except InputError as error:
        return "no solution exists" not in str(error)


def left_out(run: Run) -> dict[str, Any]:
    """What ``--json`` says of customers on no route, where there may be such."""
    return {"left_out": run.left_out()} if run.env.visits.optional else {}


def tell_left_out(outcome: Outcome, run: Run) -> None:
    """Says which customers are on no route because of a rule, and what would let them in."""
    barred = [each for each in run.left_out() if each["rule"] != "cost"]
    for each in barred[:TOLD]:
        way = f"; it would fit with {each['relaxation']}" if each["relaxation"] else ""
        told = f"customer {each['customer']} left out: {each['rule']}: {each['reason']}{way}"
        complain(outcome.prog, f"{run.file.path}: {run.solver}: {told}")
    if len(barred) > TOLD:
        rest = f"{len(barred) - TOLD} more customers left out"
        complain(outcome.prog, f"{run.file.path}: {run.solver}: {rest}, see --json")


def _at(file: FileInstance, error: Exception) -> Exception:
    """The error with the file in front, unless it is there."""
    if isinstance(error, OSError) or str(error).startswith(str(file.path)):
        return error
    return InputError(f"{file.path}: {in_numbers_of(file, str(error))}")


def in_numbers_of(file: FileInstance, message: str) -> str:
    """A message of a rule, which counts nodes as the instance does, in the words of the file."""

    def called(match: re.Match[str]) -> str:
        node = int(match[1])
        return f"node {file.called(node)}" if node < num_nodes(file.instance) else match[0]

    return re.sub(r"\bnode ([0-9]+)\b", called, message)
