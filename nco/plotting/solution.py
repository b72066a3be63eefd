"""Pictures of routes."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from os import PathLike
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.metric import Metric
from nco.envs import Route, RoutingEnv
from nco.envs.checking.routes import drop_empty
from nco.envs.normalisation import coordinates
from nco.envs.objectives.distance import path
from nco.plotting.label_placement import place
from nco.plotting.style import HEAD, INK, PALE, colours_in_a_ring, save, write_head

Points = NDArray[np.float64]

GEOGRAPHIC = (Metric.GEO, Metric.GREAT_CIRCLE)  # coordinates are latitude, longitude


def plot_routes(
    target: str | PathLike[str],
    env: RoutingEnv,
    instance: TensorDict,
    routes: Sequence[Route | Sequence[int]],
    title: str = "",
    subtitle: str = "",
    labels: Sequence[str] | None = None,
) -> Axes:
    """
    Writes a picture of routes; `Solution.plot` shows one instead. See `draw_routes`.

    Parameters
    ----------
    target
        Picture to write; its suffix (.png, .svg, .pdf) chooses the format.
    env, instance
        The problem and one instance of it (batch size 1).
    routes
        What is driven: routes of a solution, or lists of nodes, see `Visits.as_routes`.
    title, subtitle
        Two lines above the picture.
    labels
        Names of the nodes; drawn where there are at most 80.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    InputError
        There is no such format, the folder is not writable, or routes are none.
    """
    points, aspect = _positions(instance)
    span = np.ptp(points, axis=0) * (1, aspect)
    side = 7.7  # inches
    height = side * float(np.clip(span[1] / max(span[0], 1e-12), 0.5, 1.2))
    figure = Figure(figsize=(8, height + HEAD + 0.15), dpi=160)
    bottom, top = 0.15 / figure.get_figheight(), height / figure.get_figheight()
    axes = figure.add_axes((0.15 / 8, bottom, side / 8, top))
    draw_routes(axes, env, instance, routes, labels)
    write_head(figure, title, subtitle)
    save(figure, Path(target))
    return axes


def draw_routes(
    axes: Axes,
    env: RoutingEnv,
    instance: TensorDict,
    routes: Sequence[Route | Sequence[int]],
    labels: Sequence[str] | None = None,
) -> None:
    """
    Draws routes, each in a colour that its neighbours do not have; the depots are squares,
    customers that are left out pale.

    Latitudes and longitudes are drawn as a map, an instance without coordinates where
    multidimensional scaling of its distances puts it.

    Parameters
    ----------
    axes
        Where to.
    env, instance, routes, labels
        See `plot_routes`.
    """
    points, aspect = _positions(instance)
    depots = len(points) - env.num_customers(instance)
    routes = drop_empty(env.visits.as_routes(instance, routes))
    axes.set_axis_off()
    axes.set_aspect(aspect, adjustable="datalim")
    axes.margins(0.02)
    scale = len(points) ** -0.5
    width, size = np.clip(16 * scale, 0.7, 1.9), np.clip(2600 * scale**2, 5, 42)
    for colour, route in _coloured(points, routes, depots):
        _draw(axes, points, route, colour, width)
        visited = np.array(route.visits)
        x, y = points[visited].T
        sizes = size * _weights(instance)[visited]
        axes.scatter(x, y, s=sizes, color=colour, edgecolor="white", lw=0.3 * width, zorder=3)
    left_out = sorted(set(range(depots, len(points))) - {n for r in routes for n in r.visits})
    x, y = points[left_out].T
    axes.scatter(x, y, s=size, color=PALE, lw=0, zorder=1)
    x, y = points[:depots].T
    axes.scatter(x, y, s=90, marker="s", color=INK, edgecolor="white", lw=1.2, zorder=4)
    if labels and routes and len(points) <= 80:
        axes.autoscale_view()
        axes.apply_aspect()
        _write(axes, axes.figure.dpi / 72, points, labels, routes)


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
    return zip(colours_in_a_ring(len(ordered)), ordered, strict=True)


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


def _write(
    axes: Axes, pixels: float, points: Points, labels: Sequence[str], routes: Sequence[Route]
) -> None:
    """The nodes' names, each on the free side of its node; a point has so many pixels."""
    font, gap = 6.5, 4.5  # points
    to_pixels = axes.transData.transform
    along = np.linspace(0, 1, 24)[:, None, None]
    legs = np.array([leg for route in routes for leg in pairwise(path(route))])
    lines = (1 - along) * points[legs[:, 0]] + along * points[legs[:, 1]]
    centres = place(
        to_pixels(points),
        labels,
        font * pixels,
        gap * pixels,
        to_pixels(lines.reshape(-1, 2)),
        axes.get_window_extent().extents,
    )
    halo = withStroke(linewidth=2, foreground="white")
    for (x, y), label in zip(axes.transData.inverted().transform(centres), labels, strict=True):
        axes.text(
            x, y, label, fontsize=font, color=INK, va="center", ha="center", path_effects=[halo]
        )
