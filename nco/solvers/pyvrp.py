"""PyVRP: iterated local search of the hybrid genetic search family."""

import math
import time
import warnings
from importlib.metadata import version

import pyvrp
from pyvrp.exceptions import PenaltyBoundWarning
from pyvrp.IteratedLocalSearch import (
    IteratedLocalSearch,
    IteratedLocalSearchCallbacks,
    IteratedLocalSearchParams,
)
from pyvrp.PenaltyManager import PenaltyParams
from pyvrp.stop import StoppingCriterion
from tensordict import TensorDict

from nco.envs import Route, RoutingEnv
from nco.solution import Solution, judge
from nco.solvers.base import find_row, never_worse, refuse_hopeless
from nco.solvers.pyvrp_rules import CONSTRAINTS, OBJECTIVES, Draft
from nco.solvers.scaling import Scaling, choose_scaling
from nco.solvers.shapes import SHAPES


class PyVRP:
    """
    PyVRP (Wouda, Lan and Kool 2024), restricted to what it expresses exactly.

    Costs are integers or scaled to integers (`nco.solvers.scaling`). A closed tour without depot
    is one vehicle that starts at node 0.

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
        draft = _draft(env, instance)
        refuse_hopeless(env, instance, time_limit)
        data = draft.build()
        trace = _Trace(began, draft.scaling)
        parameters = pyvrp.SolveParams(
            ils=IteratedLocalSearchParams(callbacks=trace), penalty=_penalties(data)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PenaltyBoundWarning)  # the judge tells
            result = pyvrp.solve(
                data,
                stop=self._stop(began, time_limit),
                seed=seed % 2**32,
                collect_stats=False,
                params=parameters,
                initial_solution=_initial(data, draft, start),
            )
        routes = draft.shape.leave(_routes(draft, result.best)) if result.is_feasible() else ()
        seconds = time.perf_counter() - began
        return never_worse(judge(env, instance, routes, seconds, self.name, trace.found), start)

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

    def __init__(self, began: float, scaling: Scaling):
        self.began = began
        self.scaling = scaling
        self.found: list[tuple[float, float]] = []

    def on_start(self, algorithm: IteratedLocalSearch) -> None:
        self.on_best(algorithm.initial_solution)

    def on_best(self, best: pyvrp.Solution) -> None:
        if not best.is_feasible():
            return
        free = pyvrp.CostEvaluator([0] * len(best.excess_load()), 0, 0)
        cost = self.scaling.cost(free.cost(best))
        if not self.found or cost < self.found[-1][1]:
            self.found.append((time.perf_counter() - self.began, cost))


def _draft(env: RoutingEnv, instance: TensorDict) -> Draft:
    """What the rows of the tables make of the problem."""
    shape = find_row(SHAPES, env.visits, "pyvrp")(instance)
    rules = [(find_row(CONSTRAINTS, rule, "pyvrp"), rule) for rule in env.constraints]
    objective = find_row(OBJECTIVES, env.objective, "pyvrp")
    distance = shape.distances(instance)
    draft = Draft(
        instance=instance,
        shape=shape,
        distance=distance,
        scaling=choose_scaling(distance),
        clients=[{"location": node} for node in shape.customers],
        depots=[{"location": node} for node in shape.depots],
        vehicle_types=[
            {"num_available": shape.vehicles, "start_depot": k, "end_depot": k}
            for k in range(len(shape.depots))
        ],
    )
    for row, rule in rules:
        row(draft, rule)
    objective(draft, env.objective)
    return draft


def _penalties(data: pyvrp.ProblemData) -> PenaltyParams:
    """
    PyVRP's default penalties, raised in proportion where the distances are scaled up.

    The default largest penalty of a unit of excess load is a hundred times the longest leg of a
    benchmark instance (a thousand); against scaled distances it would let overloads pay.
    """
    loads = [load for client in data.clients() for load in client.delivery if load > 0]
    mean_load = sum(loads) / len(loads) if loads else 1.0
    longest = max(int(matrix.max()) for matrix in data.distance_matrices())
    default = PenaltyParams().max_penalty
    return PenaltyParams(max_penalty=default * max(1.0, longest / 1000 / mean_load))


def _initial(
    data: pyvrp.ProblemData, draft: Draft, start: Solution | None
) -> pyvrp.Solution | None:
    """The start as PyVRP's solution; None where there is none."""
    if start is None or not start.feasible:
        return None
    client = {node: index for index, node in enumerate(draft.shape.customers)}
    depot = {node: index for index, node in enumerate(draft.shape.depots)}
    routes = [
        pyvrp.Route(data, [client[node] for node in route.visits], depot[route.start or 0])
        for route in draft.shape.enter(start.routes)
    ]
    return pyvrp.Solution(data, routes)


def _routes(draft: Draft, best: pyvrp.Solution) -> list[Route]:
    """What every vehicle drives; a single vehicle that stays at home included."""
    routes = []
    for route in best.routes():
        visits = tuple(draft.shape.customers[stop.idx] for stop in route if stop.is_client())
        start, end = draft.shape.depots[route.start_depot()], draft.shape.depots[route.end_depot()]
        routes.append(Route(visits, start, end))
    return routes or [Route(())]
