"""What a vehicle carries is bounded at every moment of a route, deliveries and pickups together."""

from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import Self

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.neutral import is_neutral
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView, at_least
from nco.envs.component import Component
from nco.envs.constraint import Constraint
from nco.envs.constraints.capacity import Capacity, capacities, largest_capacity
from nco.envs.resources.travel import at_depot, of_vehicle
from nco.envs.state import State


class MaximumLoad(Constraint):
    """
    The load of a vehicle never exceeds its capacity (VRPB, VRPMB, VRPSPD, PDP).

    What is delivered from the depot is aboard from the start to its customer; what is picked up for
    the depot, from its customer to the end; a shipment between its two nodes, which have neither
    demand nor backhaul. A customer that gets and gives (VRPSPD) is served in this order.

    Instance: ``demand [B, N]``, ``backhaul [B, N]``, ``capacity [B]`` or ``[B, V]``; with shipments
    ``delivery [B, N]`` and ``shipment [B, N]``; integers, compared exactly. State: ``peak [B, R]``,
    the largest load so far on the route, and ``aboard [B, R]``, all that is aboard but for what is
    still to be delivered from the depot. One more delivery raises every load before it, and so the
    peak; a pickup raises what is aboard now, and the peak if that is more.

    Features: demand, backhaul and shipment over capacity of each node; the room above peak and
    above what is aboard in the decoder.

    Parameters
    ----------
    shipments
        Whether there are pairs of pickup and delivery.
    """

    generalises = (Capacity,)  # without shipments
    context_dim = 2
    scope = "route"

    def __init__(self, shipments: bool = False):
        self.shipments = shipments
        pairs = ("delivery", "shipment") if shipments else ("demand", "backhaul")
        self.reads = ("capacity", *pairs)
        self.node_dim = 2 + shipments

    @classmethod
    def asked(cls, stated: Collection[str]) -> Self | None:
        two_ways = {"backhaul", "shipment"} & set(stated) and "one_commodity" not in stated
        return cls("shipment" in stated) if "capacity" in stated and two_ways else None

    def serves(self, other: Component) -> dict[str, int] | None:
        if self.shipments and not self.same_as(other):
            return None
        return super().serves(other)

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return is_neutral(instance, "backhaul") & (not self.shipments)

    def tables(self, instance: TensorDict) -> dict[str, Tensor]:
        gained = _amount(instance, "backhaul")
        if self.shipments:
            gained = gained + net_shipments(instance)
        return {"delivered": _amount(instance, "demand"), "gained": gained}

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        zero = instance["capacity"].new_zeros(instance.batch_size[0], rollouts)
        return {"peak": zero, "aboard": zero}

    def feasible(self, state: State) -> Tensor:
        capacity = of_vehicle(state, "capacity")
        above = (capacity - state.parts["peak"]).unsqueeze(-1)
        room = (capacity - state.parts["aboard"]).unsqueeze(-1)
        delivered, gained = state.tables["delivered"], state.tables["gained"]
        return (delivered.unsqueeze(1) <= above) & (gained.unsqueeze(1) <= room)

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        peak = state.parts["peak"] + state.tables["delivered"].gather(1, action)
        aboard = state.parts["aboard"] + state.tables["gained"].gather(1, action)
        ends = at_depot(state, action)
        return {
            "peak": torch.where(ends, 0, torch.maximum(peak, aboard)),
            "aboard": torch.where(ends, 0, aboard),
        }

    def node_features(self, instance: TensorDict) -> Tensor:
        columns = [_amount(instance, "demand"), _amount(instance, "backhaul")]
        if self.shipments:
            columns.append(net_shipments(instance))
        return (torch.stack(columns, -1) / largest_capacity(instance).unsqueeze(-1)).float()

    def context(self, state: State) -> Tensor:
        capacity = of_vehicle(state, "capacity")
        used = torch.stack([state.parts["peak"], state.parts["aboard"]], -1)
        return (1 - used / capacity.unsqueeze(-1)).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        plain, found = InstanceView(instance), []
        known = list(plain.known(routes))
        for (k, route), loads in zip(known, self.loads(plain, [r for _, r in known]), strict=True):
            highest = max(loads)
            capacity = plain.of_vehicle("capacity", route.vehicle)
            if highest > capacity:
                message = f"load {highest}, capacity {capacity}"
                found.append(Violation("capacity", message, route=k))
        return found

    def loads(self, plain: InstanceView, routes: Sequence[Route]) -> list[list[float]]:
        demand, change = plain.demand, list(plain.backhaul)
        if self.shipments:
            for node, target in enumerate(plain.of_nodes("delivery")):
                if target:
                    change[node] += plain.shipment[node]
                    change[int(target)] -= plain.shipment[node]
        found = []
        for route in routes:
            changes = (change[node] - demand[node] for node in route.visits)
            found.append(list(accumulate(changes, initial=sum(demand[n] for n in route.visits))))
        return found

    def totals(self, plain: InstanceView) -> dict[str, tuple[float, list[float]]]:
        amounts = {"demand": plain.demand, "backhaul": plain.backhaul}
        return {name: (sum(each), capacities(plain)) for name, each in amounts.items()}

    def loosened(self, instance: TensorDict, routes: Sequence[Route]) -> TensorDict:
        highest = [max(loads) for loads in self.loads(InstanceView(instance), routes)]
        return at_least(instance, "capacity", routes, highest)

    def refuses(self, plain: InstanceView, route: Route) -> Violation | None:
        capacity = plain.of_vehicle("capacity", route.vehicle)
        amounts = {"demand": plain.demand, "backhaul": plain.backhaul}
        if self.shipments:
            amounts["shipment"] = plain.shipment
        for name, amount in amounts.items():
            for node in route.visits:
                if amount[node] > capacity:
                    message = f"{name} {amount[node]} of node {node}, capacity {capacity}"
                    return Violation("capacity", message)
        return None

    def impossible(self, instance: TensorDict) -> list[Violation]:
        if not self.shipments:
            return []
        plain, found = InstanceView(instance), []
        targets = [int(target) for target in plain.of_nodes("delivery")]
        for node, amount in enumerate(plain.shipment):
            if amount and not targets[node]:
                message = f"shipment {amount} of node {node}, expected a delivery for it"
                found.append(Violation("pickup and delivery", message, node=node))
        for pickup, target in enumerate(targets):
            for node in (pickup, target) if target else ():
                if own := plain.demand[node] + plain.backhaul[node]:
                    message = f"demand {own} of node {node}, expected a shipment only"
                    found.append(Violation("capacity", message, node=node))
        return found


def net_shipments(instance: TensorDict) -> Tensor:
    """What a visit adds to the shipments aboard, ``[B, N]``: negative where it delivers one."""
    amount = instance["shipment"]
    return amount - torch.zeros_like(amount).scatter_add(1, instance["delivery"], amount)


def _amount(instance: TensorDict, name: str) -> Tensor:
    """An amount of every node, 0 where it is absent, ``[B, N]``."""
    if name in instance.keys():
        return instance[name]
    known = next(instance[n] for n in ("demand", "backhaul", "shipment") if n in instance.keys())
    return torch.zeros_like(known)
