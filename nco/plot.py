"""Pictures: routes on the plane, and cost against time."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.annotate import place
from nco.data.atomic import atomic
from nco.data.metric import Metric
from nco.envs import Route, RoutingEnv
from nco.envs.features import coordinates

Points = NDArray[np.float64]

# Tableau's ten without its grey; neighbouring routes get different ones.
COLOURS = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2"]
COLOURS += ["#b07aa1", "#d4a82a", "#9c755f", "#ff9da7", "#2f4b7c"]
INK, FAINT = "#222222", "#767676"
GEOGRAPHIC = (Metric.GEO, Metric.GREAT_CIRCLE)  # coordinates are latitude, longitude


def plot_routes(
    path: Path,
    env: RoutingEnv,
    instance: TensorDict,
    routes: Sequence[Route],
    title: str = "",
    subtitle: str = "",
    labels: Sequence[str] | None = None,
) -> None:
    """
    Draws routes, each in a colour that its neighbours do not have; the depots are squares.

    Latitudes and longitudes are drawn as a map, an instance without coordinates where
    multidimensional scaling of its distances puts it.

    Parameters
    ----------
    path
        Picture to write; its suffix (.png, .svg, .pdf) chooses the format.
    env, instance
        The problem and one instance of it (batch size 1).
    routes
        What is driven.
    title, subtitle
        Two lines above the picture.
    labels
        Names of the nodes; drawn where there are at most 80.
    """
    points, aspect = _positions(instance)
    depots = env.visits.num_depots
    span = np.ptp(points, axis=0) * (1, aspect)
    shape = float(np.clip(span[1] / max(span[0], 1e-12), 0.55, 1.25))
    figure = Figure(figsize=(8, 8 * shape + 0.7), dpi=160)
    axes = figure.add_axes((0.03, 0.02, 0.94, 8 * shape / (8 * shape + 0.7) - 0.04))
    axes.set_axis_off()
    axes.set_aspect(aspect, adjustable="datalim")
    axes.margins(0.04)
    scale = len(points) ** -0.5
    width, size = np.clip(16 * scale, 0.7, 1.9), np.clip(2600 * scale**2, 5, 42)
    for colour, route in _coloured(points, routes, depots):
        _draw(axes, points, route, colour, width)
        visited = np.array(route.visits)
        x, y = points[visited].T
        sizes = size * _weights(instance)[visited]
        axes.scatter(x, y, s=sizes, color=colour, edgecolor="white", lw=0.3 * width, zorder=3)
    x, y = points[:depots].T
    axes.scatter(x, y, s=90, marker="s", color=INK, edgecolor="white", lw=1.2, zorder=4)
    if labels and len(points) <= 80:
        axes.autoscale_view()
        _write(axes, figure, points, labels)
    _head(figure, title, subtitle)
    _save(figure, path)


def plot_traces(
    path: Path,
    traces: dict[str, Sequence[Sequence[tuple[float, float]]]],
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
    axes = figure.add_axes((0.09, 0.11, 0.76, 0.74))
    ends: list[tuple[float, str, str]] = []
    for colour, (solver, runs) in zip(_cycle(len(traces)), traces.items(), strict=True):
        seconds, gap = mean_gaps(runs, references)
        if not len(seconds):
            continue
        axes.step(seconds, gap, where="post", color=colour, lw=2, solid_capstyle="round")
        axes.plot(seconds[-1], gap[-1], "o", color=colour, ms=5, clip_on=False)
        ends.append((float(gap[-1]), f"{solver}  {gap[-1]:.2f} %", colour))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("seconds", color=FAINT)
    axes.set_ylabel("mean gap, %", color=FAINT)
    axes.grid(axis="y", color="#e6e6e6", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#bbbbbb")
    axes.tick_params(colors=FAINT, length=0, which="both")
    _name_lines(axes, ends)
    _head(figure, title, subtitle)
    _save(figure, path)


def mean_gaps(
    runs: Sequence[Sequence[tuple[float, float]]], references: Sequence[float]
) -> tuple[Points, Points]:
    """
    Mean gap over several runs as a step function of time.

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
        gaps += 100 * (best[np.searchsorted(seconds, times, side="right") - 1] / reference - 1)
    return times, gaps / len(runs)


