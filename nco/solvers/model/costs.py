"""
What classical solvers minimise, in amounts of the instance. A new objective is one more row.

All objectives are sums over what vehicles drive, whom they visit and whom they leave out, save for
the longest route, which not every solver knows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.data.registry import Registry
from nco.envs import RoutingEnv
from nco.envs.objective import Objective
from nco.envs.objectives import (
    Distance,
    Duration,
    FleetCost,
    Makespan,
    Penalty,
    Preference,
    Prize,
    Total,
    VehiclesFirst,
)
from nco.envs.objectives.vehicles_first import vehicle_worth
from nco.solvers.base import find_row
from nco.solvers.model.vehicles import VehicleModel


@dataclass
class Costs:
    """
    What a solution costs.

    Parameters
    ----------
    solver
        Who asks, for messages.
    trips
        Whether the routes of a depot node are trips of one vehicle.
    distance
        ``[V]``, cost of a unit of distance for each kind of vehicle.
    fixed
        ``[V]``, cost of each vehicle used.
    visit
        ``[V, N]``, cost of a visit by each kind of vehicle.
    left_out
        ``[N]``, cost of leaving a node out.
    time
        Cost of a unit of the time that each route takes.
    longest
        Cost of a unit of the time that the longest route takes.
    release
        Whether these times wait for the release of what routes carry.
    constant
        What every solution costs besides.
    """

    solver: str
    trips: bool
    distance: NDArray[np.float64]
    fixed: NDArray[np.float64]
    visit: NDArray[np.float64]
    left_out: NDArray[np.float64]
    time: float = 0.0
    longest: float = 0.0
    release: bool = False
    constant: float = 0.0

    @property
    def others(self) -> NDArray[np.float64]:
        """All amounts in the unit of costs that are not driven."""
        return np.concatenate([self.fixed, self.left_out])

    def refuse(self, objective: Objective, expected: str) -> InputError:
        """The message that the solver cannot express an objective."""
        name = type(objective).__name__
        return InputError(f"{self.solver} cannot express {name}, expected {expected}")


CostRow = Callable[[Costs, TensorDict, Any, float], None]


def costs(
    env: RoutingEnv,
    instance: TensorDict,
    shape: VehicleModel,
    solver: str,
    table: Mapping[type[Objective], CostRow],
) -> Costs:
    """
    The costs that an objective means.

    Parameters
    ----------
    solver, table
        Who asks, and its rows of objectives.

    Raises
    ------
    InputError
        There is no row for it, or it says what the solver cannot.
    """
    kinds, nodes = len(shape.depots), num_nodes(instance)
    found = Costs(
        solver=solver,
        trips=env.trips,
        distance=np.zeros(kinds),
        fixed=np.zeros(kinds),
        visit=np.zeros((kinds, nodes)),
        left_out=np.zeros(nodes),
    )
    _add(found, instance, env.objective, 1.0, table)
    negative = np.flatnonzero(found.left_out < 0)
    if len(negative):
        node = int(negative[0])
        amount = -found.left_out[node]
        raise found.refuse(
            env.objective, f"no gain in leaving out node {node}, found {amount:.10g}"
        )
    trips = [type(rule).__name__ for rule in env.constraints if rule.trips]
    if trips and (found.time or found.longest):
        raise found.refuse(env.objective, f"no costs of time with {trips[0]}")
    return found


def _add(
    found: Costs,
    instance: TensorDict,
    objective: Objective,
    weight: float,
    table: Mapping[type[Objective], CostRow],
) -> None:
    if type(objective) is Total:
        for term, share in zip(objective.terms, objective.weights, strict=True):
            _add(found, instance, term, weight * share, table)
        return
    row = find_row(table, objective, found.solver)
    if weight < 0:
        raise found.refuse(objective, f"no negative weight, found {weight:.10g}")
    row(found, instance, objective, weight)


def _distance(found: Costs, instance: TensorDict, objective: Distance, weight: float) -> None:
    found.distance += weight


def _fleet_cost(found: Costs, instance: TensorDict, objective: FleetCost, weight: float) -> None:
    found.distance += weight * _of_vehicles(found, instance, "unit_cost", 1.0)
    fixed = weight * _of_vehicles(found, instance, "fixed_cost", 0.0)
    if fixed.any() and found.trips and not objective.trips:
        raise found.refuse(objective, "the fixed cost of a vehicle, not of each of its trips")
    found.fixed += fixed


def _vehicles_first(
    found: Costs, instance: TensorDict, objective: VehiclesFirst, weight: float
) -> None:
    if found.trips:
        raise found.refuse(objective, "vehicles without trips")
    found.distance += weight
    found.fixed += weight * float(vehicle_worth(instance.cpu())[0])


def _duration(found: Costs, instance: TensorDict, objective: Duration, weight: float) -> None:
    found.time += weight
    found.release |= objective.release


def _makespan(found: Costs, instance: TensorDict, objective: Makespan, weight: float) -> None:
    if found.trips and not objective.trips:
        raise found.refuse(objective, "the time of all trips of a vehicle")
    found.longest += weight
    found.release |= objective.release


def _preference(found: Costs, instance: TensorDict, objective: Preference, weight: float) -> None:
    """A visit costs what another vehicle would be preferred by: no cost is negative."""
    preference = weight * instance["preference"][0].double().cpu().numpy()
    customers = np.arange(len(found.left_out)) >= len(found.fixed)
    most = np.where(customers, preference.max(axis=0).clip(0), 0.0)
    found.visit += np.where(customers, most - preference, 0.0)
    found.left_out += most
    found.constant -= float(most.sum())


def _penalty(found: Costs, instance: TensorDict, objective: Penalty, weight: float) -> None:
    found.left_out += weight * _of_nodes(instance, "penalty")


def _prize(found: Costs, instance: TensorDict, objective: Prize, weight: float) -> None:
    """To collect a prize is not to lose it."""
    prize = weight * _of_nodes(instance, "prize")
    found.left_out += prize
    found.constant -= float(prize.sum())


def _of_nodes(instance: TensorDict, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = instance[name][0].double().cpu().numpy()
    return values


def _of_vehicles(
    found: Costs, instance: TensorDict, name: str, default: float
) -> NDArray[np.float64]:
    if name not in instance.keys():
        return np.full(len(found.fixed), default)
    values: NDArray[np.float64] = instance[name][0].double().cpu().numpy()
    return values


_OWN: dict[type[Objective], CostRow] = {
    Distance: _distance,
    FleetCost: _fleet_cost,
    VehiclesFirst: _vehicles_first,
    Duration: _duration,
    Preference: _preference,
    Penalty: _penalty,
    Prize: _prize,
}
SUMS: Registry[type[Objective], CostRow] = Registry("costs of", _OWN)
LONGEST: dict[type[Objective], CostRow] = {Makespan: _makespan}
