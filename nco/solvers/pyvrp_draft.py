"""PyVRP's data model in the making: what the rows of the tables add to, and how it is built."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyvrp
from numpy.typing import NDArray
from pyvrp.PenaltyManager import PenaltyParams
from tensordict import TensorDict

from nco.data.instance import num_nodes
from nco.envs import RoutingEnv
from nco.solvers.lengths import length_bounds
from nco.solvers.pyvrp_costs import Costs
from nco.solvers.scaling import LARGEST, Scaling, bounding_scaling, choose_scaling, steps
from nco.solvers.shapes import Shape
from nco.solvers.times import Times, times

Arguments = dict[str, Any]

TYPICAL = 1000  # the longest leg that PyVRP's penalties are made for
STEP = ("tw_early", "tw_late", "service_duration")


@dataclass
class Draft:
    """
    What is known of the data before they can be built.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1). Its nodes are PyVRP's locations.
    shape
        Depots and customers. Each depot node is a vehicle type.
    costs
        What is minimised.
    distance
        ``[N, N]`` in the unit of the instance.
    nodes
        Keyword arguments of each customer's ``Client``, but for loads.
    depots, vehicle_types
        Keyword arguments of each, in PyVRP's units, but for loads.
    loads
        Amounts delivered and picked up at each node, and capacities ``[V]``: a load dimension each.
    pairs
        Shipments: nodes of pickup and delivery, and the amount in each load dimension.
    forbidden
        ``[N, N]`` for each vehicle type: legs that it may not drive.
    limit
        ``[V]``, the length that routes may have, in the unit of the instance; None without limits.
    timed
        Whether anything happens at a time.
    released
        Whether routes wait for the release of what they carry.
    after
        What rules have to add once all have spoken, so that the scalings are known.
    """

    env: RoutingEnv
    instance: TensorDict
    shape: Shape
    costs: Costs
    distance: NDArray[np.float64]
    nodes: dict[int, Arguments]
    depots: list[Arguments]
    vehicle_types: list[Arguments]
    loads: list[tuple[list[int], list[int], list[int]]] = field(default_factory=list)
    pairs: dict[int, tuple[int, list[int]]] = field(default_factory=dict)
    forbidden: list[NDArray[np.bool_]] = field(default_factory=list)
    limit: NDArray[np.float64] | None = None
    timed: bool = False
    released: bool = False
    after: list[Callable[[], None]] = field(default_factory=list)

    @property
    def largest(self) -> int:
        """
        Bound on the integers. PyVRP multiplies lateness and excess lengths with its penalties; a
        thousandth of an int64 is left for what is not thought of here.
        """
        if self.limit is None and not self.timed:
            return LARGEST
        return min(LARGEST, int(2**53 / PenaltyParams().max_penalty / num_nodes(self.instance)))

    @cached_property
    def driven(self) -> NDArray[np.float64]:
        """``[V]``, factors from lengths to PyVRP's distances: their cost, unless it is nothing."""
        return np.where(self.costs.distance > 0, self.costs.distance, 1)

    @cached_property
    def lengths(self) -> Scaling:
        """How distances become integers."""
        others = self.costs.others if self.costs.distance.any() else np.zeros(0)
        legs = np.concatenate([self.distance * factor for factor in np.unique(self.driven)])
        if self.limit is None:
            return choose_scaling(self.distance, self.largest, np.append(others, legs))
        bounds = np.append(others, self.limit * self.driven)
        return bounding_scaling(legs, bounds, self.largest, steps(self.instance))

    @cached_property
    def scaling(self) -> Scaling:
        """How costs become integers: as distances, unless nobody pays for these."""
        if self.costs.distance.any():
            return self.lengths
        return choose_scaling(np.zeros_like(self.distance), self.largest, self.costs.others)

    @cached_property
    def times(self) -> Times:
        """
        When things may happen, in units as fine as those of lengths.

        PyVRP's penalty of a unit of lateness is bounded: against finely scaled distances, whole
        hours as they are would let lateness pay.
        """
        known = times(self.instance, self.shape, self.largest, self.released)
        longest = max(int(matrix.max(initial=0)) for matrix in known.travel)
        wanted = self._longest_leg() // max(1, longest)
        allowed = 2**10 * self.largest // max(1, known.horizon)
        return known.finer(max(1, min(wanted, allowed)))

    def _longest_leg(self) -> int:
        """What the longest leg is for PyVRP."""
        return max(int(self.lengths.integers(self.distance * f).max()) for f in self.driven)

    @cached_property
    def clients(self) -> list[int]:
        """The nodes of PyVRP's clients, in order: all customers without a shipment."""
        paired = {
            node for pickup, (delivery, _) in self.pairs.items() for node in (pickup, delivery)
        }
        return [node for node in self.shape.customers if node not in paired]

    def forbid(self, legs: NDArray[np.bool_], kind: int | None = None) -> None:
        """Legs ``[N, N]`` that one vehicle type may not drive, or none may."""
        for k, known in enumerate(self.forbidden):
            if kind in (None, k):
                self.forbidden[k] = known | legs

    def cost(self, units: int) -> float:
        """What PyVRP's costs mean."""
        return self.scaling.cost(units) + self.costs.constant

    def build(self) -> pyvrp.ProblemData:
        """The data that all rules together ask for."""
        for step in self.after:
            step()
        distances, durations = self._profiles()
        unit = self._load_unit()
        # Only plots look at the coordinates; distances come from the matrices alone.
        locations = [pyvrp.Location(0, 0) for _ in self.distance]
        return pyvrp.ProblemData(
            locations=locations,
            clients=[self._client(node, unit) for node in self.clients],
            depots=[pyvrp.Depot(**arguments) for arguments in self.depots],
            vehicle_types=[self._vehicle_type(k, unit) for k in range(len(self.vehicle_types))],
            distance_matrices=distances,
            duration_matrices=durations,
            shipments=[self._shipment(node, unit) for node in self.pairs],
        )

    def _profiles(self) -> tuple[list[Any], list[Any]]:
        """Matrices of distances and durations: one for all vehicle types, or one for each."""
        distances, durations = [], []
        same = all((legs == self.forbidden[0]).all() for legs in self.forbidden)
        same = same and len(set(self.driven)) == 1
        if self.timed:
            same = same and all(legs is self.times.travel[0] for legs in self.times.travel)
        for kind in range(1 if same else len(self.vehicle_types)):
            legs = self.distance * self.driven[kind]
            # Where lengths are bounded, sums have to be no less than what they stand for.
            rounded = self.lengths.integers if self.limit is None else self.lengths.at_least
            matrix = rounded(legs)
            matrix[self.forbidden[kind]] = self._never(matrix, kind)
            np.fill_diagonal(matrix, 0)
            distances.append(matrix)
            durations.append(self.times.travel[kind] if self.timed else np.zeros_like(matrix))
        for kind, arguments in enumerate(self.vehicle_types):
            arguments["profile"] = 0 if same else kind
            arguments["unit_distance_cost"] = int(self.costs.distance[kind] > 0)
            arguments["fixed_cost"] = int(self.scaling.integers(self.costs.fixed)[kind])
            if self.limit is not None and np.isfinite(self.limit[kind]):
                arguments["max_distance"] = self._bound(kind)
        return distances, durations

    def _bound(self, kind: int) -> int:
        """The length that routes of a vehicle type may have."""
        assert self.limit is not None
        factor = self.driven[kind]
        bounds = length_bounds(
            self.lengths, self.distance * factor, self.limit * factor, self.shape.depots
        )
        return int(bounds[kind])

    def _never(self, matrix: NDArray[np.int64], kind: int) -> int:
        """A distance that no solution drives: more than any route may have, or than all cost."""
        if self.limit is not None and np.isfinite(self.limit[kind]):
            return self._bound(kind) + 1
        left_out = int(self.scaling.integers(self.costs.left_out).sum())
        return min(LARGEST, 2 * int(matrix.max(axis=1).sum()) + left_out + 1)

    def _load_unit(self) -> int:
        """
        PyVRP's units per unit of load, such that its penalties of loads fit long legs.

        The largest penalty of a unit of excess load is a hundred times the longest leg of a
        benchmark instance (a thousand); against scaled distances it would let overloads pay.
        """
        amounts = [
            max(d, p)
            for deliver, collect, _ in self.loads
            for d, p in zip(deliver, collect, strict=True)
        ]
        amounts += [amount for _, shipment in self.pairs.values() for amount in shipment]
        positive = [amount for amount in amounts if amount > 0]
        mean = sum(positive) / len(positive) if positive else 1.0
        return max(1, int(self._longest_leg() / TYPICAL / mean))

    def _client(self, node: int, unit: int) -> pyvrp.Client:
        return pyvrp.Client(
            location=node,
            delivery=[unit * deliver[node] for deliver, _, _ in self.loads],
            pickup=[unit * collect[node] for _, collect, _ in self.loads],
            **self._worth(node),
            **self.nodes[node],
        )

    def _worth(self, node: int) -> Arguments:
        if not self.shape.optional:
            return {}
        return {"required": False, "prize": int(self.scaling.integers(self.costs.left_out)[node])}

    def _shipment(self, pickup: int, unit: int) -> pyvrp.Shipment:
        delivery, amounts = self.pairs[pickup]
        ends = {"pickup": pickup, "delivery": delivery}
        arguments = {
            f"{end}_{name}": self.nodes[node][name]
            for end, node in ends.items()
            for name in STEP
            if name in self.nodes[node]
        }
        return pyvrp.Shipment(pickup, delivery, amount=[unit * a for a in amounts], **arguments)

    def _vehicle_type(self, kind: int, unit: int) -> pyvrp.VehicleType:
        capacity = [unit * capacities[kind] for _, _, capacities in self.loads]
        return pyvrp.VehicleType(capacity=capacity, **self.vehicle_types[kind])
