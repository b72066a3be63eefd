"""Pairs of pickup and delivery, and windows in which each pair can be served."""

import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.generators.attributes import Attribute, Fields, travel_times
from nco.data.generators.base import integers, uniform
from nco.data.instance import num_depots, num_nodes


class Shipments(Attribute):
    """
    Customers in pairs: what is picked up at one is delivered to the other.

    Of n customers, the first n/2 are pickups and the next n/2 their deliveries in the same order
    (Li et al. 2022); if n is odd, the last one is a mere stop.

    Parameters
    ----------
    amount
        Range of the amounts, uniform.
    capacity
        Of a vehicle; None leaves it unlimited, and out of the instances.

    Raises
    ------
    InputError
        The range is empty, or the capacity below it.
    """

    def __init__(self, amount: tuple[int, int] = (4, 9), capacity: int | None = 20):
        if not 1 <= amount[0] <= amount[1]:
            raise InputError(f"amount: {amount}, expected an ascending range of positive numbers")
        if capacity is not None and capacity < amount[1]:
            raise InputError(f"capacity: {capacity}, expected at least {amount[1]}")
        self.amount, self.capacity = amount, capacity

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, batch, nodes = num_depots(instance), len(instance), num_nodes(instance)
        pairs = (nodes - depots) // 2
        delivery = torch.zeros(batch, nodes, dtype=torch.long, device=rng.device)
        pickups = torch.arange(depots, depots + pairs, device=rng.device)
        delivery[:, pickups] = pickups + pairs
        fields = {"delivery": delivery}
        if self.capacity is not None:
            shipment = torch.zeros_like(delivery)
            shipment[:, pickups] = integers(*self.amount, (batch, pairs), rng)
            fields["shipment"] = shipment
            fields["capacity"] = delivery.new_full((batch,), self.capacity)
        return fields


class ShipmentWindows(Attribute):
    """
    Windows and service times with which every pair can be served by a vehicle of its own.

    With lengths w of the windows, services s and ways d: the window of a pickup begins uniformly
    between the way there and the last moment from which all the rest can be done, that of its
    delivery between the earliest arrival from a pickup at the end of its window, and the last
    moment from which the depot is reached in time. Of several depots, the farthest counts.

    Parameters
    ----------
    horizon
        When the depots close.
    service, length
        Ranges of the service times and of the lengths of the windows.

    Raises
    ------
    InputError
        A range is empty, or the horizon too short for three diagonals of the unit square.
    """

    def __init__(
        self,
        horizon: float = 6.0,
        service: tuple[float, float] = (0.05, 0.1),
        length: tuple[float, float] = (0.2, 0.6),
    ):
        for name, (low, high) in (("service", service), ("length", length)):
            if not 0 <= low <= high:
                raise InputError(f"{name}: {(low, high)}, expected an ascending range")
        if not horizon >= 4.25 + 2 * service[1] + 2 * length[1]:
            raise InputError(f"horizon: {horizon}, expected at least three diagonals and services")
        self.horizon, self.service, self.length = horizon, service, length

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, shape = num_depots(instance), (len(instance), num_nodes(instance))
        service = uniform(*self.service, shape, rng)
        length = uniform(*self.length, shape, rng)
        legs = travel_times(instance)
        way, back = legs[:, :depots].amax(1), legs[:, :, :depots].amax(2)
        delivery = instance["delivery"]
        paired = delivery > 0
        across = legs.gather(2, delivery.unsqueeze(-1)).squeeze(-1)  # to the own delivery
        last = self.horizon - service - length - back
        # A pickup leaves time for the way to its delivery and for that one's window.
        rest = last.gather(1, delivery) - across - service - length
        late = torch.where(paired, rest, last)
        begin = way + (late - way) * uniform(0, 1, shape, rng)
        arrival = torch.where(paired, begin + length + service + across, 0)
        earliest = way.scatter(1, torch.where(paired, delivery, 0), arrival)
        to = torch.zeros_like(paired).scatter(1, torch.where(paired, delivery, 0), paired)
        after = earliest + (last - earliest) * uniform(0, 1, shape, rng)
        begin = torch.where(to, after, begin)
        # A millionth of slack: rounding errors never put a window out of reach.
        windows = torch.stack([begin + 1e-6, begin + length - 1e-6], -1)
        windows[:, :depots] = torch.tensor([0, self.horizon], device=rng.device)
        service[:, :depots] = 0
        return {"time_windows": windows, "service_time": service}
