"""Slack induction by string removals on all cores."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from tensordict import TensorDict

from nco import __version__
from nco.data.errors import InputError
from nco.data.instance import num_depots, num_nodes
from nco.data.metric import Metric, resolution
from nco.envs import Route, RoutingEnv
from nco.envs.visits.depot_routes import DepotRoutes
from nco.envs.visits.fleet_routes import FleetRoutes
from nco.solution import Solution, judge
from nco.solvers.base import find_row, never_worse, refuse_infeasible, require_single
from nco.solvers.model.costs import SUMS, costs
from nco.solvers.model.scaling import distances
from nco.solvers.model.vehicles import SHAPES, VehicleModel
from nco.solvers.sisr.native import Cooling, Found, Search, library
from nco.solvers.sisr.terms import NEVER, TERMS, Units, scaled
from nco.solvers.threads import cores

# How the engine rounds what it computes from coordinates: the rule, and steps per unit.
ROUNDINGS = {
    Metric.EUCLIDEAN: (0, 1.0),
    Metric.EUC_2D: (1, 1.0),
    Metric.CEIL_2D: (2, 1.0),
    Metric.DECIMAL: (3, 10.0),
    Metric.MILLI: (1, 1000.0),
}
MATRIX_NODES = 10_000  # nodes up to which a matrix stands for a metric that the engine lacks
MISSING = 1e10  # stands for an arc that is not there: dearer than any route, cheaper than no visit
EXCHANGES = (0.0, 0.5, 0.8, 1.0)  # of the time, when all threads go on from the best
MARGIN_SECONDS = 0.004  # for checking, beside its measured time per customer
SECONDS_PER_CUSTOMER = 4e-6


class Sisr:
    """
    Slack induction by string removals (Christiaens and Vanden Berghe 2020), simulated annealing
    over neighbour lists; memory is linear in the number of customers.

    Parameters
    ----------
    workers
        Threads that search; by default one for each core that may be used. They exchange the best
        solution a few times.
    iterations
        Of each worker, if the time limit does not come first: with one worker the seed alone then
        decides what is found.
    default_time_limit
        Seconds where neither a time limit nor ``iterations`` is given.
    cooling
        Settings of the search.
    """

    name = f"sisr (nco {__version__})"

    def __init__(
        self,
        workers: int | None = None,
        iterations: int | None = None,
        default_time_limit: float = 10.0,
        cooling: Cooling | None = None,
    ):
        self.workers = workers or len(cores())
        self.iterations = iterations
        self.default_time_limit = default_time_limit
        self.cooling = cooling or Cooling()

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
        search, shape = search_of(env, require_single(instance))
        refuse_infeasible(env, instance, time_limit)
        library()
        if time_limit is None:
            time_limit = self.default_time_limit if self.iterations is None else NEVER
        deadline = began + time_limit - MARGIN_SECONDS - SECONDS_PER_CUSTOMER * num_nodes(instance)
        given: list[tuple[int, list[int]]] = []
        if start is not None and start.feasible:
            driven = shape.enter(start.vehicle_routes)
            given = [(route.vehicle, list(route.visits)) for route in driven]
        best, trace = self._search(search, deadline, began, seed, given)
        routes = [Route(tuple(visits), depot, depot, depot) for depot, visits in best.routes]
        routes = list(shape.leave(routes))
        seconds = time.perf_counter() - began
        checked = judge(env, instance, routes, seconds, self.name, trace)
        return never_worse(checked, start)

    def require(self, env: RoutingEnv, instance: TensorDict) -> None:
        """See `nco.solvers.base.Solver`."""
        library()
        search_of(env, instance)

    def _search(
        self,
        search: Search,
        deadline: float,
        began: float,
        seed: int,
        given: list[tuple[int, list[int]]],
    ) -> tuple[Found, list[tuple[float, float]]]:
        """The best of all workers, and when it was found by any."""
        trace: list[tuple[float, float]] = []
        best: Found | None = None
        first = time.perf_counter()
        spans = [(0.0, 1.0)] if self.workers == 1 else list(pairwise(EXCHANGES))
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                for k, span in enumerate(spans):
                    now = time.perf_counter()
                    left = first + (deadline - first) * span[1] - now
                    count = self.iterations
                    if count is not None:
                        count = max(1, round(count * (span[1] - span[0])))
                    starting = given if best is None else best.routes
                    tasks = [
                        pool.submit(
                            search.run, max(0.0, left), seed + 7919 * (k * self.workers + w),
                            starting, self.cooling, span, count,
                        )
                        for w in range(self.workers)
                    ]  # fmt: skip
                    for found in [task.result() for task in tasks]:
                        trace += [(now - began + t, c) for t, c in found.trace]
                        if best is None or found.cost < best.cost:
                            best = found
            except BaseException:
                search.stop()
                raise
        assert best is not None
        return best, improvements(trace)


def improvements(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those points (seconds, cost) that were the best so far."""
    found: list[tuple[float, float]] = []
    for seconds, cost in sorted(points):
        if not found or cost < found[-1][1]:
            found.append((seconds, cost))
    return [point for point in found if point[1] < MISSING]


