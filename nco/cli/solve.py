"""``nco solve``: instance files to solution files."""

from pathlib import Path

from nco.cli import complain
from nco.cli.arguments import Count, Seconds, Seed
from nco.cli.choices import Decode, OutputFormat, Rounding


def solve(
    files: list[str],
    solver: str = "hybrid",
    policy: str | None = None,
    decode: Decode | None = None,
    samples: Count | None = None,
    augment: Count | None = None,
    device: str | None = None,
    time_limit: Seconds | None = None,
    out: Path = Path("out"),
    plot: bool = False,
    rounding: Rounding = "auto",
    capacity: Count | None = None,
    vehicles: Count | None = None,
    start: Path | None = None,
    format: OutputFormat = "auto",
    seed: Seed = 1234,
    json: bool = False,
) -> int:
    """
    Solves instance files and writes a .sol file for each.

    Prints name, n, routes, cost, gap to the best-known solution if one lies beside the file, and
    seconds. Exit codes: 0 done, 1 a file has no feasible solution yet, 2 a file or option is bad
    (the other files are solved all the same).

    Parameters
    ----------
    files
        Instances (.vrp, .tsp, .csv, .json and others), folders of them, globs, or - for standard
        input.
    solver
        Who solves: hybrid (a policy proposes, local search improves on all cores), policy,
        ortools, pyvrp or fast-tsp.
    policy
        Name of a shipped policy, a released folder, or a training checkpoint; by default the
        shipped policy for the problem.
    decode
        How a policy decodes; by default a multi-start over eight views.
    samples
        How many samples, starts or beams; by default 100 samples, a start at each customer, 10
        beams.
    augment
        Views of each instance under the symmetries of the square, 1 to 8.
    device
        Where a policy computes, cpu or cuda; by default cpu.
    time_limit
        Seconds for each file; by default 2 for each 100 customers. A policy alone goes on sampling
        until they are spent; without it, it decodes once.
    out
        Folder for the .sol files; made if it is not there.
    plot
        Draw each solution, beside its .sol file.
    rounding
        What Euclidean distances mean: auto goes by the file and its set.
    capacity
        Load that a vehicle can carry, for tables that do not state it.
    vehicles
        How many vehicles there are, for tables that do not state it.
    start
        Routes to begin with, a .sol file; the result is never worse. For one instance.
    format
        What is written besides the .sol files: vroom (VROOM's answer, NAME.solution.json), csv (a
        table of stops, NAME.stops.csv), sol (nothing else); auto answers VROOM's requests.
    seed
        Seed of the solver.
    json
        Print JSON instead of a table.
    """
    from nco.cli.files import read_all
    from nco.cli.output import Output
    from nco.cli.solving import (
        Outcome,
        build_solvers,
        choose_solvers,
        left_out,
        search_of,
        solve_all,
        tell_left_out,
    )
    from nco.cli.tables import console, print_json, table_of_runs
    from nco.data.errors import InputError

    outcome = Outcome("nco solve")
    search = search_of(decode, samples, augment)
    settings = {"policy": policy, "search": search, "device": device}
    chosen = choose_solvers([solver], settings)
    output = Output(out, plot, plan=format)
    stated = {"capacity": capacity, "vehicles": vehicles}
    given = {name: str(value) for name, value in stated.items() if value is not None}
    instances, outcome.bad = read_all(files, rounding, lambda e: complain("nco solve", e), given)
    if start is not None and len(instances) > 1:
        raise InputError(f"--start {start}: {len(instances)} instances, expected one")
    if instances:  # before, no solver is imported
        solvers = build_solvers(chosen, settings)
        output.prepare()
        solve_all(outcome, instances, solvers, time_limit, seed, output, start)
    if json:
        print_json([run.as_json() | left_out(run) for run in outcome.runs])
    elif outcome.runs:
        console().print(table_of_runs(outcome.runs))
        for run in outcome.runs:
            tell_left_out(outcome, run)
    return outcome.code
