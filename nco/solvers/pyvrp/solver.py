"""PyVRP: iterated local search of the hybrid genetic search family."""

import math
import time
import warnings
from collections.abc import Sequence
from importlib.metadata import version

import pyvrp
from pyvrp import Activity, ActivityType
from pyvrp.exceptions import PenaltyBoundWarning
from pyvrp.IteratedLocalSearch import (
    IteratedLocalSearch,
    IteratedLocalSearchCallbacks,
    IteratedLocalSearchParams,
)
from pyvrp.stop import StoppingCriterion
from tensordict import TensorDict

from nco.envs import Route, RoutingEnv
from nco.solution import Solution, judge
from nco.solvers.base import never_worse, refuse_hurried, refuse_infeasible, require_single
from nco.solvers.model.collect import collect
from nco.solvers.model.costs import SUMS
from nco.solvers.model.vehicles import SHAPES
from nco.solvers.pyvrp.data_model import DataModel
from nco.solvers.pyvrp.rules import CONSTRAINTS, reload, wait

# Seconds for each pair of nodes before the search: data, neighbourhoods, a first local search
# (benchmarks/time_limits.py --construction).
PREPARING = 4e-7


class PyVRP:
    """
    PyVRP (Wouda, Lan and Kool 2024), restricted to what it expresses exactly.

    Costs are integers or scaled to integers (`nco.solvers.model.scaling`). A closed tour without
    depot is one vehicle that starts at node 0.

    Parameters
    ----------
    iterations
        Stops after so many iterations, if the time limit does not come first: then the seed
        alone decides what is found.
    default_time_limit
        Seconds where neither a time limit nor ``iterations`` is given: the search never stops by
        itself.
    """

    name = f"pyvrp {version('pyvrp')}"

    def __init__(self, iterations: int | None = None, default_time_limit: float = 10.0):
        self.iterations = iterations
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
        refuse_hurried("pyvrp", instance, time_limit, PREPARING)
        model = data_model(env, require_single(instance))
        refuse_infeasible(env, instance, time_limit)
        data = model.build()
        trace = _Trace(began, model)
        parameters = pyvrp.SolveParams(ils=IteratedLocalSearchParams(callbacks=trace))
        initial = None
        if start is not None and start.feasible:
            initial = initial_solution(data, model, start.vehicle_routes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PenaltyBoundWarning)  # the judge tells
            result = pyvrp.solve(
                data,
                stop=self._stop(began, time_limit),
                seed=seed % 2**32,
                collect_stats=False,
                params=parameters,
                initial_solution=initial,
            )
        routes = (
            model.given.shape.leave(routes_of(model, result.best)) if result.is_feasible() else ()
        )
        seconds = time.perf_counter() - began
        return never_worse(judge(env, instance, routes, seconds, self.name, trace.found), start)

    def require(self, env: RoutingEnv, instance: TensorDict) -> None:
        """See `nco.solvers.base.Solver`."""
        data_model(env, instance).build()

    def _stop(self, began: float, time_limit: float | None) -> StoppingCriterion:
        """
        The stopping criterion. Building the data counts, other than with PyVRP's ``MaxRuntime``.
        """
        if time_limit is None:
            time_limit = self.default_time_limit if self.iterations is None else math.inf
        deadline, calls = began + time_limit, 0

        def stop(best_cost: int) -> bool:
            nonlocal calls
            calls += 1
            if self.iterations is not None and calls > self.iterations:
                return True
            return time.perf_counter() >= deadline

        return stop


class _Trace(IteratedLocalSearchCallbacks):
    """Writes down every improvement."""

    def __init__(self, began: float, model: DataModel):
        self.began = began
        self.model = model
        self.found: list[tuple[float, float]] = []

    def on_start(self, algorithm: IteratedLocalSearch) -> None:
        self.on_best(algorithm.initial_solution)

    def on_best(self, best: pyvrp.Solution) -> None:
        if not best.is_feasible():
            return
        free = pyvrp.CostEvaluator([0] * len(best.excess_load()), 0, 0)
        cost = self.model.cost(free.cost(best))
        if not self.found or cost < self.found[-1][1]:
            self.found.append((time.perf_counter() - self.began, cost))


def expresses(env: RoutingEnv) -> bool:
    """Whether the tables have a row for the visits and every rule of a problem."""
    return type(env.visits) in SHAPES and all(type(rule) in CONSTRAINTS for rule in env.constraints)


def data_model(env: RoutingEnv, instance: TensorDict) -> DataModel:
    """What the rows of the tables make of the problem."""
    given, terms = collect("pyvrp", env, instance, CONSTRAINTS, SUMS)
    return DataModel.of(given, [*terms, *wait(given), *reload(given)])


def initial_solution(
    data: pyvrp.ProblemData, model: DataModel, start: Sequence[Route]
) -> pyvrp.Solution:
    """Feasible routes as PyVRP's solution."""
    stop = {node: Activity(ActivityType.CLIENT, k) for k, node in enumerate(model.clients)}
    for k, (pickup, delivery) in enumerate(model.pairs.items()):
        stop[pickup] = Activity(ActivityType.PICKUP, k)
        stop[delivery] = Activity(ActivityType.DELIVERY, k)
    kind = {node: k for k, node in enumerate(model.given.shape.depots)}
    driven: list[tuple[int, list[Activity]]] = []
    for route in model.given.shape.enter(start):
        k = kind[route.start or 0]
        before = next((stops for other, stops in driven if other == k), None)
        if before is None or not model.given.costs.trips:
            driven.append((k, [stop[node] for node in route.visits]))
        else:  # another trip
            before += [
                Activity(ActivityType.DEPOT, k),
                *(stop[node] for node in route.visits),
            ]
    routes = [pyvrp.Route(data, stops, model.kinds.index(k)) for k, stops in driven]
    return pyvrp.Solution(data, routes)


def routes_of(model: DataModel, best: pyvrp.Solution) -> list[Route]:
    """What every vehicle drives, trip by trip; a single vehicle that stays at home included."""
    pickups = list(model.pairs)

    def node(stop: Activity) -> int:
        if stop.is_client():
            return model.clients[stop.idx]
        pickup = pickups[stop.idx]
        return pickup if stop.is_pickup() else model.pairs[pickup]

    routes = []
    for route in best.routes():
        depot = model.given.shape.depots[model.kinds[route.vehicle_type()]]
        trips: list[list[int]] = [[]]
        for stop in route:
            if stop.is_depot():
                trips.append([])
            else:
                trips[-1].append(node(stop))
        routes += [Route(tuple(visits), depot, depot, depot) for visits in trips if visits]
    return routes or [Route(())]
