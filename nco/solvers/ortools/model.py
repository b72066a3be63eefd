"""OR-Tools' routing model: the terms that only it knows, and how it is built from all terms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from ortools.constraint_solver import pywrapcp

from nco.solvers.model.scaling import LARGEST, Scaling
from nco.solvers.model.terms import Given, Term
from nco.solvers.model.times import Times, times

Vector = Sequence[int] | NDArray[np.int64]
LARGEST_TIME = 2**40  # units of any time where the longest route is what counts


@dataclass(frozen=True)
class Add(Term):
    """
    Something that is added to the model itself: OR-Tools fixes the vehicles before.

    Parameters
    ----------
    step
        Called with the `Model`, in the order of the terms.
    """

    step: Callable[["Model"], None]


@dataclass(frozen=True)
class FirstSolution(Term):
    """OR-Tools' name of a first solution strategy that suits the problem; the highest priority."""

    strategy: str
    priority: int = 1


@dataclass(frozen=True)
class VisitAll(Term):
    """No customer may be left out."""


@dataclass(frozen=True)
class Reloads(Term):
    """Times that a vehicle of each kind may come back for another trip, ``count [V]``."""

    count: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """
    What all terms together ask for.

    Parameters
    ----------
    given
        The problem and one instance of it.
    counts
        ``[V]``, vehicles of each kind.
    reloads
        See `Reloads`.
    steps
        What to add to the model, in order.
    first_solution, metaheuristic
        OR-Tools' names of the first solution strategy and the local search that suit the problem.
    leave_out
        Whether customers may be left out.
    times
        When things may happen; None where nothing has its time.
    scaling
        How costs become integers; known once the objective has spoken.
    spare
        ``[V]``, vehicles beyond those that there are: at a price that none is worth.
    """

    given: Given
    counts: NDArray[np.int64]
    reloads: NDArray[np.int64]
    steps: tuple[Callable[["Model"], None], ...]
    first_solution: str
    metaheuristic: str = "GUIDED_LOCAL_SEARCH"
    leave_out: bool = False
    times: Times | None = None
    scaling: Scaling = field(default_factory=lambda: Scaling(1.0, exact=True))
    spare: NDArray[np.int64] | None = None

    @property
    def vehicles(self) -> list[int]:
        """The kind of each vehicle, which is its depot node; spare ones come last."""
        groups = [self.counts] if self.spare is None else [self.counts, self.spare]
        return [
            kind for counts in groups for kind, count in enumerate(counts) for _ in range(count)
        ]

    @property
    def stops(self) -> list[int]:
        """The node of each stop of the model: all nodes, and behind them depots to reload at."""
        again = [kind for kind, count in enumerate(self.reloads) for _ in range(count)]
        return [*range(len(self.given.distance)), *again]


def known_times(given: Given, release: bool) -> Times:
    """When things may happen, in whole units."""
    # The longest route is told apart from ties: its time has fewer units.
    largest = LARGEST_TIME // (4 * len(given.distance)) if given.costs.longest else LARGEST
    return times(given.instance, given.shape, largest, release)


@dataclass(frozen=True)
class Model:
    """
    The model that rules add themselves to.

    Parameters
    ----------
    manager
        Translates stops into indices of the model.
    routing
        The routing model.
    plan
        What it is built from.
    vehicles
        The kind of each vehicle.
    stops
        The node of each stop.
    """

    manager: pywrapcp.RoutingIndexManager
    routing: pywrapcp.RoutingModel
    plan: Plan
    vehicles: list[int]
    stops: list[int]

    def customers(self) -> list[tuple[int, int]]:
        """Every customer with its index of the model."""
        return [(node, self.manager.NodeToIndex(node)) for node in self.plan.given.shape.customers]

    def again(self) -> list[tuple[int, int]]:
        """Every stop to reload at: the kind of vehicle, and the index of the model."""
        first = len(self.plan.given.distance)
        return [
            (self.stops[stop], self.manager.NodeToIndex(stop))
            for stop in range(first, len(self.stops))
        ]

    def set_fixed_costs(self, units: NDArray[np.int64], most: int) -> None:
        """
        Sets the cost of using each vehicle.

        Parameters
        ----------
        units
            For each kind of vehicle.
        most
            More than a solution costs, added for spare vehicles.
        """
        owned = int(self.plan.counts.sum())
        for vehicle, kind in enumerate(self.vehicles):
            cost = int(units[kind]) + (most if vehicle >= owned else 0)
            if cost:
                self.routing.SetFixedCostOfVehicle(cost, vehicle)

    def matrix(self, legs: NDArray[np.int64]) -> int:
        """Registers amounts of legs ``[N, N]``."""
        if len(self.stops) > len(legs):
            legs = legs[np.ix_(self.stops, self.stops)]
        return int(self.routing.RegisterTransitMatrix(as_lists(legs)))

    def vector(self, values: Vector) -> int:
        """Registers amounts of nodes ``[N]``; depots to reload at have those of the depot."""
        return int(
            self.routing.RegisterUnaryTransitVector([int(values[node]) for node in self.stops])
        )

    def matrices(self, legs: list[NDArray[np.int64]]) -> list[int]:
        """Registers amounts of legs for each kind of vehicle, equal ones once; per vehicle."""
        known: dict[int, int] = {}
        for kind in set(self.vehicles):
            if id(legs[kind]) not in known:
                known[id(legs[kind])] = self.matrix(legs[kind])
        return [known[id(legs[kind])] for kind in self.vehicles]


def build(plan: Plan) -> Model:
    """The model that all rules together ask for."""
    vehicles, stops = plan.vehicles, plan.stops
    manager = pywrapcp.RoutingIndexManager(len(stops), len(vehicles), vehicles, vehicles)
    model = Model(manager, pywrapcp.RoutingModel(manager), plan, vehicles, stops)
    for depot in set(plan.given.shape.depots) - set(
        vehicles
    ):  # without a start, and without a visit
        index = manager.NodeToIndex(depot)
        model.routing.AddDisjunction([index], 0)
        model.routing.ActiveVar(index).SetValue(0)
    for step in plan.steps:
        step(model)
    return model


def as_lists(matrix: NDArray[np.int64]) -> list[list[int]]:
    """The matrix as OR-Tools takes it; equal numbers share one object where that saves memory."""
    top = int(matrix.max(initial=0))
    if top >= matrix.size or int(matrix.min(initial=0)) < 0:
        return matrix.tolist()
    return np.arange(top + 1).astype(object)[matrix].tolist()
