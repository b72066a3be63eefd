"""PyVRP's data: the terms that only it knows, and how they are built from all terms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyvrp
from numpy.typing import NDArray
from pyvrp.PenaltyManager import PenaltyParams

from nco.data.errors import InputError
from nco.solvers.model.arc_costs import leg_costs
from nco.solvers.model.costs import Costs
from nco.solvers.model.length_limits import length_bounds
from nco.solvers.model.scaling import LARGEST, Scaling, bounding_scaling, choose_scaling, steps
from nco.solvers.model.terms import Forbidden, Given, Load, Term, Timed, Vehicles, of_kind
from nco.solvers.model.times import Times, times

Arguments = dict[str, Any]

TYPICAL = 1000  # the longest leg that PyVRP's penalties are made for
COSTLY_TIME = 2**20  # units of the longest travel time that are enough where times are costs
STEP = ("tw_early", "tw_late", "service_duration")


@dataclass(frozen=True)
class Shipments(Term):
    """Shipments of PyVRP's: each pickup with its delivery."""

    pairs: Mapping[int, int]


@dataclass(frozen=True)
class LengthLimit(Term):
    """The length that routes may have, ``limit [V]``, in the unit of the instance."""

    limit: tuple[float, ...]


@dataclass(frozen=True)
class DurationLimits(Term):
    """Routes take no longer than the limits of the instance."""


