"""Legs that there are not, for solvers whose matrices are finite."""

import numpy as np
import torch
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.envs.checking.infeasibility import open_ways
from nco.solvers.model.vehicles import VehicleModel

MISSING = 4  # times the longest leg


def bridged(instance: TensorDict) -> TensorDict:
    """
    An instance (batch size 1) whose missing legs are some times as long as the longest.

    Long enough for heuristics to shun them, short enough for costs that are scaled to integers;
    what must not drive them has to be told of `missing`.
    """
    given = [name for name in ("distance", "duration") if name in instance.keys()]
    if all(bool(instance[name].isfinite().all()) for name in given):
        return instance
    finite = instance.clone(recurse=False)
    for name in given:
        there = instance[name].isfinite()
        longest = torch.where(there, instance[name], 0).amax()
        finite[name] = torch.where(there, instance[name], MISSING * longest + 1)
    return finite


def missing(instance: TensorDict, shape: VehicleModel) -> NDArray[np.bool_] | None:
    """Legs ``[N, N]`` along which no way leads, of an instance not bridged; None if all do."""
    ways = open_ways(instance)
    if ways is None:
        return None
    closed: NDArray[np.bool_] = ~ways[0].cpu().numpy()
    np.fill_diagonal(closed, False)
    if shape.open:
        closed[:, list(shape.depots)] = False  # not driven
    return closed if closed.any() else None
