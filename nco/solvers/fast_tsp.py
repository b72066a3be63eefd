"""fast-tsp: Or-opt and Lin-Kernighan style local search for the symmetric TSP."""

import time
from importlib.metadata import version

import fast_tsp
import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.envs import Route, RoutingEnv
from nco.envs.objectives import Distance
from nco.envs.visits.tour import Tour
from nco.solution import Solution, judge
from nco.solvers.base import find_row, never_worse, refuse_hurried, refuse_infeasible
from nco.solvers.model.missing_arcs import bridged
from nco.solvers.model.scaling import choose_scaling, distances

LARGEST = 2**16 - 1  # it takes distances of 16 bits

# Seconds for each pair of nodes before the search: its integers
# (benchmarks/time_limits.py --construction).
PREPARING = 4e-8


class FastTSP:
    """
    The fast-tsp package: optimal up to 20 nodes, nearly so beyond, for symmetric tours.

    Distances of 16 bits are all that it takes. Integers that fit are exact; others are scaled
    and rounded, so that the tour is the best one only within some ``N / 65535`` of the longest
    leg. It has no seed, and takes no start: a start that it cannot beat is returned.

    Parameters
    ----------
    default_time_limit
        Seconds where no time limit is given (the package's own default).
    """

    name = f"fast-tsp {version('fast-tsp')}"

    def __init__(self, default_time_limit: float = 2.0):
        self.default_time_limit = default_time_limit

    def solve(
        self,
        env: RoutingEnv,
        instance: TensorDict,
        time_limit: float | None = None,
        seed: int = 0,
        start: Solution | None = None,
    ) -> Solution:
        """See `nco.solvers.base.Solver`."""
        began = time.perf_counter()
        refuse_hurried("fast-tsp", instance, time_limit, PREPARING)
        distance = _distances(env, instance)
        refuse_infeasible(env, instance, time_limit)
        matrix = choose_scaling(distance, LARGEST).integers(distance)
        left = (time_limit or self.default_time_limit) - (time.perf_counter() - began)
        tour = fast_tsp.find_tour(matrix, max(left, 0.001)) if len(matrix) > 1 else [0]
        routes = [Route(tuple(tour), start=None, end=None)]
        seconds = time.perf_counter() - began
        return never_worse(judge(env, instance, routes, seconds, self.name), start)

    def require(self, env: RoutingEnv, instance: TensorDict) -> None:
        """See `nco.solvers.base.Solver`."""
        _distances(env, instance)


def _distances(env: RoutingEnv, instance: TensorDict) -> NDArray[np.float64]:
    """All that fast-tsp takes of a problem: symmetric distances, and no rules."""
    find_row({Tour: None}, env.visits, "fast-tsp")
    for rule in env.constraints:
        find_row({}, rule, "fast-tsp")
    find_row({Distance: None}, env.objective, "fast-tsp")
    distance = distances(bridged(instance))
    if not np.array_equal(distance, distance.T):
        row, column = np.argwhere(distance != distance.T)[0]
        raise InputError(
            "fast-tsp cannot express asymmetric distances: "
            f"{distance[row, column]} from node {row} to node {column}, "
            f"{distance[column, row]} back"
        )
    return distance