def _positions(instance: TensorDict) -> tuple[Points, float]:
    """Where the nodes are drawn ``[N, 2]``, and the height of one y unit in x units."""
    if "locs" not in instance.keys():
        return coordinates(instance)[0].double().numpy(), 1.0
    points = instance["locs"][0].double().numpy()
    metric = instance.get("metric", None)
    if metric is None or int(metric[0]) not in GEOGRAPHIC:
        return points, 1.0
    latitude = np.radians(points[:, 0].mean())
    return points[:, ::-1], float(1 / max(np.cos(latitude), 0.2))


def _coloured(points: Points, routes: Sequence[Route], depots: int) -> Iterable[tuple[str, Route]]:
    """The routes with colours, which are dealt out in angular order around the middle."""
    middle = points[:depots].mean(0) if depots else points.mean(0)

    def angle(route: Route) -> float:
        x, y = points[list(route.visits)].mean(0) - middle
        return float(np.arctan2(y, x))

    ordered = sorted(routes, key=angle)
    return zip(_cycle(len(ordered)), ordered, strict=True)


def _cycle(count: int) -> list[str]:
    """Colours for ``count`` things in a ring: no two neighbours alike."""
    colours = [COLOURS[k % len(COLOURS)] for k in range(count)]
    if count > 1 and colours[-1] == colours[0]:
        colours[-1] = COLOURS[len(COLOURS) // 2]
    return colours


def _draw(axes: Axes, points: Points, route: Route, colour: str, width: float) -> None:
    """The route's lines; the legs from and to a depot are faint, for they cross everything."""
    visits = list(route.visits)
    if route.start is None:
        visits = [*visits, visits[0]]
    axes.plot(*points[visits].T, color=colour, lw=width, zorder=2, solid_joinstyle="round")
    for depot, visit in ((route.start, visits[0]), (route.end, visits[-1])):
        if depot is not None:
            x, y = points[[depot, visit]].T
            axes.plot(x, y, color=colour, lw=0.8 * width, alpha=0.4, zorder=1)


def _weights(instance: TensorDict) -> Points:
    """Relative areas of the nodes' dots ``[N]``: by demand, where there is one."""
    if "demand" not in instance.keys():
        return np.ones(instance[next(iter(instance.keys()))].shape[1])
    demand = instance["demand"][0].double().numpy()
    return 0.5 + demand / max(demand.max(), 1)


def _write(axes: Axes, figure: Figure, points: Points, labels: Sequence[str]) -> None:
    """The nodes' names, each on the free side of its node."""
    font = 6.5
    to_pixels = axes.transData.transform
    per_point = figure.dpi / 72
    boxes = place(to_pixels(points), labels, font * per_point, gap=4.5 * per_point)
    halo = withStroke(linewidth=2, foreground="white")
    back = axes.transData.inverted().transform
    for (x, y), label in zip(back(boxes), labels, strict=True):
        axes.text(
            x, y, label, fontsize=font, color=INK, va="center", ha="center", path_effects=[halo]
        )


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


def _head(figure: Figure, title: str, subtitle: str) -> None:
    inch = 1 / figure.get_figheight()
    figure.text(0.03, 1 - 0.16 * inch, title, fontsize=13, weight="bold", color=INK, va="top")
    figure.text(0.03, 1 - 0.42 * inch, subtitle, fontsize=9, color=FAINT, va="top")


def _save(figure: Figure, path: Path) -> None:
    with atomic(path) as part:
        figure.savefig(part, format=path.suffix.lstrip(".") or "png", facecolor="white")
