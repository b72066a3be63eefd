"""``nco compare``: the same files, several solvers."""

from pathlib import Path

from nco.cli import complain
from nco.cli.arguments import Count, Seconds, Seed
from nco.cli.choices import Decode, Rounding


def compare(
    files: list[str],
    solvers: list[str] = ["policy", "ortools", "pyvrp"],  # noqa: B006  never changed
    policy: str | None = None,
    decode: Decode | None = None,
    samples: Count | None = None,
    augment: Count | None = None,
    device: str | None = None,
    time_limit: Seconds = 5.0,
    csv: Path | None = None,
    plot: Path | None = None,
    out: Path | None = None,
    rounding: Rounding = "auto",
    seed: Seed = 1234,
    json: bool = False,
) -> int:
    """
    Solves instance files with several solvers in the same time, side by side.

    Prints a line for each file and solver, then mean gap and time of each solver. Exit codes: 0
    done, 1 a solver found no feasible solution, 2 a file or option is bad (the others are solved
    all the same).

    Parameters
    ----------
    files
        Instances (.vrp, .tsp, .csv, .json), folders of them, or globs.
    solvers
        Who solves: hybrid, policy, ortools, pyvrp, fast-tsp.
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
        Seconds for each solver on each file.
    csv
        Write the results to this file.
    plot
        Draw the mean gap against time to this file.
    out
        Write NAME-SOLVER.sol and its picture NAME-SOLVER.png to this folder.
    rounding
        What Euclidean distances mean: auto goes by the file and its set.
    seed
        Seed of the solvers.
    json
        Print JSON instead of tables.
    """
    from nco.cli.files import read_all
    from nco.cli.output import Output, require_writable
    from nco.cli.solving import Outcome, build_solvers, choose_solvers, search_of, solve_all
    from nco.cli.tables import console, print_json, table_of_runs, table_of_solvers, write_csv

    outcome = Outcome("nco compare")
    settings = {
        "policy": policy,
        "search": search_of(decode, samples, augment),
        "device": device,
    }
    chosen = choose_solvers(solvers, settings)
    output = Output(out, plot=True, suffix="-{solver}")
    output.prepare()
    for path in (csv, plot):
        if path is not None:
            require_writable(path)
    instances, outcome.bad = read_all(files, rounding, lambda e: complain("nco compare", e))
    if instances:  # before, no solver is imported
        entrants = build_solvers(chosen, settings)
        solve_all(outcome, instances, entrants, time_limit, seed, output)
    if csv is not None:
        write_csv(csv, outcome.runs)
    if plot is not None and outcome.runs:
        from nco.plotting.traces import plot_runs  # with matplotlib, for pictures alone

        plot_runs(plot, outcome.runs)
    if json:
        print_json([run.as_json() for run in outcome.runs])
    elif outcome.runs:
        console().print(table_of_runs(outcome.runs))
        console().print(table_of_solvers(outcome.runs))
    return outcome.code
