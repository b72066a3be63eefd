"""Where names go in a picture so that they hide neither points nor one another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
SIDES = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]


def place(
    points: Points,
    labels: Sequence[str],
    height: float,
    gap: float,
    lines: Points,
    frame: tuple[float, float, float, float],
) -> Points:
    """
    Puts each label at the side of its point where it covers least, one after the other.

    Parameters
    ----------
    points
        ``[N, 2]``, in pixels.
    labels
        Text of each point.
    height
        Of a line of text, in pixels; a letter is taken to be 0.6 times as wide.
    gap
        Between a point and its label, in pixels.
    lines
        Points on lines, ``[M, 2]``: better not covered, but rather than another label.
    frame
        Left, bottom, right and top that labels have to stay within.

    Returns
    -------
    numpy.ndarray
        Centres of the labels, ``[N, 2]``.
    """
    centres = np.zeros((len(points), 2))
    # A point is an obstacle too: a box of the gap's size around it.
    boxes = [np.concatenate([point - gap / 2, point + gap / 2]) for point in points]
    dots = np.concatenate([lines - gap / 10, lines + gap / 10], axis=1)
    for k, (point, label) in enumerate(zip(points, labels, strict=True)):
        half = np.array([0.3 * height * len(label), 0.5 * height])
        candidates = point + np.array(SIDES) * (half + gap * np.array([1.0, 0.8]))
        around = np.concatenate([candidates - half, candidates + half], axis=1)
        outside = 4 * half.prod() - _overlap(around, np.array([frame])).sum(1)
        covered = _overlap(around, np.array(boxes)).sum(1) + _overlap(around, dots).sum(1)
        best = int((covered + 100 * outside).argmin())
        centres[k] = candidates[best]
        boxes.append(around[best])
    return centres


def _overlap(a: Points, b: Points) -> Points:
    """Areas that boxes (left, bottom, right, top) share: ``[A, 4], [B, 4] -> [A, B]``."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return (high - low).clip(min=0).prod(-1)
