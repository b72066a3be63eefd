"""OR-Tools' routing library, with guided local search."""

import time
import weakref
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
from ortools.constraint_solver import pywrapcp, routing_enums_pb2, routing_parameters_pb2
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.envs import Route, RoutingEnv
from nco.solution import Solution, judge
from nco.solvers.base import find_row, never_worse, refuse_hopeless
from nco.solvers.ortools_optional import disjunctions
from nco.solvers.ortools_rules import CONSTRAINTS, OBJECTIVES, Draft, Model
from nco.solvers.scaling import Scaling, choose_scaling
from nco.solvers.shapes import SHAPES

Trace = list[tuple[float, float]]


class ORTools:
    """
    OR-Tools' routing library (Perron and Furnon), restricted to what it expresses exactly.

    Costs are integers or scaled to integers (`nco.solvers.scaling`). The local search is
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
        draft = self._draft(env, instance, start)
        refuse_hopeless(env, instance, time_limit)
        model = _build(draft)
        trace, record = _recorder(model.routing, draft.scaling, began)
        model.routing.AddAtSolutionCallback(record)
        model.routing.solver().ReSeed(seed)
        parameters = self._parameters(draft)
        deadline = began + (time_limit or self.default_time_limit)
        _limit(parameters, deadline)
        model.routing.CloseModelWithParameters(parameters)
        initial = _read(model, start)
        _limit(parameters, deadline)  # again: closing a large model takes seconds
        found = model.routing.SolveFromAssignmentWithParameters(initial, parameters)
        routes = draft.shape.leave(_routes(model, found)) if found else ()
        seconds = time.perf_counter() - began
        return never_worse(judge(env, instance, routes, seconds, self.name, trace), start)

    def _draft(self, env: RoutingEnv, instance: TensorDict, start: Solution | None) -> Draft:
        """What the rows of the tables make of the problem."""
        shape = find_row(SHAPES, env.visits, "ortools")(instance)
        rules = [(find_row(CONSTRAINTS, rule, "ortools"), rule) for rule in env.constraints]
        objective = find_row(OBJECTIVES, env.objective, "ortools")
        distance = shape.distances(instance)
        vehicles = [(depot, depot) for depot in shape.depots for _ in range(shape.vehicles)]
        draft = Draft(
            env=env,
            instance=instance,
            shape=shape,
            distance=distance,
            scaling=choose_scaling(distance),
            vehicles=vehicles,
            used=len(start.routes) if start else 0,
            first_solution="SAVINGS" if len(vehicles) > 1 else "PATH_CHEAPEST_ARC",
            leave_out=env.visits.optional,
            worth=np.zeros(len(distance)),
        )
        for row, rule in rules:
            row(draft, rule)
        objective(draft, env.objective)
        if env.visits.optional:
            disjunctions(draft)
        return draft

    def _parameters(self, draft: Draft) -> routing_parameters_pb2.RoutingSearchParameters:
        parameters = pywrapcp.DefaultRoutingSearchParameters()
        parameters.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.Value.Value(
            self.first_solution or draft.first_solution
        )
        parameters.local_search_metaheuristic = (
            routing_enums_pb2.LocalSearchMetaheuristic.Value.Value(
                self.metaheuristic or draft.metaheuristic
            )
        )
        # Savings of a hundred neighbours each: as good as all of them, in a quarter of the time.
        parameters.savings_parameters.neighbors_ratio = min(1.0, 100 / len(draft.distance))
        return parameters


def _check_name(what: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise InputError(f"ortools: {what} {name!r}, expected one of {', '.join(known)}")


def _limit(parameters: routing_parameters_pb2.RoutingSearchParameters, deadline: float) -> None:
    """Sets the time limit to what is left of it."""
    left = deadline - time.perf_counter()
    parameters.time_limit.FromMilliseconds(max(1, int(left * 1000)))


def _build(draft: Draft) -> Model:
    starts, ends = (list(nodes) for nodes in zip(*draft.vehicles, strict=True))
    manager = pywrapcp.RoutingIndexManager(len(draft.distance), len(starts), starts, ends)
    model = Model(manager, pywrapcp.RoutingModel(manager), draft)
    for step in draft.steps:
        step(model)
    return model


def _recorder(
    routing: pywrapcp.RoutingModel, scaling: Scaling, began: float
) -> tuple[Trace, Callable[[], None]]:
    """A trace of improvements, and the callback that writes it."""
    trace: Trace = []
    model = weakref.proxy(routing)  # a callback that held its model would keep it alive for ever

    def record() -> None:
        cost = scaling.cost(model.CostVar().Max())
        if not trace or cost < trace[-1][1]:
            trace.append((time.perf_counter() - began, cost))

    return trace, record


def _read(model: Model, start: Solution | None) -> pywrapcp.Assignment | None:
    """The start as OR-Tools' assignment; None where there is none, or none that it accepts."""
    if start is None or not start.feasible:
        return None
    draft = model.draft
    free = list(range(len(draft.vehicles)))
    visits: list[list[int]] = [[] for _ in free]
    for route in draft.shape.enter(start.routes):
        ends = (route.start, route.end)
        vehicle = next((v for v in free if draft.vehicles[v] == ends), None)
        if vehicle is None:
            return None
        free.remove(vehicle)
        visits[vehicle] = [model.manager.NodeToIndex(node) for node in route.visits]
    return model.routing.ReadAssignmentFromRoutes(visits, True)


def _routes(model: Model, found: pywrapcp.Assignment) -> list[Route]:
    """What every vehicle drives, those that stay at home included."""
    routes = []
    for vehicle, (start, end) in enumerate(model.draft.vehicles):
        index, visits = model.routing.Start(vehicle), []
        while not model.routing.IsEnd(index := found.Value(model.routing.NextVar(index))):
            visits.append(model.manager.IndexToNode(index))
        routes.append(Route(tuple(visits), start, end, start))
    return routes
