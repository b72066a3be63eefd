"""OR-Tools' routing model in the making: what the rows of the tables add to."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from ortools.constraint_solver import pywrapcp
from tensordict import TensorDict

from nco.envs import RoutingEnv
from nco.solvers.model.costs import Costs
from nco.solvers.model.scaling import Scaling
from nco.solvers.model.times import Times
from nco.solvers.model.vehicles import VehicleModel

Vector = list[int] | NDArray[np.int64]


@dataclass
class Draft:
    """
    What is known of the model before it can be built.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).
    shape
        Depots and customers. Each depot node is a kind of vehicle.
    costs
        What is minimised.
    distance
        ``[N, N]`` in the unit of the instance.
    counts
        ``[V]``, vehicles of each kind.
    spare
        ``[V]``, vehicles beyond those that there are: at a price that none is worth.
    scaling
        How costs become integers; known once the objective has spoken.
    leave_out
        Whether customers may be left out.
    released
        Whether routes wait for the release of what they carry; None where nothing has its time.
    times
        When things may happen, once a rule has asked.
    first_solution, metaheuristic
        OR-Tools' names of the first solution strategy and the local search that suit the problem.
    reloads
        Times that a vehicle of each kind may come back to its depot for another trip, ``[V]``.
    steps
        What to add to the model, in order.
    """

    env: RoutingEnv
    instance: TensorDict
    shape: VehicleModel
    costs: Costs
    distance: NDArray[np.float64]
    counts: NDArray[np.int64]
    reloads: NDArray[np.int64]
    spare: NDArray[np.int64] | None = None
    scaling: Scaling = field(default_factory=lambda: Scaling(1.0, exact=True))
    leave_out: bool = False
    released: bool | None = None
    times: Times | None = None
    first_solution: str = "SAVINGS"
    metaheuristic: str = "GUIDED_LOCAL_SEARCH"
    steps: list[Callable[["Model"], None]] = field(default_factory=list)

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
        return [*range(len(self.distance)), *again]

    def per_vehicle(self, name: str) -> list[float]:
        """What each kind of vehicle has of an attribute, whether it is given once or for each."""
        values: list[float] = self.instance[name][0].expand(len(self.shape.depots)).tolist()
        return values


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
    draft
        What it is built from.
    vehicles
        The kind of each vehicle.
    stops
        The node of each stop.
    """

    manager: pywrapcp.RoutingIndexManager
    routing: pywrapcp.RoutingModel
    draft: Draft
    vehicles: list[int]
    stops: list[int]

    def customers(self) -> list[tuple[int, int]]:
        """Every customer with its index of the model."""
        return [(node, self.manager.NodeToIndex(node)) for node in self.draft.shape.customers]

    def again(self) -> list[tuple[int, int]]:
        """Every stop to reload at: the kind of vehicle, and the index of the model."""
        first = len(self.draft.distance)
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
        owned = int(self.draft.counts.sum())
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


def build(draft: Draft) -> Model:
    """The model that all rules together ask for."""
    vehicles, stops = draft.vehicles, draft.stops
    manager = pywrapcp.RoutingIndexManager(len(stops), len(vehicles), vehicles, vehicles)
    model = Model(manager, pywrapcp.RoutingModel(manager), draft, vehicles, stops)
    for depot in set(draft.shape.depots) - set(vehicles):  # nobody starts there, and nobody goes
        index = manager.NodeToIndex(depot)
        model.routing.AddDisjunction([index], 0)
        model.routing.ActiveVar(index).SetValue(0)
    for step in draft.steps:
        step(model)
    return model


def as_lists(matrix: NDArray[np.int64]) -> list[list[int]]:
    """The matrix as OR-Tools takes it; equal numbers share one object where that saves memory."""
    top = int(matrix.max(initial=0))
    if top >= matrix.size or int(matrix.min(initial=0)) < 0:
        return matrix.tolist()
    return np.arange(top + 1).astype(object)[matrix].tolist()


def amounts(draft: Draft, name: str) -> list[int]:
    """An amount of every node, 0 where it is absent."""
    if name not in draft.instance.keys():
        return [0] * len(draft.distance)
    values: list[int] = draft.instance[name][0].tolist()
    return values