def search_of(env: RoutingEnv, instance: TensorDict) -> tuple[Search, VehicleModel]:
    """
    An instance as the engine sees it.

    Raises
    ------
    InputError
        The engine cannot express a rule, or has no room for a matrix.
    """
    if type(env.visits) not in (DepotRoutes, FleetRoutes):
        raise InputError(
            f"sisr cannot express {type(env.visits).__name__}, expected routes from depots"
        )
    rows = [find_row(TERMS, rule, "sisr") for rule in env.constraints]
    instance = instance.cpu()
    shape = SHAPES[type(env.visits)](env.visits, instance)
    found = costs(env, instance, shape, "sisr", SUMS)
    if found.time or found.longest or found.trips:
        raise found.refuse(env.objective, "sums over distances, vehicles, visits and penalties")
    nodes, kinds = num_nodes(instance), num_depots(instance)
    columns = geometry(instance)
    steps = float(columns["scale"])
    units = Units(steps, 1.0 if "duration" in instance.keys() else steps)
    columns["count"] = np.full(kinds, shape.vehicles)
    for rule, row in zip(env.constraints, rows, strict=True):
        columns |= row(instance, rule, units)
    columns["open_route"] = np.full(kinds, shape.open)
    columns["exact"] = int(_exact(columns))
    columns |= {"unit_cost": found.distance, "fixed_cost": found.fixed * steps}
    if found.visit.any():
        columns["visit"] = found.visit * steps
    if shape.optional:
        columns["penalty"] = np.where(np.arange(nodes) < kinds, 0, found.left_out * steps)
    return Search(nodes, kinds, columns), shape


def geometry(instance: TensorDict) -> dict[str, np.ndarray | int | float]:
    """
    Coordinates and how distances follow, or a matrix of them.

    Raises
    ------
    InputError
        There would have to be a matrix of too many nodes.
    """
    nodes = num_nodes(instance)
    if "distance" not in instance.keys():
        metric = Metric(int(instance["metric"][0])) if "metric" in instance.keys() else Metric(0)
        # In single precision, only a matrix has the distances of the checker to the last bit.
        in_double = instance["locs"].dtype == torch.double or nodes > MATRIX_NODES
        if metric in ROUNDINGS and (in_double or metric != Metric.EUCLIDEAN):
            rounding, scale = ROUNDINGS[metric]
            return {
                "xy": instance["locs"][0].double().numpy(),
                "rounding": rounding,
                "scale": scale,
            }
    if nodes > MATRIX_NODES:
        raise InputError(
            f"sisr: {nodes} nodes, expected at most {MATRIX_NODES} where distances are given"
        )
    steps = resolution(instance)
    scale = 1.0 if steps is None else float(steps[0])
    matrix = distances(instance)
    matrix = np.where(np.isfinite(matrix), matrix, MISSING)
    return {"distance": scaled(matrix, scale), "rounding": 0, "scale": scale}


def _exact(columns: Mapping[str, Any]) -> bool:
    """Whether the engine adds whole numbers only, so that the order makes no difference."""
    if columns["rounding"] == 0 and "distance" not in columns:
        return False
    names = ("distance", "duration", "service", "open", "close", "length_limit", "duration_limit")
    arrays = [columns[name] for name in names if name in columns]
    divided = "speed" in columns and bool((columns["speed"] != 1).any())
    return not divided and all(bool((array == np.rint(array)).all()) for array in arrays)
