"""``nco label``: a solver's solutions of a data set, to learn from."""

import sys
from itertools import islice
from pathlib import Path
from typing import Literal

from nco.cli.arguments import Count, Seconds, Seed

SHOWN = 10  # failures that are told one by one

Labeller = Literal["pyvrp", "ortools", "fast-tsp", "policy"]


def label(
    data: Path,
    solver: Labeller = "pyvrp",
    time_limit: Seconds | None = None,
    workers: Count = 1,
    out: Path | None = None,
    problem: str | None = None,
    seed: Seed = 0,
) -> int:
    """
    Solves every instance of a data set and writes labels for imitation.

    Each solution is saved as it is found: after an interruption, the same command goes on from
    there, and tries failed instances again.

    Parameters
    ----------
    data
        The data set, .npz, .safetensors or .pkl.
    solver
        Who solves: pyvrp, ortools, fast-tsp or policy.
    time_limit
        Seconds for each instance; by default the solver's own.
    workers
        Instances that are solved side by side.
    out
        The label file to write; by default the data set's name with .labels.npz.
    problem
        Problem of the instances, where the data set does not state it.
    seed
        Seed of the solver.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from nco.cli import DONE, INFEASIBLE, complain
    from nco.cli.output import require_writable
    from nco.data.dataset import load_instances, stored_problem
    from nco.data.errors import InputError
    from nco.envs import problem as find_problem
    from nco.labelling.label import Settings, label_instances

    name = problem or stored_problem(data)
    if name is None:
        raise InputError(f"{data}: states no problem, expected --problem")
    find_problem(name)  # says which problems there are
    out = out or data.with_suffix(".labels.npz")
    require_writable(out)
    instances = load_instances(data, problem=name)
    env = find_problem(name, instance=instances)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(f"{solver}", total=len(instances))

        def show(solved: int, failed: int) -> None:
            note = f"{solver}, {failed} failed" if failed else solver
            bar.update(task, completed=solved + failed, description=note)

        # Plain numbers: the argument parser's own types are unknown in other processes.
        limit = None if time_limit is None else float(time_limit)
        settings = Settings(str(solver), limit, int(seed))
        found = label_instances(env, instances, settings, out, workers, show)
    for row, reason in islice(found.failures.items(), SHOWN):
        complain("nco label", f"{data}: instance {row}: {reason}")
    if len(found.failures) > SHOWN:
        complain("nco label", f"{data}: {len(found.failures)} instances failed in all")
    print(f"{out}: {found.solved} of {len(instances)} instances", file=sys.stdout)
    return INFEASIBLE if found.failures else DONE
