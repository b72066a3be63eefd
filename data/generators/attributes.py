"""
What makes a variant of vehicle routing, one attribute at a time: samplers to compose.

The recipes for backhauls, open routes, limits and time windows are those of RouteFinder (Berto et
al. 2025, appendix B), which go back to Liu et al. (2024) and Zhou et al. (2024). Coordinates are in
the unit square.
"""

from abc import ABC, abstractmethod

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.generators.base import integers, uniform
from nco.data.generators.uniform import MAX_DEMAND, default_capacity
from nco.data.instance import num_depots, num_nodes
from nco.data.metric import pairwise
from nco.data.neutral import neutral

Fields = dict[str, Tensor]


def travel_times(instance: TensorDict) -> Tensor:
    """Times of all ways ``[B, N, N]``: the durations, or the distances where there are none."""
    return instance["duration"] if "duration" in instance.keys() else pairwise(instance)


class Attribute(ABC):
    """Draws attributes of instances that have coordinates, and perhaps others, already."""

    @abstractmethod
    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        """What to add to the instances ``[B]``, or to replace there."""


class Sometimes(Attribute):
    """
    An attribute that only some of the instances have; the others keep what they had.

    Parameters
    ----------
    attribute
        The attribute, or several that come together.
    probability
        Of an instance to have it.

    Raises
    ------
    InputError
        The probability is none.
    """

    def __init__(self, attribute: Attribute, probability: float = 0.5):
        if not 0 <= probability <= 1:
            raise InputError(f"probability: {probability}, expected a number from 0 to 1")
        self.attribute, self.probability = attribute, probability

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        has = uniform(0, 1, (len(instance),), rng) < self.probability
        fields = {}
        for name, value in self.attribute(instance, rng).items():
            old = instance[name] if name in instance.keys() else neutral(name, instance)
            fields[name] = torch.where(has.view(-1, *(1,) * (value.ndim - 1)), value, old)
        return fields


class Demands(Attribute):
    """
    Demands uniform in 1..9 and one capacity, `default_capacity` if none is given.

    Raises
    ------
    InputError
        The capacity is smaller than the largest demand.
    """

    def __init__(self, capacity: int | None = None):
        if capacity is not None and capacity < MAX_DEMAND:
            raise InputError(f"capacity: {capacity}, expected at least {MAX_DEMAND}")
        self.capacity = capacity

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, nodes = num_depots(instance), num_nodes(instance)
        demand = integers(1, MAX_DEMAND, (len(instance), nodes), rng)
        demand[:, :depots] = 0
        capacity = self.capacity or default_capacity(nodes - depots)
        return {"demand": demand, "capacity": demand.new_full((len(instance),), capacity)}


class Backhauls(Attribute):
    """
    A share of the demands are pickups instead of deliveries.

    Parameters
    ----------
    mixed
        Whether the two may be mixed on a route; else deliveries come first. None draws it for
        each instance.
    share
        Probability of a customer to have a pickup.
    """

    def __init__(self, mixed: bool | None = False, share: float = 0.2):
        if not 0 <= share <= 1:
            raise InputError(f"share: {share}, expected a number from 0 to 1")
        self.mixed, self.share = mixed, share

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        demand = instance["demand"]
        pickup = uniform(0, 1, tuple(demand.shape), rng) < self.share
        if self.mixed is None:
            first = integers(0, 1, (len(instance),), rng)
        else:
            first = demand.new_full((len(instance),), int(not self.mixed))
        return {
            "demand": torch.where(pickup, 0, demand),
            "backhaul": torch.where(pickup, demand, 0),
            "linehaul_first": first,
        }


class Pickups(Attribute):
    """
    Every customer has a pickup besides its demand, between half and three halves of it.

    Dethloff (2001), section 5. At most the capacity, and at least 1.
    """

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        demand = instance["demand"]
        pickup = (demand * uniform(0.5, 1.5, tuple(demand.shape), rng)).round().long()
        pickup = pickup.clamp_min(1).minimum(instance["capacity"].unsqueeze(-1))
        pickup[:, : num_depots(instance)] = 0
        return {"backhaul": pickup}


class OneGood(Attribute):
    """What was picked up may be delivered to others, in any order (Zhou et al. 2024, VRPB)."""

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        flag = torch.ones(len(instance), dtype=torch.long, device=rng.device)
        fields = {"one_commodity": flag}
        if "linehaul_first" in instance.keys():
            fields["linehaul_first"] = torch.zeros_like(flag)
        return fields


class OpenEnds(Attribute):
    """Routes end at their last customer."""

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        return {"open_route": torch.ones(len(instance), dtype=torch.long, device=rng.device)}


