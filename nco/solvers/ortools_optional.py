"""How OR-Tools' routing model expresses customers that may be left out, and lengths."""

import math
from typing import TYPE_CHECKING

import numpy as np

from nco.data.errors import InputError
from nco.envs.constraints import DistanceLimit, MinimumPrize
from nco.envs.objectives import Penalty, Prize
from nco.solvers.lengths import length_bounds
from nco.solvers.scaling import Scaling, bounding_scaling, finest_scaling, steps

if TYPE_CHECKING:
    from nco.solvers.ortools_rules import Draft, Model

FINE = 2**40  # units of the largest leg or prize: sums of 2^22 of them fit an int64
TIES = 2**20  # units of any tour that only breaks ties between equal prizes


def distance_limit(draft: "Draft", rule: DistanceLimit) -> None:
    """
    A dimension bounds the length of each route.

    Exact for whole numbers of steps (`nco.solvers.scaling.steps`). Other lengths are rounded up,
    and limits down, so that what is found is not too long: see `nco.solvers.lengths`.
    """
    kinds, nodes = len(draft.shape.depots), len(draft.distance)
    limit = draft.instance["distance_limit"][0].double().expand(kinds).cpu().numpy()
    if np.isinf(limit).all():
        return
    scaling = bounding_scaling(draft.distance, limit, FINE, steps(draft.instance))
    legs = scaling.at_least(draft.distance)
    bounds = length_bounds(scaling, draft.distance, limit, draft.shape.depots)
    bounds = np.minimum(bounds, nodes * int(legs.max(initial=0)))

    def add(model: "Model") -> None:
        transit = model.routing.RegisterTransitMatrix(legs.tolist())
        each = [int(bounds[kind]) for kind, _ in draft.vehicles]
        model.routing.AddDimensionWithVehicleCapacity(transit, 0, each, True, "length")

    draft.steps.append(add)


def minimum_prize(draft: "Draft", rule: MinimumPrize) -> None:
    """
    A dimension sums the prizes, and its end has a lower bound.

    Exact for integer prizes. Others are rounded down to 2^-40 of the largest, and the minimum up by
    what double precision may lose. Where all prizes together do not reach it, everybody is visited.
    """
    if rule.collected != "prize":
        raise InputError(
            "ortools cannot express MinimumPrize, expected prizes that are known beforehand: "
            f"{rule.collected} is not"
        )
    prize = draft.instance["prize"][0].double().cpu().numpy()
    minimum = float(draft.instance["min_prize"][0])
    if bool((prize == np.rint(prize)).all()):
        gains, bound = prize, minimum
    else:
        factor = FINE / float(prize.max())
        gains, bound = np.floor(prize * factor), minimum * factor * (1 + len(prize) * 2.0**-50)
    units = gains.astype(np.int64).tolist()
    if sum(units) < bound:
        draft.leave_out = False
        return

    def add(model: "Model") -> None:
        gain = model.routing.RegisterUnaryTransitVector(units)
        model.routing.AddDimension(gain, 0, sum(units), True, "prize")
        end = model.routing.End(0)  # one tour
        model.routing.GetDimensionOrDie("prize").CumulVar(end).SetMin(math.ceil(bound))

    draft.steps.append(add)


def prize(draft: "Draft", objective: Prize) -> None:
    """Leaving a customer out costs its prize, against all prizes collected."""
    worth = draft.instance["prize"][0].double().cpu().numpy()
    draft.worth = draft.worth + worth
    draft.offset -= float(worth.sum())


def penalty(draft: "Draft", objective: Penalty) -> None:
    """Leaving a customer out costs its penalty."""
    draft.worth = draft.worth + draft.instance["penalty"][0].double().cpu().numpy()


def disjunctions(draft: "Draft") -> None:
    """
    Lets customers be left out, once objective and rules have said what that costs.

    Legs and worths share one scale, exact where both have at most three decimals. Where legs cost
    nothing (OP), the worths are all that counts, and the length of the tour, in units that no tour
    has as many of as a prize, breaks the ties: local search needs to see that a tour gets shorter.
    """
    customers = list(draft.shape.customers)
    if draft.legs_cost:
        draft.scaling = finest_scaling(np.append(draft.distance, draft.worth), FINE, draft.offset)
        worths = draft.scaling.integers(draft.worth)
    else:
        scale = finest_scaling(draft.worth, FINE // len(draft.worth), draft.offset)
        longest = float(draft.distance.max(initial=0)) * len(draft.distance) or 1.0
        draft.scaling = Scaling(scale.factor, scale.exact, draft.offset, ties=2 * TIES)
        worths = scale.integers(draft.worth) * 2 * TIES
        ties = np.rint(draft.distance * (TIES / longest)).astype(np.int64).tolist()
        draft.metaheuristic = "TABU_SEARCH"  # guided local search only looks at the costs of legs

    def add(model: "Model") -> None:
        if not draft.legs_cost:
            transit = model.routing.RegisterTransitMatrix(ties)
            model.routing.SetArcCostEvaluatorOfAllVehicles(transit)
        for node in customers if draft.leave_out else ():
            model.routing.AddDisjunction([model.manager.NodeToIndex(node)], int(worths[node]))

    draft.steps.append(add)
