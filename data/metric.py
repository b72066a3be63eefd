"""
Distances between nodes, each by the convention of the file that states it.

The rounded conventions are those of TSPLIB 95 (Reinelt, section 2) and of the DIMACS VRP
challenge; ``GREAT_CIRCLE`` is the haversine formula in kilometres.
"""

import math
from enum import IntEnum

import torch
from tensordict import TensorDict
from torch import Tensor


class Metric(IntEnum):
    """How the distance of two points follows from their coordinates."""

    EUCLIDEAN = 0  # unrounded
    EUC_2D = 1  # nearest integer
    CEIL_2D = 2  # next integer
    ATT = 3  # pseudo-Euclidean
    GEO = 4  # degrees.minutes on an idealised sphere, kilometres, truncated
    DECIMAL = 5  # truncated to one decimal (DIMACS: Solomon, Gehring-Homberger)
    MILLI = 6  # rounded to thousandths
    MAN_2D = 7  # Manhattan, nearest integer
    MAX_2D = 8  # maximum norm, nearest integer
    GREAT_CIRCLE = 9  # latitude, longitude in degrees; haversine, kilometres, unrounded


def leg(instance: TensorDict, origin: Tensor, target: Tensor) -> Tensor:
    """
    Length of single legs, for any number of them.

    Parameters
    ----------
    origin, target
        Node indices, shape ``[B, ...]``.

    Returns
    -------
    Tensor
        Shape ``[B, ...]``, in the unit and rounding of the instance.
    """
    shape = origin.shape
    a, b = origin.flatten(1), target.flatten(1)
    if "distance" in instance.keys():
        n = instance["distance"].shape[-1]
        return instance["distance"].flatten(1).gather(1, a * n + b).view(shape)
    locs = instance["locs"]
    start = locs.gather(1, a.unsqueeze(-1).expand(-1, -1, 2))
    end = locs.gather(1, b.unsqueeze(-1).expand(-1, -1, 2))
    return _between(start, end, instance.get("metric", None)).view(shape)


def pairwise(instance: TensorDict) -> Tensor:
    """All distances, ``[B, N, N]``: row = from, column = to."""
    if "distance" in instance.keys():
        return instance["distance"]
    locs = instance["locs"]
    return _between(locs.unsqueeze(2), locs.unsqueeze(1), instance.get("metric", None))


def resolution(instance: TensorDict) -> Tensor | None:
    """
    Steps per unit, ``[B]`` in double precision, in which the distances are whole numbers.

    10 for tenths, 1000 for thousandths, 1 elsewhere. Sums of tenths are no exact floating point
    numbers, sums of their tenfold are: windows and limits are compared in steps. None where no
    instance has decimals.
    """
    if "metric" not in instance.keys() or "distance" in instance.keys():
        return None
    metric = instance["metric"]
    steps = torch.ones(metric.shape, dtype=torch.double, device=metric.device)
    steps = torch.where(metric == Metric.DECIMAL, 10, steps)
    return torch.where(metric == Metric.MILLI, 1000, steps)


def legs_from(instance: TensorDict, origin: Tensor) -> Tensor:
    """
    Lengths of the legs from single nodes to all nodes: rows of `pairwise`, one for each rollout.

    Parameters
    ----------
    origin
        Node indices, shape ``[B, R]``.

    Returns
    -------
    Tensor
        Shape ``[B, R, N]``, entry by entry equal to `leg`.
    """
    if "distance" in instance.keys():
        matrix = instance["distance"]
        batch, n, _ = matrix.shape
        row = origin + torch.arange(batch, device=origin.device).unsqueeze(-1) * n
        return matrix.flatten(0, 1).index_select(0, row.flatten()).view(*origin.shape, n)
    locs = instance["locs"]
    start = locs.gather(1, origin.unsqueeze(-1).expand(-1, -1, 2))
    return _between(start.unsqueeze(2), locs.unsqueeze(1), instance.get("metric", None))


