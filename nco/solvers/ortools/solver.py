"""OR-Tools' routing library, with guided local search."""

import time
import weakref
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from ortools.constraint_solver import pywrapcp, routing_enums_pb2, routing_parameters_pb2
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.envs import Route, RoutingEnv
from nco.solution import Solution, judge
from nco.solvers.base import never_worse, refuse_hurried, refuse_infeasible, require_single
from nco.solvers.model.collect import collect
from nco.solvers.model.costs import LONGEST, SUMS
from nco.solvers.model.fleet_size import enough
from nco.solvers.model.scaling import Scaling
from nco.solvers.ortools.costs import priced, waiting
from nco.solvers.ortools.model import Model, Plan, build
from nco.solvers.ortools.optional import disjunctions
from nco.solvers.ortools.planning import plan
from nco.solvers.ortools.rules import CONSTRAINTS
from nco.solvers.ortools.trips import reload

# What to try where a strategy finds no solution at all; the last one searches, as long as it takes.
OTHERS = (
    "PARALLEL_CHEAPEST_INSERTION",
    "LOCAL_CHEAPEST_INSERTION",
    "PATH_CHEAPEST_ARC",
    "FIRST_UNBOUND_MIN_VALUE",
)
Trace = list[tuple[float, float]]

# Seconds for each pair of nodes before the search: building and closing the model
# (benchmarks/time_limits.py --construction).
PREPARING = 2.5e-7


