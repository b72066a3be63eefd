"""An instance in plain numbers: what the checker walks routes with, apart from all masks."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial

import torch
from tensordict import TensorDict

from nco.data.instance import num_depots, num_nodes
from nco.data.metric import leg, pairwise, resolution
from nco.envs.checking.routes import Route

INF = float("inf")
TABLE_NODES = 150  # up to here, a table of all legs is faster than leg by leg


class InstanceView:
    """
    One instance (batch size 1), its attributes as Python numbers and lists.

    Lengths and times are in the steps in which distances are whole numbers (1 where they have no
    decimals): see `nco.data.metric.resolution`.

    Attributes
    ----------
    depots, nodes
        Numbers of depot nodes and of all nodes.
    length_steps, time_steps
        Steps per unit.
    """

    def __init__(self, instance: TensorDict):
        self.instance = instance
        self.depots, self.nodes = num_depots(instance), num_nodes(instance)
        steps = resolution(instance)
        self.length_steps = 1.0 if steps is None else float(steps[0])
        self.time_steps = 1.0 if "duration" in instance.keys() else self.length_steps

    @property
    def customers(self) -> range:
        """All nodes that are no depots."""
        return range(self.depots, self.nodes)

    def has(self, name: str) -> bool:
        """Whether the instance has an attribute."""
        return name in self.instance.keys()

    def of_vehicle(self, name: str, vehicle: int, default: float = 0) -> float:
        """A vehicle's share of an attribute ``[B]`` or ``[B, V]``; ``default`` if it is absent."""
        if not self.has(name):
            return default
        value = self.instance[name][0]
        number: float = (value if value.ndim == 0 else value[vehicle]).item()
        return number

    def of_nodes(self, name: str, default: float = 0) -> list[float]:
        """An attribute ``[B, N]`` of every node; ``default`` where it is absent."""
        if not self.has(name):
            return [default] * self.nodes
        numbers: list[float] = self.instance[name][0].tolist()
        return numbers

    @cached_property
    def demand(self) -> list[float]:
        """The demand of every node."""
        return self.of_nodes("demand")

    @cached_property
    def backhaul(self) -> list[float]:
        """The backhaul of every node."""
        return self.of_nodes("backhaul")

    @cached_property
    def shipment(self) -> list[float]:
        """The amount of the shipment that is picked up at every node."""
        return self.of_nodes("shipment")

    @cached_property
    def allowed(self) -> list[list[int]]:
        """Which vehicle may visit which node."""
        flags: list[list[int]] = self.instance["allowed"][0].tolist()
        return flags

    @cached_property
    def windows(self) -> list[tuple[float, float]]:
        """The time window of every node, in steps."""
        if not self.has("time_windows"):
            return [(0.0, INF)] * self.nodes
        rows = self.instance["time_windows"][0].tolist()
        return [(whole(a * self.time_steps), whole(b * self.time_steps)) for a, b in rows]

    @cached_property
    def service(self) -> list[float]:
        """The service time of every node, in steps."""
        return [whole(value * self.time_steps) for value in self.of_nodes("service_time")]

    @cached_property
    def release(self) -> list[float]:
        """The release time of every node, in steps."""
        return [whole(value * self.time_steps) for value in self.of_nodes("release_time")]

    def knows(self, route: Route) -> bool:
        """Whether the route has nothing but nodes of the instance, and one of its vehicles."""
        ends = [node for node in (route.start, route.end) if node is not None]
        known = all(0 <= node < self.nodes for node in (*route.visits, *ends))
        return known and 0 <= route.vehicle < self.depots

    def known(self, routes: Sequence[Route]) -> Iterator[tuple[int, Route]]:
        """The routes that are not empty and whose nodes exist, with their indices."""
        for k, route in enumerate(routes):
            if route.visits and self.knows(route):
                yield k, route

    def lengths(self, stops: Sequence[int]) -> list[float]:
        """Lengths of the legs from stop to stop, in steps."""
        legs = self._legs_by_length(stops)
        return legs if self.length_steps == 1 else [whole(d * self.length_steps) for d in legs]

    def times(self, stops: Sequence[int], vehicle: int = 0) -> list[float]:
        """Travel times of a vehicle from stop to stop, in steps."""
        speed = self.of_vehicle("speed", vehicle, 1)
        legs = self._legs_by_time(stops) if self.has("duration") else self.lengths(stops)
        return [time / speed for time in legs]

    @cached_property
    def _legs_by_length(self) -> Callable[[Sequence[int]], list[float]]:
        return _legs(self.instance, self.nodes)

    @cached_property
    def _legs_by_time(self) -> Callable[[Sequence[int]], list[float]]:
        durations = TensorDict({"distance": self.instance["duration"]}, batch_size=[1])
        return _legs(durations, self.nodes)

    def alone(self, node: int, vehicle: int) -> Route:
        """The route that a vehicle drives for one node, and for the other end of its shipment."""
        end = None if self._stays else vehicle
        return Route(self._pairs.get(node, (node,)), start=vehicle, end=end, vehicle=vehicle)

    @cached_property
    def _stays(self) -> bool:
        return self.has("open_route") and bool(self.instance["open_route"][0])

    @cached_property
    def _pairs(self) -> dict[int, tuple[int, int]]:
        """Pickup and delivery of both of them, where they are customers."""
        targets = [int(target) for target in self.of_nodes("delivery")]
        pairs = [(a, b) for a, b in enumerate(targets) if b]
        known = [p for p in pairs if p[0] in self.customers and p[1] in self.customers]
        return {node: pair for pair in known for node in pair}


def at_least(
    instance: TensorDict, name: str, routes: Sequence[Route], values: Sequence[float]
) -> TensorDict:
    """
    An instance (batch size 1) with an attribute of its vehicles no less than routes need.

    Parameters
    ----------
    name
        An attribute ``[B]`` or ``[B, V]``.
    routes, values
        What each route needs of it.
    """
    wider = instance[name].clone()
    if wider.is_floating_point():
        wider = wider.double()
    for route, value in zip(routes, values, strict=True):
        entry = (0,) if wider.ndim == 1 else (0, route.vehicle)
        wider[entry] = wider[entry].clamp_min(value)
    return instance.clone().set(name, wider)


def stops_of(route: Route) -> list[int]:
    """All nodes of a route in order, with its depots; a tour without depot is closed."""
    if route.start is None:
        return [*route.visits, route.visits[0]]
    return [route.start, *route.visits, *([] if route.end is None else [route.end])]


def whole(value: float) -> float:
    """The whole number that a value is but for rounding errors, or the value."""
    if value == INF or abs(value - round(value)) >= 1e-6:
        return value
    return float(round(value))


def _legs(instance: TensorDict, nodes: int) -> Callable[[Sequence[int]], list[float]]:
    """What tells the lengths of legs from stop to stop: by a table where that is small."""
    if nodes > TABLE_NODES:
        return partial(_computed_legs, instance)
    table: list[list[float]] = pairwise(instance)[0].tolist()
    return lambda stops: [table[a][b] for a, b in itertools.pairwise(stops)]


def _computed_legs(instance: TensorDict, stops: Sequence[int]) -> list[float]:
    if len(stops) < 2:
        return []
    pairs = torch.tensor([stops[:-1], stops[1:]]).unsqueeze(1)
    lengths: list[float] = leg(instance, pairs[0], pairs[1])[0].tolist()
    return lengths