class LengthLimits(Attribute):
    """
    A limit of the length of routes, with which every customer can be reached from some depot.

    Uniform between there and back to the farthest customer (of the depot for which that is
    nearest) and ``longest``, the length of two diagonals of the unit square by default; or
    ``longest`` for all instances, as in the published sets of Zhou et al. (2024).

    Parameters
    ----------
    longest
        The longest limit.
    equal
        Whether it is that of all instances (but for those that need more).

    Raises
    ------
    InputError
        ``longest`` is not positive.
    """

    def __init__(self, longest: float = 2.8, equal: bool = False):
        if not longest > 0:
            raise InputError(f"longest: {longest}, expected a positive number")
        self.longest, self.equal = longest, equal

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, legs = num_depots(instance), pairwise(instance)
        ways = legs[:, :depots, depots:] + legs.mT[:, :depots, depots:]
        low = ways.amax(-1).amin(-1) + 1e-5  # never shorter than the way by a rounding error
        high = low.clamp_min(self.longest)
        if self.equal:
            return {"distance_limit": high}
        return {"distance_limit": low + (high - low) * uniform(0, 1, (len(instance),), rng)}


class DurationLimits(Attribute):
    """
    A limit of the time that routes take, with which every customer can be served from some depot.

    Uniform between there, service and back for the farthest customer and ``longest`` times that.
    """

    def __init__(self, longest: float = 2.0):
        if not longest >= 1:
            raise InputError(f"longest: {longest}, expected at least 1")
        self.longest = longest

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, legs = num_depots(instance), travel_times(instance)
        ways = legs[:, :depots, depots:] + legs.mT[:, :depots, depots:]
        if "service_time" in instance.keys():
            ways = ways + instance["service_time"][:, None, depots:]
        low = ways.amax(-1).amin(-1) + 1e-5
        return {"duration_limit": low * uniform(1, self.longest, (len(instance),), rng)}


class ReleaseTimes(Attribute):
    """
    Moments before which the goods are not at the depot: early enough for every window.

    Uniform between 0 and the last departure that is in time for the node, but 0 for one of two.
    """

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, shape = num_depots(instance), (len(instance), num_nodes(instance))
        way = travel_times(instance)[:, :depots].amax(1)
        last = instance["time_windows"][..., 1] - way - 1e-5
        release = last * uniform(-1, 1, shape, rng).clamp_min(0)
        release[:, :depots] = 0
        return {"release_time": release}


class Windows(Attribute):
    """
    Service times and narrow windows, each of which can be kept from any depot (Liu et al. 2024).

    With d the distance of the farthest depot, service time s and length w, a window begins
    uniformly between d and the horizon - s - w - d.

    Parameters
    ----------
    horizon
        When the depots close.
    service, length
        Ranges of the service times and of the lengths of the windows.

    Raises
    ------
    InputError
        A range is empty, or the horizon too short to reach the corners of the unit square.
    """

    def __init__(
        self,
        horizon: float = 4.6,
        service: tuple[float, float] = (0.15, 0.18),
        length: tuple[float, float] = (0.18, 0.2),
    ):
        for name, (low, high) in (("service", service), ("length", length)):
            if not 0 <= low <= high:
                raise InputError(f"{name}: {(low, high)}, expected an ascending range")
        if not horizon >= 2.83 + service[1] + length[1]:
            raise InputError(f"horizon: {horizon}, expected at least two diagonals and a service")
        self.horizon, self.service, self.length = horizon, service, length

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, shape = num_depots(instance), (len(instance), num_nodes(instance))
        service = uniform(*self.service, shape, rng)
        length = uniform(*self.length, shape, rng)
        legs = travel_times(instance)
        way, back = legs[:, :depots].amax(1), legs[:, :, :depots].amax(2)
        latest = self.horizon - service - length - back
        begin = way + (latest - way) * uniform(0, 1, shape, rng)
        # A millionth of slack: rounding errors never put a window out of reach.
        windows = torch.stack([begin + 1e-6, begin + length - 1e-6], -1)
        windows[:, :depots] = torch.tensor([0, self.horizon], device=rng.device)
        service[:, :depots] = 0
        return {"time_windows": windows, "service_time": service}


class WideWindows(Attribute):
    """
    Windows of very different lengths, most of them wide (Zhou et al. 2024, MVMoE, appendix A).

    With d the distance of the farthest depot and service time s, the middle of a window is uniform
    between d and the horizon - s - d, half its length between s / 2 and a third of the horizon.
    What lies outside of the opening hours is cut off. The published sets have these windows.

    Parameters
    ----------
    horizon
        When the depots close.
    service
        Service time of every customer that can be served so long.

    Raises
    ------
    InputError
        The horizon is too short to reach the corners of the unit square and return.
    """

    def __init__(self, horizon: float = 3.0, service: float = 0.2):
        if not (service >= 0 and horizon >= 2.83):
            raise InputError(f"horizon: {horizon}, expected at least two diagonals")
        self.horizon, self.service = horizon, service

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, shape = num_depots(instance), (len(instance), num_nodes(instance))
        legs = travel_times(instance)
        way, back = legs[:, :depots].amax(1), legs[:, :, :depots].amax(2)
        # From corner to corner, there is a bit less time to serve.
        free = self.horizon - way - back - 1e-5
        service = free.clamp_max(self.service)
        middle = way + (free - service) * uniform(0, 1, shape, rng)
        half = uniform(self.service / 2, self.horizon / 3, shape, rng)
        windows = torch.stack([middle - half, middle + half], -1).clamp(0, self.horizon)
        windows[:, :depots] = torch.tensor([0, self.horizon], device=rng.device)
        service[:, :depots] = 0
        return {"time_windows": windows, "service_time": service}