@dataclass(frozen=True)
class DataModel:
    """
    PyVRP's data: what all terms together ask for.

    Parameters
    ----------
    given
        The problem and one instance of it. Its nodes are PyVRP's locations.
    counts
        ``[V]``, vehicles of each kind. A kind without any is no vehicle type of PyVRP's.
    loads
        Loads of vehicles.
    pairs
        Shipments: nodes of pickup and delivery.
    forbidden
        ``[N, N]`` for each kind of vehicle: legs that it may not drive.
    limit
        ``[V]``, the length that routes may have, in the unit of the instance; None without limits.
    timed
        Whether anything happens at a time.
    released
        Whether routes wait for the release of what they carry.
    bounded
        Whether the time that routes take is limited.
    """

    given: Given
    counts: NDArray[np.int64]
    loads: tuple[Load, ...]
    pairs: Mapping[int, int]
    forbidden: tuple[NDArray[np.bool_], ...]
    limit: NDArray[np.float64] | None
    timed: bool
    released: bool
    bounded: bool

    @classmethod
    def of(cls, given: Given, terms: Sequence[Term]) -> Self:
        """Collects the terms of all rules."""
        counts = np.full(given.kinds, given.shape.vehicles)
        for vehicles in of_kind(terms, Vehicles):
            counts = np.minimum(counts, vehicles.count)
        forbidden = [np.zeros(given.distance.shape, dtype=bool) for _ in range(given.kinds)]
        for term in of_kind(terms, Forbidden):
            for kind in range(given.kinds) if term.kind is None else (term.kind,):
                forbidden[kind] = forbidden[kind] | term.legs
        limits = [np.array(term.limit) for term in of_kind(terms, LengthLimit)]
        timed = of_kind(terms, Timed)
        return cls(
            given=given,
            counts=counts,
            loads=tuple(of_kind(terms, Load)),
            pairs={a: b for term in of_kind(terms, Shipments) for a, b in term.pairs.items()},
            forbidden=tuple(forbidden),
            limit=np.min(limits, axis=0) if limits else None,
            timed=bool(timed),
            released=any(term.release for term in timed),
            bounded=bool(of_kind(terms, DurationLimits)),
        )

    @property
    def costs(self) -> Costs:
        """What is minimised."""
        return self.given.costs

    @cached_property
    def largest(self) -> int:
        """
        Bound on the integers. PyVRP multiplies lateness and excess lengths with its penalties; a
        thousandth of an int64 is left for what is not thought of here. A forbidden leg has to cost
        more than any solution.
        """
        bound, nodes = LARGEST, len(self.given.distance)
        if self.limit is not None or self.timed:
            bound = min(bound, int(2**53 / PenaltyParams().max_penalty / nodes))
        if any(legs.any() for legs in self.forbidden):
            bound = min(bound, LARGEST // (4 * nodes))
        return bound

    @cached_property
    def waits(self) -> bool:
        """Whether time costs something beyond legs and services: waiting for windows."""
        return self.timed and bool(self.costs.time) and "time_windows" in self.given.instance.keys()

    @cached_property
    def legs(self) -> list[NDArray[np.float64]]:
        """Costs of legs ``[N, N]`` for each kind of vehicle, but for times with waiting."""
        return leg_costs(
            self.costs,
            self.given.instance,
            self.given.shape,
            self.given.distance,
            busy=not self.waits,
        )

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
            lengths = self.given.distance * (weight or 1)
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
                np.concatenate(legs), bounds, self.largest, steps(self.given.instance)
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
        return choose_scaling(np.zeros_like(self.given.distance), self.largest, self.costs.others)

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
            known = times(self.given.instance, self.given.shape, largest, self.released)
            longest = max(int(matrix.max(initial=0)) for matrix in known.travel)
            ratio = costly * known.scaling.factor / self.costs.time / max(1, longest)
            largest = int(largest / max(1.0, ratio))
        known = times(self.given.instance, self.given.shape, largest, self.released)
        longest = max(1, *(int(matrix.max(initial=0)) for matrix in known.travel))
        wanted = (COSTLY_TIME if self.waits else self._longest_leg()) // longest
        allowed = min(2**10 * largest // max(1, known.horizon), largest // longest)
        return known.finer(max(1, min(wanted, allowed)))

    @cached_property
    def clients(self) -> list[int]:
        """The nodes of PyVRP's clients, in order: all customers without a shipment."""
        paired = {*self.pairs, *self.pairs.values()}
        return [node for node in self.given.shape.customers if node not in paired]

    @cached_property
    def kinds(self) -> list[int]:
        """The kinds of vehicles that there are, in the order of PyVRP's vehicle types."""
        return [int(kind) for kind in np.flatnonzero(self.counts > 0)]

    def cost(self, units: int) -> float:
        """What PyVRP's costs mean."""
        return self.scaling.cost(units) + self.costs.constant

    def build(self) -> pyvrp.ProblemData:
        """The data that all rules together ask for."""
        distances, durations, profiles = self._profiles()
        unit = self._load_unit()
        # Only plots look at the coordinates; distances come from the matrices alone.
        locations = [pyvrp.Location(0, 0) for _ in self.given.distance]
        return pyvrp.ProblemData(
            locations=locations,
            clients=[self._client(node, unit) for node in self.clients],
            depots=[self._depot(node) for node in self.given.shape.depots],
            vehicle_types=[self._vehicle_type(kind, unit, profiles[kind]) for kind in self.kinds],
            distance_matrices=distances,
            duration_matrices=durations,
            shipments=[self._shipment(node, unit) for node in self.pairs],
        )

    def _profiles(self) -> tuple[list[Any], list[Any], list[int]]:
        """Matrices of distances and durations, one for all kinds that are alike; and each one's."""
        known: dict[tuple[int, int, int, bytes], int] = {}
        distances: list[NDArray[np.int64]] = []
        durations: list[NDArray[np.int64]] = []
        profiles = []
        for kind in range(self.given.kinds):
            bound = self._bound(kind)
            travel = self.times.travel[kind] if self.timed else None
            key = (id(self.legs[kind]), id(travel), bound, self.forbidden[kind].tobytes())
            if key not in known:
                known[key] = len(distances)
                distances.append(self._driven(kind, bound))
                durations.append(np.zeros_like(distances[-1]) if travel is None else travel)
            profiles.append(known[key])
        return distances, durations, profiles

    def _driven(self, kind: int, bound: int) -> NDArray[np.int64]:
        """PyVRP's distances. Where lengths are bounded, no less than what they stand for."""
        rounded = self.lengths.integers if self.limit is None else self.lengths.at_least
        matrix = rounded(self.driven[kind])
        matrix[self.forbidden[kind]] = self._never(matrix, bound)
        np.fill_diagonal(matrix, 0)
        return matrix

    def _bound(self, kind: int) -> int:
        """The length that routes of a kind of vehicle may have, -1 without a limit."""
        limited = self.limit is not None and bool(np.isfinite(self.limit[kind]))
        return self._bounds[id(self.driven[kind])][kind] if limited else -1

    @cached_property
    def _bounds(self) -> dict[int, list[int]]:
        """The lengths that routes may have ``[V]``, for each matrix of what is driven."""
        assert self.limit is not None
        limit = self.limit * np.where(self.costs.distance > 0, self.costs.distance, 1.0)
        depots = self.given.shape.depots
        distinct = {id(legs): legs for legs in self.driven}
        return {
            key: length_bounds(self.lengths, legs, limit, depots, self.pairs).tolist()
            for key, legs in distinct.items()
        }

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
            for load in self.loads
            for d, p in zip(load.deliver, load.collect, strict=True)
        ]
        amounts += [amount for load in self.loads for amount in load.shipped]
        positive = [amount for amount in amounts if amount > 0]
        mean = sum(positive) / len(positive) if positive else 1.0
        longest = self._longest_leg()
        if self.waits:
            longest = max(longest, *(int(legs.max()) for legs in self.times.travel))
        return max(1, int(longest / TYPICAL / mean))

    def _client(self, node: int, unit: int) -> pyvrp.Client:
        return pyvrp.Client(
            location=node,
            delivery=[unit * load.deliver[node] for load in self.loads],
            pickup=[unit * load.collect[node] for load in self.loads],
            **self._worth(node),
            **self._stop(node),
        )

    def _stop(self, node: int) -> Arguments:
        """When a customer is served, and how long that takes."""
        if not self.timed:
            return {}
        stop = {"service_duration": int(self.times.service[node]), **self._window(node)}
        released = {"release_time": int(self.times.release[node])} if self.released else {}
        return stop | released

    def _window(self, node: int) -> Arguments:
        return {"tw_early": int(self.times.open[node]), "tw_late": int(self.times.close[node])}

    def _depot(self, node: int) -> pyvrp.Depot:
        return pyvrp.Depot(location=node, **(self._window(node) if self.timed else {}))

    def _worth(self, *nodes: int) -> Arguments:
        if not self.given.shape.optional:
            return {}
        prizes = self.scaling.integers(self.costs.left_out)
        return {"required": False, "prize": sum(int(prizes[node]) for node in nodes)}

    def _shipment(self, pickup: int, unit: int) -> pyvrp.Shipment:
        delivery = self.pairs[pickup]
        ends = {"pickup": pickup, "delivery": delivery}
        arguments = {
            f"{end}_{name}": value
            for end, node in ends.items()
            for name, value in self._stop(node).items()
            if name in STEP
        }
        amount = [unit * load.shipped[pickup] for load in self.loads]
        arguments |= self._worth(pickup, delivery)
        return pyvrp.Shipment(pickup, delivery, amount=amount, **arguments)

    def _vehicle_type(self, kind: int, unit: int, profile: int) -> pyvrp.VehicleType:
        costs, bound = self.costs, self._bound(kind)
        free = self.limit is not None and not costs.distance[kind]
        arguments: Arguments = {
            "capacity": [unit * load.capacity[kind] for load in self.loads],
            "start_depot": kind,
            "end_depot": kind,
            "profile": profile,
            "unit_distance_cost": int(not free),
            "unit_duration_cost": int(self.waits),
            "fixed_cost": int(self.scaling.integers(costs.fixed)[kind]),
            "num_available": int(self.counts[kind]),
        }
        if bound >= 0:
            arguments["max_distance"] = bound
        if self.bounded and self.times.limit[kind] < self.times.horizon:
            arguments["shift_duration"] = int(self.times.limit[kind])
        if costs.trips:
            arguments["reload_depots"] = [kind]
        return pyvrp.VehicleType(**arguments)

    @staticmethod
    def _distinct(matrices: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        """Every matrix once, whatever the number of vehicles that share it."""
        return list({id(matrix): matrix for matrix in matrices}.values())
