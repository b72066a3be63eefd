"""
How OR-Tools' routing model expresses each part of a problem. A new rule is one more row.

A row is called with the draft of the model, and may change the vehicles there. What needs the
model itself goes into ``draft.steps``, which run once the vehicles are settled: OR-Tools fixes
them before anything can be added.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ortools.constraint_solver import pywrapcp
from tensordict import TensorDict

from nco.envs import RoutingEnv
from nco.envs.base import Constraint, Objective
from nco.envs.constraints import (
    Capacity,
    DistanceLimit,
    DurationLimit,
    LinehaulFirst,
    LinehaulOnEachRoute,
    MaximumLoad,
    MinimumPrize,
    OneCommodity,
    OpenRoutes,
    TimeWindows,
)
from nco.envs.objectives import Distance, Penalty, Prize, Total
from nco.solvers.base import find_row
from nco.solvers.ortools_loads import (
    linehaul_first,
    linehaul_on_each_route,
    load_dimension,
    maximum_load,
    one_commodity,
)
from nco.solvers.ortools_optional import distance_limit, minimum_prize, penalty, prize
from nco.solvers.ortools_times import duration_limit, time_windows
from nco.solvers.scaling import Scaling
from nco.solvers.shapes import Shape


@dataclass
class Draft:
    """
    What is known of the model before it can be built.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).
    shape
        Depots and customers.
    distance
        ``[N, N]`` in the unit of the instance.
    scaling
        How costs become integers.
    vehicles
        Start and end node of each vehicle. The start says of what kind it is.
    used
        Vehicles that are needed at least, because a given start uses them.
    first_solution
        OR-Tools' name of the first solution strategy that suits the problem.
    leave_out
        Whether customers may be left out.
    worth
        Cost of leaving out each node, ``[N]``, in the unit of the objective.
    metaheuristic
        OR-Tools' name of the local search that suits the problem.
    legs_cost
        Whether the objective charges the distance.
    offset
        What the objective is when nobody is left out and no leg is driven.
    steps
        What to add to the model, in order.
    """

    env: RoutingEnv
    instance: TensorDict
    shape: Shape
    distance: NDArray[np.float64]
    scaling: Scaling
    vehicles: list[tuple[int, int]]
    used: int
    first_solution: str
    leave_out: bool
    worth: NDArray[np.float64]
    metaheuristic: str = "GUIDED_LOCAL_SEARCH"
    legs_cost: bool = False
    offset: float = 0.0
    steps: list[Callable[["Model"], None]] = field(default_factory=list)


@dataclass(frozen=True)
class Model:
    """
    The model that rules add themselves to.

    Parameters
    ----------
    manager
        Translates nodes of the instance into indices of the model.
    routing
        The routing model.
    draft
        What it is built from.
    """

    manager: pywrapcp.RoutingIndexManager
    routing: pywrapcp.RoutingModel
    draft: Draft


def _capacity(draft: Draft, rule: Capacity) -> None:
    demand = draft.instance["demand"][0].tolist()
    alone = draft.env.constraints == (rule,) and len(draft.shape.depots) == 1
    if alone and not draft.shape.open and "distance" not in draft.instance.keys():
        # By the triangle inequality, no optimum needs two routes that fit into one vehicle, and
        # so fewer than 2 total / capacity routes. A hundred cost nothing, and forgive roundings.
        bound = -(-2 * sum(demand) // max(1, int(draft.instance["capacity"][0])))
        del draft.vehicles[max(100, bound, draft.used) :]
    draft.steps.append(lambda model: load_dimension(model, "load", demand, True))


def _open_routes(draft: Draft, rule: OpenRoutes) -> None:
    """The shape has no way back."""


def _as_lists(matrix: NDArray[np.int64]) -> list[list[int]]:
    """The matrix as OR-Tools takes it; equal numbers share one object where that saves memory."""
    top = int(matrix.max(initial=0))
    if top >= matrix.size:
        return matrix.tolist()
    return np.arange(top + 1).astype(object)[matrix].tolist()


def _distance(draft: Draft, objective: Distance) -> None:
    draft.legs_cost = True

    def add(model: Model) -> None:
        matrix = _as_lists(model.draft.scaling.integers(model.draft.distance))
        model.routing.SetArcCostEvaluatorOfAllVehicles(model.routing.RegisterTransitMatrix(matrix))

    draft.steps.append(add)


def _total(draft: Draft, objective: Total) -> None:
    for term in objective.terms:
        find_row(OBJECTIVES, term, "ortools")(draft, term)


CONSTRAINTS: dict[type[Constraint], Callable[[Draft, Any], None]] = {
    Capacity: _capacity,
    MaximumLoad: maximum_load,
    OneCommodity: one_commodity,
    LinehaulFirst: linehaul_first,
    LinehaulOnEachRoute: linehaul_on_each_route,
    DistanceLimit: distance_limit,
    DurationLimit: duration_limit,
    TimeWindows: time_windows,
    OpenRoutes: _open_routes,
    MinimumPrize: minimum_prize,
}

OBJECTIVES: dict[type[Objective], Callable[[Draft, Any], None]] = {
    Distance: _distance,
    Penalty: penalty,
    Prize: prize,
    Total: _total,
}
