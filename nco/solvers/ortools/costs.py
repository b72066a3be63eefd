"""
How OR-Tools' routing model expresses costs.

Costs of legs and vehicles share one scale, exact where all have at most three decimals. Where
waiting costs something too, the scale is that of times: then the slack of the dimension of time has
a price.

The length of the longest route, and prizes where nothing is paid for legs, are all that counts:
there the lengths of legs, in units that no solution has as many of as one of the objective, break
the ties. Local search needs to see that a tour gets shorter.
"""

import numpy as np

from nco.data.errors import InputError
from nco.envs.objectives import Total
from nco.solvers.model.arc_costs import leg_costs
from nco.solvers.model.costs import LONGEST, SUMS
from nco.solvers.model.scaling import MOST, Scaling, choose_scaling, finest_scaling
from nco.solvers.model.times import require_windows
from nco.solvers.ortools.model import Draft, Model
from nco.solvers.ortools.times import LONGEST as MOST_TIME
from nco.solvers.ortools.times import TIME, clock, known_times

OBJECTIVES = {**SUMS, **LONGEST}
FINE = 2**40  # units of the largest leg or prize: sums of 2^22 of them fit an int64
TIES = 2**20  # units of any solution that only breaks ties
LONGEST_ROUTE = "longest route"


def objective(draft: Draft) -> None:
    """
    Adds the objective, once all rules have spoken.

    Raises
    ------
    InputError
        The longest route is not all that counts, or waiting counts where it is not known.
    """
    costs = draft.costs
    windows = "time_windows" in draft.instance.keys()
    if windows and (costs.time or costs.longest):
        require_windows(draft.env, draft.instance, draft.env.objective, "ortools")
        clock(draft, costs.release)
    if costs.longest:
        _longest(draft)
        return
    waits = windows and bool(costs.time)
    legs = leg_costs(costs, draft.instance, draft.shape, draft.distance, busy=True)
    distinct = list({id(matrix): matrix for matrix in legs}.values())
    amounts = np.concatenate([matrix.ravel() for matrix in distinct])
    others = costs.others if draft.shape.optional else costs.fixed
    every = np.concatenate([amounts, others])
    if waits:
        known = known_times(draft, costs.release)
        longest = max(1, *(int(matrix.max()) for matrix in known.travel))
        draft.times = known = known.finer(max(1, min(TIES // longest, FINE // known.horizon)))
        draft.scaling = Scaling(known.scaling.factor / costs.time, False, costs.constant)
        top = float(every.max(initial=0)) * draft.scaling.factor
        if top * (len(draft.distance) + len(draft.counts)) > MOST:
            raise InputError(
                f"ortools cannot express {type(draft.env.objective).__name__}, expected costs "
                "that compare with those of times"
            )
    elif not amounts.any() and others.any():
        _ties(draft, others)
        return
    elif draft.shape.optional:
        draft.scaling = finest_scaling(every, FINE, costs.constant)
    else:
        found = choose_scaling(np.min(distinct, axis=0), others=every)
        draft.scaling = Scaling(found.factor, found.exact, costs.constant)

    def add(model: Model) -> None:
        scaled = {id(matrix): draft.scaling.integers(matrix) for matrix in distinct}
        transits = model.matrices([scaled[id(matrix)] for matrix in legs])
        fixed = draft.scaling.integers(costs.fixed)
        for vehicle in range(len(model.vehicles)):
            model.routing.SetArcCostEvaluatorOfVehicle(transits[vehicle], vehicle)
        paid = sum(float(matrix.max(axis=1).sum()) for matrix in distinct)
        _set_fixed(model, fixed, paid * draft.scaling.factor)
        if waits:
            dimension = model.routing.GetDimensionOrDie(TIME)
            dimension.SetSlackCostCoefficientForAllVehicles(1)

    draft.steps.append(add)


def _ties(draft: Draft, amounts: np.ndarray) -> None:
    """Prizes or vehicles alone, and legs that break ties between them."""
    scale = finest_scaling(amounts, FINE // len(draft.distance), draft.costs.constant)
    draft.scaling = Scaling(scale.factor, scale.exact, scale.offset, ties=2 * TIES)
    draft.metaheuristic = "TABU_SEARCH"  # guided local search only looks at the costs of legs

    def add(model: Model) -> None:
        _break_ties(model, draft.distance)
        fixed = scale.integers(draft.costs.fixed) * 2 * TIES
        paid = float(draft.costs.left_out.sum()) * scale.factor * 2 * TIES
        _set_fixed(model, fixed, paid + TIES)

    draft.steps.append(add)


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


def _longest(draft: Draft) -> None:
    """
    The objective is the span of a dimension of time that begins with 0 on every route.

    Raises
    ------
    InputError
        Something else costs as well.
    """
    costs = draft.costs
    if costs.distance.any() or costs.fixed.any() or costs.visit.any() or costs.left_out.any():
        name = "Total" if isinstance(draft.env.objective, Total) else "Makespan"
        raise InputError(f"ortools cannot express {name}, expected Makespan alone")
    if costs.time:
        raise InputError("ortools cannot express Total, expected Makespan alone")
    known = known_times(draft, costs.release)
    if known.horizon > MOST_TIME:
        raise InputError("ortools cannot express Makespan, expected times below 2^40 units")
    draft.scaling = Scaling(
        known.scaling.factor / costs.longest, known.scaling.exact, costs.constant, ties=2 * TIES
    )
    draft.metaheuristic = "TABU_SEARCH"
    draft.first_solution = "PARALLEL_CHEAPEST_INSERTION"

    def add(model: Model) -> None:
        routing, solver = model.routing, model.routing.solver()
        _break_ties(model, draft.distance)
        legs = [travel + known.service[:, None] for travel in known.travel]
        shared = {id(travel): matrix for travel, matrix in zip(known.travel, legs, strict=True)}
        transits = model.matrices([shared[id(travel)] for travel in known.travel])
        waits = TIME in routing.GetAllDimensionNames()
        slack = known.horizon if waits else 0
        routing.AddDimensionWithVehicleTransits(transits, slack, known.horizon, True, LONGEST_ROUTE)
        dimension = routing.GetDimensionOrDie(LONGEST_ROUTE)
        dimension.SetGlobalSpanCostCoefficient(2 * TIES)
        none = np.zeros(len(draft.counts), dtype=np.int64)
        _set_fixed(model, none, float(known.horizon) * 2 * TIES)
        if not waits:
            return
        time = routing.GetDimensionOrDie(TIME)
        for vehicle in range(len(model.vehicles)):
            first, last = time.CumulVar(routing.Start(vehicle)), time.CumulVar(routing.End(vehicle))
            solver.Add(dimension.CumulVar(routing.End(vehicle)) >= last - first)

    draft.steps.append(add)