class ORTools:
    """
    OR-Tools' routing library (Perron and Furnon), restricted to what it expresses exactly.

    Costs are integers or scaled to integers (`nco.solvers.model.scaling`). The local search is
    deterministic: the seed is passed on to the constraint solver, which makes no use of it in
    this search, so only the time limit, met at another point, makes two runs differ.

    Parameters
    ----------
    first_solution
        OR-Tools' name of a first solution strategy. By default one that suits the problem:
        ``SAVINGS`` for several vehicles, ``PATH_CHEAPEST_ARC`` for one.
    metaheuristic
        OR-Tools' name of a local search metaheuristic. By default one that suits the problem:
        ``GUIDED_LOCAL_SEARCH``, but ``TABU_SEARCH`` where the distance costs nothing.
    default_time_limit
        Seconds where no time limit is given: guided local search never stops by itself.
    solutions
        Stops when local search has accepted so many solutions, if the time limit does not come
        first: then what is found does not depend on the machine.

    Raises
    ------
    InputError
        OR-Tools has no strategy or metaheuristic of that name.
    """

    name = f"ortools {version('ortools')}"

    def __init__(
        self,
        first_solution: str | None = None,
        metaheuristic: str | None = None,
        default_time_limit: float = 10.0,
        solutions: int | None = None,
    ):
        strategies = routing_enums_pb2.FirstSolutionStrategy.Value
        heuristics = routing_enums_pb2.LocalSearchMetaheuristic.Value
        if first_solution is not None:
            _check_name("first solution strategy", first_solution, strategies.keys())
        if metaheuristic is not None:
            _check_name("metaheuristic", metaheuristic, heuristics.keys())
        self.first_solution = first_solution
        self.metaheuristic = metaheuristic
        self.default_time_limit = default_time_limit
        self.solutions = solutions

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
        refuse_hurried("ortools", instance, time_limit, PREPARING)
        wanted = _plan(env, require_single(instance))
        refuse_infeasible(env, instance, time_limit)
        deadline = began + (time_limit or self.default_time_limit)
        trace: Trace = []
        routes: Sequence[Route] = ()
        for strategy, counts, spare in self._attempts(wanted, start):
            model = build(replace(wanted, counts=counts, spare=spare))
            _record(model.routing, wanted.scaling, began, trace)
            model.routing.solver().ReSeed(seed)
            found = self._search(model, strategy, deadline, start)
            if found is not None:
                routes = wanted.given.shape.leave(_routes(model, found))
                break
            if time.perf_counter() >= deadline:
                break
        seconds = time.perf_counter() - began
        return never_worse(judge(env, instance, routes, seconds, self.name, trace), start)

    def require(self, env: RoutingEnv, instance: TensorDict) -> None:
        """See `nco.solvers.base.Solver`."""
        build(_plan(env, instance))

    def _attempts(
        self, wanted: Plan, start: Solution | None
    ) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64] | None]]:
        """
        First solution strategies, vehicles and spare vehicles, until one finds a solution.

        First as many vehicles as a good solution will need, then all there are. Where there are
        fewer, the first solution may need spare ones, which local search then tries to save.
        """
        counts, given = wanted.counts, wanted.given
        few = enough(given.env, given.instance, given.shape, given.costs, given.distance)
        if start is not None:
            used = Counter(route.start for route in given.shape.enter(start.vehicle_routes))
            few = np.maximum(few, [used[depot] for depot in given.shape.depots])
        preferred = self.first_solution or wanted.first_solution
        must = not given.costs.trips and not given.shape.optional  # else some are left out
        if must and counts.sum() < few.sum():
            # Savings hardly ever keep to a small fleet, and OR-Tools then searches in vain.
            strategy = self.first_solution or "PARALLEL_CHEAPEST_INSERTION"
            yield strategy, counts, np.where(counts > 0, 2 + counts // 2, 0)
        few = np.minimum(few, counts)
        yield preferred, few, None
        if (few < counts).any():
            yield preferred, counts, None
        if self.first_solution is None:
            for strategy in OTHERS:
                if strategy != preferred:
                    yield strategy, counts, None

    def _search(
        self, model: Model, strategy: str, deadline: float, start: Solution | None
    ) -> pywrapcp.Assignment | None:
        """What OR-Tools finds until the deadline."""
        parameters = self._parameters(model.plan, strategy)
        _limit(parameters, deadline)
        model.routing.CloseModelWithParameters(parameters)
        initial = _read(model, start)
        _limit(parameters, deadline)  # again: closing a large model takes seconds
        return model.routing.SolveFromAssignmentWithParameters(initial, parameters)

    def _parameters(
        self, wanted: Plan, strategy: str
    ) -> routing_parameters_pb2.RoutingSearchParameters:
        parameters = pywrapcp.DefaultRoutingSearchParameters()
        parameters.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.Value.Value(
            strategy
        )
        parameters.local_search_metaheuristic = (
            routing_enums_pb2.LocalSearchMetaheuristic.Value.Value(
                self.metaheuristic or wanted.metaheuristic
            )
        )
        if self.solutions is not None:
            parameters.solution_limit = self.solutions
        # Savings of a hundred neighbours each: as good as all of them, in a quarter of the time.
        parameters.savings_parameters.neighbors_ratio = min(1.0, 100 / len(wanted.given.distance))
        return parameters


def _check_name(what: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise InputError(f"ortools: {what} {name!r}, expected one of {', '.join(known)}")


def _limit(parameters: routing_parameters_pb2.RoutingSearchParameters, deadline: float) -> None:
    """Sets the time limit to what is left of it."""
    left = deadline - time.perf_counter()
    parameters.time_limit.FromMilliseconds(max(1, int(left * 1000)))


def _plan(env: RoutingEnv, instance: TensorDict) -> Plan:
    """What the rows of the tables make of the problem."""
    given, terms = collect("ortools", env, instance, CONSTRAINTS, {**SUMS, **LONGEST})
    again = reload(given) if given.costs.trips else ()
    found = priced(plan(given, [*again, *terms, *waiting(given)]))
    return replace(found, steps=(*found.steps, disjunctions)) if given.shape.optional else found


def _record(routing: pywrapcp.RoutingModel, scaling: Scaling, began: float, trace: Trace) -> None:
    """Has improvements written to a trace."""
    model = weakref.proxy(routing)  # a callback that held its model would keep it alive for ever

    def record() -> None:
        cost = scaling.cost(model.CostVar().Max())
        if not trace or cost < trace[-1][1]:
            trace.append((time.perf_counter() - began, cost))

    routing.AddAtSolutionCallback(record)


def _read(model: Model, start: Solution | None) -> pywrapcp.Assignment | None:
    """The start as OR-Tools' assignment; None where there is none, or none that it accepts."""
    if start is None or not start.feasible:
        return None
    wanted = model.plan
    free = list(range(len(model.vehicles)))
    again: dict[int, list[int]] = defaultdict(list)
    for kind, index in model.again():
        again[kind].append(index)
    visits: list[list[int]] = [[] for _ in free]
    for route in wanted.given.shape.enter(start.vehicle_routes):
        indices = [model.manager.NodeToIndex(node) for node in route.visits]
        vehicle = next((v for v in free if model.vehicles[v] == route.start), None)
        if vehicle is None:
            return None
        if not wanted.given.costs.trips:
            free.remove(vehicle)
        elif visits[vehicle]:
            kind = model.vehicles[vehicle]
            if not again[kind]:
                return None
            indices = [again[kind].pop(), *indices]
        visits[vehicle] += indices
    return model.routing.ReadAssignmentFromRoutes(visits, True)


def _routes(model: Model, found: pywrapcp.Assignment) -> list[Route]:
    """What every vehicle drives, trip by trip; those that stay at home included."""
    routes = []
    nodes = len(model.plan.given.distance)
    for vehicle, kind in enumerate(model.vehicles):
        index = model.routing.Start(vehicle)
        trips: list[list[int]] = [[]]
        while not model.routing.IsEnd(index := found.Value(model.routing.NextVar(index))):
            stop = model.manager.IndexToNode(index)
            if stop >= nodes:
                trips.append([])
            else:
                trips[-1].append(stop)
        routes += [Route(tuple(visits), kind, kind, kind) for visits in trips]
    return routes
