"""How solutions get better with time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from nco.plotting.style import FAINT, colours_in_a_ring, save, write_head

if TYPE_CHECKING:
    from nco.evaluation.runs import Run

Points = NDArray[np.float64]


def plot_runs(path: Path, runs: "Sequence[Run]") -> None:
    """
    Draws the mean gap of each solver against time, over the files that all of them solved.

    Gaps are relative to the best-known solution, or to the best of these runs where none is known.

    Parameters
    ----------
    path
        Picture to write.
    runs
        Of every solver on every file.
    """
    solvers = list(dict.fromkeys(run.solver for run in runs))
    by_file: dict[Path, dict[str, Run]] = {}
    for run in runs:
        if run.solution.feasible:
            by_file.setdefault(run.file.path, {})[run.solver] = run
    shared = [found for found in by_file.values() if len(found) == len(solvers)]
    traces: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in solvers}
    references: list[float] = []
    for found in shared:
        best = min(run.solution.value for run in found.values())
        known = next(iter(found.values())).file.best_known
        sign = -1 if next(iter(found.values())).env.objective.maximised else 1
        references.append(best if known is None else sign * known)
        for name, run in found.items():
            last = (run.solution.seconds, run.solution.value)
            traces[name].append([*run.solution.history, last])
    unknown = sum(next(iter(found.values())).file.best_known is None for found in shared)
    count = len(shared)
    subtitle = f"{count} file{'s' * (count != 1)} that every solver solved"
    subtitle += "; gap to the best-known solution" if unknown < count else ""
    subtitle += f", of {unknown} to the best found here" if 0 < unknown < count else ""
    subtitle += "; gap to the best found here" if unknown and unknown == count else ""
    plot_traces(path, traces, references, "Mean gap against time", subtitle)


def plot_traces(
    path: Path,
    traces: Mapping[str, Sequence[Sequence[tuple[float, float]]]],
    references: Sequence[float],
    title: str = "",
    subtitle: str = "",
) -> None:
    """
    Draws the mean gap against time, one line a solver.

    A line begins where the solver has a solution of every instance, and ends where the last
    instance's run ended.

    Parameters
    ----------
    path
        Picture to write.
    traces
        For each solver, for each instance, (seconds, cost) of every improvement, in order of time;
        the last one ends the run.
    references
        Cost of each instance that the gaps are relative to.
    title, subtitle
        Two lines above the picture.
    """
    figure = Figure(figsize=(8, 5), dpi=160)
    axes = figure.add_axes((0.08, 0.11, 0.73, 0.74))
    ends: list[tuple[float, str, str]] = []
    for colour, (solver, runs) in zip(colours_in_a_ring(len(traces)), traces.items(), strict=True):
        seconds, gap = mean_gaps(runs, references)
        if not len(seconds):
            continue
        axes.step(seconds, gap, where="post", color=colour, lw=2, solid_capstyle="round")
        axes.plot(seconds[-1], gap[-1], "o", color=colour, ms=5, clip_on=False)
        ends.append((float(gap[-1]), f"{solver}  {gap[-1]:.2f} %", colour))
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("seconds", color=FAINT)
    axes.set_ylabel("mean gap, %", color=FAINT)
    axes.grid(axis="y", color="#e6e6e6", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")
    axes.tick_params(colors=FAINT, length=0, which="both")
    _name_lines(axes, ends)
    write_head(figure, title, subtitle)
    save(figure, path)


def mean_gaps(
    runs: Sequence[Sequence[tuple[float, float]]], references: Sequence[float]
) -> tuple[Points, Points]:
    """
    Mean gap over several runs as a step function of time; costs are minimised.

    Parameters
    ----------
    runs
        For each instance, (seconds, cost) of every improvement in order of time.
    references
        Cost of each instance.

    Returns
    -------
    tuple
        Seconds, and the mean gap in percent from each on; empty if a run has no solution.
    """
    if not runs or not all(runs):
        return np.empty(0), np.empty(0)
    times = np.unique([seconds for run in runs for seconds, _ in run])
    times = times[times >= max(run[0][0] for run in runs)]
    gaps = np.zeros(len(times))
    for run, reference in zip(runs, references, strict=True):
        seconds, costs = np.array(run, dtype=float).T
        best = np.minimum.accumulate(costs)
        at = np.searchsorted(seconds, times, side="right") - 1
        gaps += 100 * (best[at] - reference) / abs(reference)
    return times, gaps / len(runs)


def _name_lines(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Names at the right end of lines, moved apart where the ends are close."""
    low, high = axes.get_ylim()
    step, floor = 0.055 * (high - low), -np.inf
    for value, text, colour in sorted(ends):
        y = max(value, floor + step)
        floor = y
        axes.text(
            1.02,
            y,
            text,
            color=colour,
            va="center",
            weight="bold",
            fontsize=9,
            transform=axes.get_yaxis_transform(),
        )