def _between(start: Tensor, end: Tensor, metric: Tensor | None) -> Tensor:
    """Distances of points ``[B, ..., 2]`` under the metric of each instance ``[B]``."""
    if metric is None:  # training data: no look at the values, so no wait for the device
        return _RULES[Metric.EUCLIDEAN](start, end)
    if metric.device.type != "cpu":  # to ask which there are would wait for the device, every leg
        return selected(start, end, metric)
    kinds = metric.unique().tolist()
    if len(kinds) == 1:
        return _RULES[Metric(kinds[0])](start, end)
    shape = torch.broadcast_shapes(start.shape, end.shape)[:-1]
    result = start.new_empty(shape)
    for kind in kinds:
        rows = metric == kind
        result[rows] = _RULES[Metric(kind)](start[rows], end[rows])
    return result


def selected(start: Tensor, end: Tensor, metric: Tensor) -> Tensor:
    """The same without a look at the metrics: by all of them, of which each instance takes one."""
    result = _RULES[Metric.EUCLIDEAN](start, end)
    kinds = metric.view(-1, *(1,) * (result.ndim - 1))
    for kind, rule in _RULES.items():
        if kind != Metric.EUCLIDEAN:
            result = torch.where(kinds == kind, rule(start, end), result)
    return result


def _euclidean(start: Tensor, end: Tensor) -> Tensor:
    return _squared(start, end).sqrt()


def _squared(start: Tensor, end: Tensor) -> Tensor:
    # A sum over so short a last dimension takes several times as long.
    dx = start[..., 0] - end[..., 0]
    dy = start[..., 1] - end[..., 1]
    return dx * dx + dy * dy


def _nint(value: Tensor) -> Tensor:
    """TSPLIB's nint: halves go up (``torch.round`` takes them to the even neighbour)."""
    return (value + 0.5).floor()


def _att(start: Tensor, end: Tensor) -> Tensor:
    exact = (_squared(start, end) / 10).sqrt()
    rounded = _nint(exact)
    return torch.where(rounded < exact, rounded + 1, rounded)


def _radians(degrees_minutes: Tensor) -> Tensor:
    """TSPLIB's reading of DDD.MM, with its own value of pi."""
    degrees = degrees_minutes.trunc()
    return 3.141592 * (degrees + 5 * (degrees_minutes - degrees) / 3) / 180


def _geo(start: Tensor, end: Tensor) -> Tensor:
    lat_a, lon_a = _radians(start).unbind(-1)
    lat_b, lon_b = _radians(end).unbind(-1)
    q1, q2, q3 = (lon_a - lon_b).cos(), (lat_a - lat_b).cos(), (lat_a + lat_b).cos()
    cosine = (0.5 * ((1 + q1) * q2 - (1 - q1) * q3)).clamp(-1, 1)
    same = (start == end).all(-1)  # TSPLIB gives d(i, i) = 1 by this formula; a node is at itself
    return torch.where(same, 0, (6378.388 * cosine.acos() + 1).trunc())


def _great_circle(start: Tensor, end: Tensor) -> Tensor:
    lat_a, lon_a = (start * (math.pi / 180)).unbind(-1)
    lat_b, lon_b = (end * (math.pi / 180)).unbind(-1)
    half = ((lat_a - lat_b) / 2).sin() ** 2
    half = half + lat_a.cos() * lat_b.cos() * ((lon_a - lon_b) / 2).sin() ** 2
    return 2 * 6371.0088 * half.clamp(0, 1).sqrt().asin()


_RULES = {
    Metric.EUCLIDEAN: _euclidean,
    Metric.EUC_2D: lambda a, b: _nint(_euclidean(a, b)),
    Metric.CEIL_2D: lambda a, b: _euclidean(a, b).ceil(),
    Metric.ATT: _att,
    Metric.GEO: _geo,
    Metric.DECIMAL: lambda a, b: (_euclidean(a, b) * 10).trunc() / 10,
    Metric.MILLI: lambda a, b: _nint(_euclidean(a, b) * 1000) / 1000,
    Metric.MAN_2D: lambda a, b: _nint((a - b).abs().sum(-1)),
    Metric.MAX_2D: lambda a, b: torch.maximum(*_nint((a - b).abs()).unbind(-1)),
    Metric.GREAT_CIRCLE: _great_circle,
}
