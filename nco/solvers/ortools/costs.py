"""
How OR-Tools' routing model expresses costs.

Costs of legs and vehicles share one scale, exact where all have at most three decimals. Where
waiting costs something too, the scale is that of times: then the slack of the dimension of time has
a price.

The length of the longest route, and prizes where nothing is paid for legs, are all that counts:
there the lengths of legs, in units that no solution has as many of as one of the objective, break
the ties. Local search needs to see that a tour gets shorter.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from nco.data.errors import InputError
from nco.envs.objectives import Total
from nco.solvers.model.arc_costs import leg_costs
from nco.solvers.model.scaling import FINEST, MOST, Scaling, choose_scaling, finest_scaling
from nco.solvers.model.terms import Given, Term, Timed
from nco.solvers.model.times import require_windows
from nco.solvers.ortools.model import LARGEST_TIME, Model, Plan, known_times
from nco.solvers.ortools.times import TIME

TIES = 2**20  # units of any solution that only breaks ties
LONGEST_ROUTE = "longest route"


def waiting(given: Given) -> Iterator[Term]:
    """Times, where the objective asks for them."""
    costs = given.costs
    if "time_windows" in given.instance.keys() and (costs.time or costs.longest):
        require_windows(given.env, given.instance, given.env.objective, "ortools")
        yield Timed(costs.release)


def priced(plan: Plan) -> Plan:
    """
    With the objective, once all rules have spoken.

    Raises
    ------
    InputError
        The longest route is not all that counts, or waiting counts where it is not known.
    """
    given, costs = plan.given, plan.given.costs
    if costs.longest:
        return _longest(plan)
    windows = "time_windows" in given.instance.keys()
    waits = windows and bool(costs.time)
    legs = leg_costs(costs, given.instance, given.shape, given.distance, busy=True)
    distinct = list({id(matrix): matrix for matrix in legs}.values())
    amounts = np.concatenate([matrix.ravel() for matrix in distinct])
    others = costs.others if given.shape.optional else costs.fixed
    every = np.concatenate([amounts, others])
    if waits:
        known = plan.times
        assert known is not None  # `waiting` asks for them
        longest = max(1, *(int(matrix.max()) for matrix in known.travel))
        known = known.finer(max(1, min(TIES // longest, FINEST // known.horizon)))
        scaling = Scaling(known.scaling.factor / costs.time, False, costs.constant)
        plan = replace(plan, times=known)
        top = float(every.max(initial=0)) * scaling.factor
        if top * (len(given.distance) + len(plan.counts)) > MOST:
            raise InputError(
                f"ortools cannot express {type(given.env.objective).__name__}, expected costs "
                "that compare with those of times"
            )
    elif not amounts.any() and others.any():
        return _ties(plan, others)
    elif given.shape.optional:
        scaling = finest_scaling(every, FINEST, costs.constant)
    else:
        found = choose_scaling(np.min(distinct, axis=0), others=every)
        scaling = Scaling(found.factor, found.exact, costs.constant)

    def add(model: Model) -> None:
        scaled = {id(matrix): scaling.integers(matrix) for matrix in distinct}
        transits = model.matrices([scaled[id(matrix)] for matrix in legs])
        fixed = scaling.integers(costs.fixed)
        for vehicle in range(len(model.vehicles)):
            model.routing.SetArcCostEvaluatorOfVehicle(transits[vehicle], vehicle)
        paid = sum(float(matrix.max(axis=1).sum()) for matrix in distinct)
        _set_fixed(model, fixed, paid * scaling.factor)
        if waits:
            dimension = model.routing.GetDimensionOrDie(TIME)
            dimension.SetSlackCostCoefficientForAllVehicles(1)

    return _with(plan, add, scaling)


def _with(
    plan: Plan, add: Callable[[Model], None], scaling: Scaling, metaheuristic: str | None = None
) -> Plan:
    return replace(
        plan,
        steps=(*plan.steps, add),
        scaling=scaling,
        metaheuristic=metaheuristic or plan.metaheuristic,
    )


def _ties(plan: Plan, amounts: np.ndarray) -> Plan:
    """Prizes or vehicles alone, and legs that break ties between them."""
    given, costs = plan.given, plan.given.costs
    scale = finest_scaling(amounts, FINEST // len(given.distance), costs.constant)

    def add(model: Model) -> None:
        _break_ties(model, given.distance)
        fixed = scale.integers(costs.fixed) * 2 * TIES
        paid = float(costs.left_out.sum()) * scale.factor * 2 * TIES
        _set_fixed(model, fixed, paid + TIES)

    scaling = Scaling(scale.factor, scale.exact, scale.offset, ties=2 * TIES)
    # Guided local search only looks at the costs of legs.
    return _with(plan, add, scaling, "TABU_SEARCH")


def _set_fixed(model: Model, fixed: np.ndarray, paid: float) -> None:
    """Costs of vehicles, spare ones at twice what solutions pay for anything else, if that fits."""
    vehicles = len(model.vehicles)
    most = min(2 * (paid + float(fixed.max(initial=0)) * vehicles) + 1, MOST / 4 / vehicles)
    model.set_fixed_costs(fixed, int(most))


def _break_ties(model: Model, legs: np.ndarray) -> None:
    """Costs of legs of which no solution has more than TIES: each node has one way in and out."""
    longest = 2 * float(legs.max(initial=0)) * len(model.stops) or 1.0
    ties = np.rint(legs * (TIES / longest)).astype(np.int64)
    model.routing.SetArcCostEvaluatorOfAllVehicles(model.matrix(ties))


def _longest(plan: Plan) -> Plan:
    """
    The objective is the span of a dimension of time that begins with 0 on every route.

    Raises
    ------
    InputError
        Something else costs as well.
    """
    given, costs = plan.given, plan.given.costs
    if costs.distance.any() or costs.fixed.any() or costs.visit.any() or costs.left_out.any():
        name = "Total" if isinstance(given.env.objective, Total) else "Makespan"
        raise InputError(f"ortools cannot express {name}, expected Makespan alone")
    if costs.time:
        raise InputError("ortools cannot express Total, expected Makespan alone")
    known = plan.times or known_times(given, costs.release)
    if known.horizon > LARGEST_TIME:
        raise InputError("ortools cannot express Makespan, expected times below 2^40 units")
    scaling = Scaling(
        known.scaling.factor / costs.longest, known.scaling.exact, costs.constant, ties=2 * TIES
    )
    plan = replace(plan, first_solution="PARALLEL_CHEAPEST_INSERTION")

    def add(model: Model) -> None:
        routing, solver = model.routing, model.routing.solver()
        _break_ties(model, given.distance)
        legs = [travel + known.service[:, None] for travel in known.travel]
        shared = {id(travel): matrix for travel, matrix in zip(known.travel, legs, strict=True)}
        transits = model.matrices([shared[id(travel)] for travel in known.travel])
        waits = TIME in routing.GetAllDimensionNames()
        slack = known.horizon if waits else 0
        routing.AddDimensionWithVehicleTransits(transits, slack, known.horizon, True, LONGEST_ROUTE)
        dimension = routing.GetDimensionOrDie(LONGEST_ROUTE)
        dimension.SetGlobalSpanCostCoefficient(2 * TIES)
        none = np.zeros(len(plan.counts), dtype=np.int64)
        _set_fixed(model, none, float(known.horizon) * 2 * TIES)
        if not waits:
            return
        time = routing.GetDimensionOrDie(TIME)
        for vehicle in range(len(model.vehicles)):
            first, last = time.CumulVar(routing.Start(vehicle)), time.CumulVar(routing.End(vehicle))
            solver.Add(dimension.CumulVar(routing.End(vehicle)) >= last - first)

    return _with(plan, add, scaling, "TABU_SEARCH")
