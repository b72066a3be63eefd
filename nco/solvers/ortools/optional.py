"""How OR-Tools' routing model expresses customers that may be left out."""

import math
from collections.abc import Iterator

import numpy as np

from nco.data.errors import InputError
from nco.envs.constraints import MinimumPrize
from nco.solvers.model.scaling import FINEST
from nco.solvers.model.terms import Given, Term
from nco.solvers.ortools.model import Add, Model, VisitAll


def minimum_prize(given: Given, rule: MinimumPrize) -> Iterator[Term]:
    """
    A dimension sums the prizes, and the sum of its ends has a lower bound.

    Exact for integer prizes. Others are rounded down to 2^-40 of the largest, and the minimum up by
    what double precision may lose. Where all prizes together do not reach it, all customers
    are visited.
    """
    if rule.collected != "prize":
        raise InputError(
            "ortools cannot express MinimumPrize, expected prizes that are known beforehand: "
            f"{rule.collected} is not"
        )
    prize = given.instance["prize"][0].double().cpu().numpy()
    minimum = float(given.instance["min_prize"][0])
    if bool((prize == np.rint(prize)).all()):
        gains, bound = prize, minimum
    else:
        factor = FINEST / float(prize.max())
        gains, bound = np.floor(prize * factor), minimum * factor * (1 + len(prize) * 2.0**-50)
    units = gains.astype(np.int64)
    if int(units.sum()) < bound:
        yield VisitAll()
        return

    def add(model: Model) -> None:
        routing, solver = model.routing, model.routing.solver()
        routing.AddDimension(model.vector(units), 0, int(units.sum()), True, "prize")
        prizes = routing.GetDimensionOrDie("prize")
        ends = [prizes.CumulVar(routing.End(v)) for v in range(len(model.vehicles))]
        if len(ends) == 1:
            ends[0].SetMin(math.ceil(bound))
        else:
            solver.Add(solver.Sum(ends) >= math.ceil(bound))

    yield Add(add)


def disjunctions(model: Model) -> None:
    """Lets customers be left out, for what that costs."""
    plan = model.plan
    worths = plan.scaling.integers(plan.given.costs.left_out) * plan.scaling.ties
    for node, index in model.customers() if plan.leave_out else ():
        model.routing.AddDisjunction([index], int(worths[node]))
