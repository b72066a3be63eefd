"""What PyVRP minimises, in amounts of the instance. A new objective is one more row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.envs.base import Objective
from nco.envs.objectives import Distance, Penalty, Prize, Total
from nco.solvers.base import find_row
from nco.solvers.shapes import Shape


@dataclass
class Costs:
    """
    A cost that is linear in what vehicles drive and whom they visit.

    Parameters
    ----------
    distance
        ``[V]``, cost of a unit of distance for each kind of vehicle.
    fixed
        ``[V]``, cost of each vehicle used.
    left_out
        ``[N]``, cost of leaving a node out.
    constant
        What every solution costs besides.
    """

    distance: NDArray[np.float64]
    fixed: NDArray[np.float64]
    left_out: NDArray[np.float64]
    constant: float = 0.0

    @property
    def others(self) -> NDArray[np.float64]:
        """All amounts in the unit of costs that are not driven."""
        return np.concatenate([self.fixed, self.left_out])

    def legs(self, distance: NDArray[np.float64], kind: int) -> NDArray[np.float64]:
        """What legs cost a kind of vehicle, ``[N, N]``."""
        return distance * self.distance[kind] if self.distance[kind] != 1 else distance


CostRow = Callable[[Costs, TensorDict, Any], None]


def costs(instance: TensorDict, objective: Objective, shape: Shape) -> Costs:
    """
    The costs that an objective means.

    Raises
    ------
    InputError
        There is no row for it, or leaving a node out would be a gain.
    """
    kinds, nodes = len(shape.depots), num_nodes(instance)
    found = Costs(np.zeros(kinds), np.zeros(kinds), np.zeros(nodes))
    find_row(OBJECTIVES, objective, "pyvrp")(found, instance, objective)
    negative = np.flatnonzero(found.left_out < 0)
    if len(negative):
        node = int(negative[0])
        message = f"pyvrp cannot express {type(objective).__name__}, expected no gain in"
        raise InputError(f"{message} leaving out node {node}, found {-found.left_out[node]}")
    return found


def _distance(found: Costs, instance: TensorDict, objective: Distance) -> None:
    found.distance += 1


def _penalty(found: Costs, instance: TensorDict, objective: Penalty) -> None:
    found.left_out += _of_nodes(instance, "penalty")


def _prize(found: Costs, instance: TensorDict, objective: Prize) -> None:
    """To collect a prize is not to lose it."""
    prize = _of_nodes(instance, "prize")
    found.left_out += prize
    found.constant -= float(prize.sum())


def _of_nodes(instance: TensorDict, name: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = instance[name][0].double().cpu().numpy()
    return values


def _total(found: Costs, instance: TensorDict, objective: Total) -> None:
    for term in objective.terms:
        find_row(OBJECTIVES, term, "pyvrp")(found, instance, term)


OBJECTIVES: dict[type[Objective], CostRow] = {
    Distance: _distance,
    Penalty: _penalty,
    Prize: _prize,
    Total: _total,
}
