"""Near points in the plane."""

import numpy as np
import torch
from torch import Tensor


def nearest_points(points: Tensor, count: int) -> Tensor:
    """The nearest others of every point ``[B, N, 2]``: ``[B, N, count]``, by a k-d tree."""
    from scipy.spatial import KDTree  # here: slow to import, for large instances alone

    found = []
    for plane in points.detach().double().numpy():
        order = KDTree(plane).query(plane, count + 1)[1]
        # Each point finds itself, unless many lie on the same spot: then one of them is dropped.
        extra = order == np.arange(len(plane))[:, None]
        extra[~extra.any(1), -1] = True
        found.append(torch.from_numpy(order[~extra].reshape(len(plane), count)))
    return torch.stack(found)
