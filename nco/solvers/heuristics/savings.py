"""The savings heuristic: a first solution in a blink, for large instances too."""

import numpy as np
import torch
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.instance import num_depots, num_nodes
from nco.data.metric import Metric, leg, legs_from
from nco.data.nearest import nearest_points
from nco.envs import Route, RoutingEnv
from nco.envs.constraints import Capacity
from nco.envs.objectives import Distance
from nco.envs.visits.depot_routes import DepotRoutes, is_open

NEIGHBOURS = 100  # of each customer whose savings are looked at
ENTRIES = 4_000_000  # distances held at once
MANY = 2000  # customers from which on near ones are found by a tree, not among all pairs
# Where what is near in the plane is near, but for rounding.
PLANE = {Metric.EUCLIDEAN, Metric.EUC_2D, Metric.CEIL_2D, Metric.DECIMAL, Metric.MILLI}


def savings(env: RoutingEnv, instance: TensorDict) -> tuple[Route, ...] | None:
    """
    Routes merged in the order of their savings (Clarke and Wright 1964, parallel version).

    Only savings between near neighbours are looked at, which loses next to nothing.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).

    Returns
    -------
    tuple of Route or None
        None where the problem has other rules than one capacity, or may have.
    """
    plain = isinstance(env.visits, DepotRoutes) and isinstance(env.objective, Distance)
    if not plain or any(type(rule) is not Capacity for rule in env.constraints):
        return None
    symmetric = "distance" not in instance.keys()
    if not symmetric or num_depots(instance) > 1 or is_open(instance) or not env.constraints:
        return None
    customers = num_nodes(instance) - 1
    if customers < 2:
        return None
    demand, capacity = instance["demand"][0].tolist(), int(instance["capacity"].flatten()[0])
    merged = [[0]] + [[node] for node in range(1, customers + 1)]
    load, home = list(demand), list(range(customers + 1))
    for first, second in zip(*_pairs(instance.cpu(), customers), strict=True):
        a, b = home[first], home[second]
        if a == b or load[a] + load[b] > capacity:
            continue
        left, right = merged[a], merged[b]
        if first not in (left[0], left[-1]) or second not in (right[0], right[-1]):
            continue
        if left[-1] != first:
            left = left[::-1]
        if right[0] != second:
            right = right[::-1]
        keep, gone = (a, b) if len(left) >= len(right) else (b, a)
        for node in merged[gone]:
            home[node] = keep
        merged[keep], merged[gone] = left + right, []
        load[keep] += load[gone]
    return tuple(Route(tuple(visits)) for visits in merged[1:] if visits)


def _pairs(instance: TensorDict, customers: int) -> tuple[list[int], list[int]]:
    """Pairs of neighbouring customers with positive savings, the largest first."""
    depot = legs_from(instance, torch.zeros(1, 1, dtype=torch.long))[0, 0].numpy()
    near = min(NEIGHBOURS, customers - 1)
    i, j, length = _near(instance, customers, near)
    saved = depot[i] + depot[j] - length
    kept = saved > 0
    i, j, saved = i[kept], j[kept], saved[kept]
    order = np.argsort(-saved, kind="stable")
    return i[order].tolist(), j[order].tolist()


def _near(
    instance: TensorDict, customers: int, near: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Each customer and its near ones, the nearest first, with the lengths of the legs."""
    metric = Metric(int(instance["metric"])) if "metric" in instance.keys() else Metric.EUCLIDEAN
    if customers >= MANY and metric in PLANE:
        target = nearest_points(instance["locs"][:, 1:], near).flatten() + 1
        origin = torch.arange(1, customers + 1).repeat_interleave(near)
        length = leg(instance, origin.unsqueeze(0), target.unsqueeze(0))[0]
        return origin.numpy(), target.numpy(), length.numpy()
    rows = max(1, ENTRIES // (customers + 1))
    found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    for begin in range(1, customers + 1, rows):
        origin = torch.arange(begin, min(begin + rows, customers + 1))
        legs = legs_from(instance, origin.unsqueeze(0))[0]
        legs[:, 0] = float("inf")
        legs[torch.arange(len(origin)), origin] = float("inf")
        length, target = legs.topk(near, largest=False)
        i, j = origin.repeat_interleave(near).numpy(), target.flatten().numpy()
        found.append((i, j, length.flatten().numpy()))
    i, j, lengths = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return i, j, lengths
