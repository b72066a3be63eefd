"""Where names go in a picture so that they hide neither points nor one another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SIDES = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]


def place(
    points: NDArray[np.float64], labels: Sequence[str], height: float, gap: float
) -> NDArray[np.float64]:
    """
    Puts each label at the side of its point where it covers least, one after the other.

    Parameters
    ----------
    points
        ``[N, 2]``, in pixels.
    labels
        Text of each point.
    height
        Of a line of text, in pixels; a letter is taken to be 0.55 times as wide.
    gap
        Between a point and its label, in pixels.

    Returns
    -------
    numpy.ndarray
        Centres of the labels, ``[N, 2]``.
    """
    centres = np.zeros((len(points), 2))
    # A point is an obstacle too: a box of the gap's size around it.
    boxes = [np.concatenate([point - gap / 2, point + gap / 2]) for point in points]
    for k, (point, label) in enumerate(zip(points, labels, strict=True)):
        half = np.array([0.275 * height * len(label), 0.5 * height])
        candidates = point + np.array(SIDES) * (half + gap * np.array([1.0, 0.8]))
        around = np.concatenate([candidates - half, candidates + half], axis=1)
        covered = _overlap(around, np.array(boxes)).sum(1)
        best = int(covered.argmin())
        centres[k] = candidates[best]
        boxes.append(around[best])
    return centres


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas that boxes (left, bottom, right, top) share: ``[A, 4], [B, 4] -> [A, B]``."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return (high - low).clip(min=0).prod(-1)
