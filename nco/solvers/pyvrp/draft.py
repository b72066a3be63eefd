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

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.envs import RoutingEnv
from nco.solvers.model.arc_costs import leg_costs
from nco.solvers.model.costs import Costs
from nco.solvers.model.length_limits import length_bounds
from nco.solvers.model.scaling import LARGEST, Scaling, bounding_scaling, choose_scaling, steps
from nco.solvers.model.times import Times, times
from nco.solvers.model.vehicles import VehicleModel

Arguments = dict[str, Any]

TYPICAL = 1000  # the longest leg that PyVRP's penalties are made for
FINE = 2**20  # units of the longest travel time that are enough where times are costs
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
        Depots and customers. Each depot node is a kind of vehicle.
    costs
        What is minimised.
    distance
        ``[N, N]`` in the unit of the instance.
    counts
        ``[V]``, vehicles of each kind. A kind without any is no vehicle type of PyVRP's.
    nodes
        Keyword arguments of each customer's ``Client``, but for loads.
    depots, vehicle_types
        Keyword arguments of each, in PyVRP's units, but for loads.
    loads
        Amounts delivered and picked up at each node, and capacities ``[V]``: a load dimension each.
    pairs
        Shipments: nodes of pickup and delivery.
    shipped
        The amount picked up at each node for a shipment in each load dimension.
    forbidden
        ``[N, N]`` for each kind of vehicle: legs that it may not drive.
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
    shape: VehicleModel
    costs: Costs
    distance: NDArray[np.float64]
    counts: NDArray[np.int64]
    nodes: dict[int, Arguments]
    depots: list[Arguments]
    vehicle_types: list[Arguments]
    loads: list[tuple[list[int], list[int], list[int]]] = field(default_factory=list)
    pairs: dict[int, int] = field(default_factory=dict)
    shipped: list[list[int]] = field(default_factory=list)
    forbidden: list[NDArray[np.bool_]] = field(default_factory=list)
    limit: NDArray[np.float64] | None = None
    timed: bool = False
    released: bool = False
    after: list[Callable[[], None]] = field(default_factory=list)

    @cached_property
    def largest(self) -> int:
        """
        Bound on the integers. PyVRP multiplies lateness and excess lengths with its penalties; a
        thousandth of an int64 is left for what is not thought of here. A forbidden leg has to cost
        more than any solution.
        """
        bound, nodes = LARGEST, num_nodes(self.instance)
        if self.limit is not None or self.timed:
            bound = min(bound, int(2**53 / PenaltyParams().max_penalty / nodes))
        if any(legs.any() for legs in self.forbidden):
            bound = min(bound, LARGEST // (4 * nodes))
        return bound

    @cached_property
    def waits(self) -> bool:
        """Whether time costs something beyond legs and services: waiting for windows."""
        return self.timed and bool(self.costs.time) and "time_windows" in self.instance.keys()

    @cached_property
    def legs(self) -> list[NDArray[np.float64]]:
        """Costs of legs ``[N, N]`` for each kind of vehicle, but for times with waiting."""
        return leg_costs(self.costs, self.instance, self.shape, self.distance, busy=not self.waits)

    @cached_property
    def driven(self) -> list[NDArray[np.float64]]:
        """
        What PyVRP's distances mean ``[N, N]`` for each kind of vehicle: the costs of legs, or
        lengths where these are bounded and free.

        Raises
        ------
        InputError
            Lengths are bounded, and legs cost anything but their length.
        """
        if self.limit is None:
            return self.legs
        found = []
        for kind, weight in enumerate(self.costs.distance):
            lengths = self.distance * (weight or 1)
            np.fill_diagonal(lengths, 0)
            if (weight and self.waits) or (self.legs[kind] != lengths * bool(weight)).any():
                raise InputError(
                    "pyvrp cannot express DistanceLimit, expected no costs but those of lengths"
                )
            found.append(lengths)
        return found

    @cached_property
    def lengths(self) -> Scaling:
        """How what PyVRP drives becomes integers."""
        legs = self._distinct(self.driven)
        if self.limit is not None:
            others = self.costs.others if self.costs.distance.any() else np.zeros(0)
            weight = np.where(self.costs.distance > 0, self.costs.distance, 1)
            bounds = np.append(others, self.limit * weight)
            return bounding_scaling(
                np.concatenate(legs), bounds, self.largest, steps(self.instance)
            )
        if self.waits:
            factor = self.times.scaling.factor / self.costs.time
            amounts = np.concatenate([self.costs.others, *(matrix.ravel() for matrix in legs)])
            exact = bool((np.rint(amounts * factor) == amounts * factor).all())
            return Scaling(factor, exact and self.times.scaling.exact)
        least = np.min(legs, axis=0)
        others = np.concatenate([self.costs.others, *(matrix.ravel() for matrix in legs)])
        return choose_scaling(least, self.largest, others)

    @cached_property
    def scaling(self) -> Scaling:
        """How costs become integers: as what is driven, unless lengths are bounded and free."""
        if self.limit is None or self.costs.distance.any():
            return self.lengths
        return choose_scaling(np.zeros_like(self.distance), self.largest, self.costs.others)

    @cached_property
    def times(self) -> Times:
        """
        When things may happen, in units as fine as those of lengths.

        PyVRP's penalty of a unit of lateness is bounded: against finely scaled distances, whole
        hours as they are would let lateness pay.
        """
        largest = self.largest
        if self.waits:  # costs have the unit of times
            costly = max(self.costs.others.max(), max(legs.max() for legs in self.legs))
            known = times(self.instance, self.shape, largest, self.released)
            longest = max(int(matrix.max(initial=0)) for matrix in known.travel)
            ratio = costly * known.scaling.factor / self.costs.time / max(1, longest)
            largest = int(largest / max(1.0, ratio))
        known = times(self.instance, self.shape, largest, self.released)
        longest = max(1, *(int(matrix.max(initial=0)) for matrix in known.travel))
        wanted = (FINE if self.waits else self._longest_leg()) // longest
        allowed = min(2**10 * largest // max(1, known.horizon), largest // longest)
        return known.finer(max(1, min(wanted, allowed)))

    @cached_property
    def clients(self) -> list[int]:
        """The nodes of PyVRP's clients, in order: all customers without a shipment."""
        paired = {*self.pairs, *self.pairs.values()}
        return [node for node in self.shape.customers if node not in paired]

    @cached_property
    def kinds(self) -> list[int]:
        """The kinds of vehicles that there are, in the order of PyVRP's vehicle types."""
        return [int(kind) for kind in np.flatnonzero(self.counts > 0)]

    def forbid(self, legs: NDArray[np.bool_], kind: int | None = None) -> None:
        """Legs ``[N, N]`` that one kind of vehicle may not drive, or none may."""
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
            vehicle_types=[self._vehicle_type(kind, unit) for kind in self.kinds],
            distance_matrices=distances,
            duration_matrices=durations,
            shipments=[self._shipment(node, unit) for node in self.pairs],
        )

    def _profiles(self) -> tuple[list[Any], list[Any]]:
        """Matrices of distances and durations: one for all kinds of vehicles that are alike."""
        known: dict[tuple[int, int, int, bytes], int] = {}
        distances: list[NDArray[np.int64]] = []
        durations: list[NDArray[np.int64]] = []
        fixed = self.scaling.integers(self.costs.fixed)
        for kind, arguments in enumerate(self.vehicle_types):
            limited = self.limit is not None and bool(np.isfinite(self.limit[kind]))
            bound = self._bound(kind) if limited else -1
            travel = self.times.travel[kind] if self.timed else None
            key = (id(self.legs[kind]), id(travel), bound, self.forbidden[kind].tobytes())
            if key not in known:
                known[key] = len(distances)
                distances.append(self._driven(kind, bound))
                durations.append(np.zeros_like(distances[-1]) if travel is None else travel)
            arguments["profile"] = known[key]
            free = self.limit is not None and not self.costs.distance[kind]
            arguments["unit_distance_cost"] = int(not free)
            arguments["unit_duration_cost"] = int(self.waits)
            arguments["fixed_cost"] = int(fixed[kind])
            arguments["num_available"] = int(self.counts[kind])
            if limited:
                arguments["max_distance"] = bound
        return distances, durations

    def _driven(self, kind: int, bound: int) -> NDArray[np.int64]:
        """PyVRP's distances. Where lengths are bounded, no less than what they stand for."""
        rounded = self.lengths.integers if self.limit is None else self.lengths.at_least
        matrix = rounded(self.driven[kind])
        matrix[self.forbidden[kind]] = self._never(matrix, bound)
        np.fill_diagonal(matrix, 0)
        return matrix

    def _bound(self, kind: int) -> int:
        """The length that routes of a kind of vehicle may have."""
        assert self.limit is not None
        factor = self.costs.distance[kind] or 1.0
        bounds = length_bounds(
            self.lengths, self.driven[kind], self.limit * factor, self.shape.depots, self.pairs
        )
        return int(bounds[kind])

    def _never(self, matrix: NDArray[np.int64], bound: int) -> int:
        """A distance that no solution drives: more than any route may have, or than all cost."""
        if bound >= 0:
            return bound + 1
        others = float((self.costs.fixed * self.counts).sum() + self.costs.left_out.sum())
        others = min(others * self.scaling.factor, LARGEST)
        return min(LARGEST, 2 * int(matrix.max(axis=1).sum()) + int(others) + 1)

    def _longest_leg(self) -> int:
        """What the longest leg is for PyVRP."""
        return max(int(self.lengths.integers(legs.max())) for legs in self._distinct(self.driven))

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
        amounts += [amount for shipped in self.shipped for amount in shipped]
        positive = [amount for amount in amounts if amount > 0]
        mean = sum(positive) / len(positive) if positive else 1.0
        longest = self._longest_leg()
        if self.waits:
            longest = max(longest, *(int(legs.max()) for legs in self.times.travel))
        return max(1, int(longest / TYPICAL / mean))

    def _client(self, node: int, unit: int) -> pyvrp.Client:
        return pyvrp.Client(
            location=node,
            delivery=[unit * deliver[node] for deliver, _, _ in self.loads],
            pickup=[unit * collect[node] for _, collect, _ in self.loads],
            **self._worth(node),
            **self.nodes[node],
        )

    def _worth(self, *nodes: int) -> Arguments:
        if not self.shape.optional:
            return {}
        prizes = self.scaling.integers(self.costs.left_out)
        return {"required": False, "prize": sum(int(prizes[node]) for node in nodes)}

    def _shipment(self, pickup: int, unit: int) -> pyvrp.Shipment:
        delivery = self.pairs[pickup]
        ends = {"pickup": pickup, "delivery": delivery}
        arguments = {
            f"{end}_{name}": self.nodes[node][name]
            for end, node in ends.items()
            for name in STEP
            if name in self.nodes[node]
        }
        amount = [unit * amounts[pickup] for amounts in self.shipped]
        arguments |= self._worth(pickup, delivery)
        return pyvrp.Shipment(pickup, delivery, amount=amount, **arguments)

    def _vehicle_type(self, kind: int, unit: int) -> pyvrp.VehicleType:
        capacity = [unit * capacities[kind] for _, _, capacities in self.loads]
        return pyvrp.VehicleType(capacity=capacity, **self.vehicle_types[kind])

    @staticmethod
    def _distinct(matrices: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        """Every matrix once, whatever the number of vehicles that share it."""
        return list({id(matrix): matrix for matrix in matrices}.values())
