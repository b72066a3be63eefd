"""Shipments: what is picked up at one customer is delivered to another one."""

from collections import Counter
from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView
from nco.envs.constraint import Constraint, never
from nco.envs.normalisation import coordinates
from nco.envs.state import State


class PickupDelivery(Constraint):
    """
    A delivery comes after its pickup, on the same route (PDP, PDPTW).

    Instance: ``delivery [B, N]``, the node that each pickup is for, 0 where there is none. State:
    ``pending [B, R]``, shipments that are aboard: a route ends only without. How much they weigh
    is judged by `MaximumLoad`. Lengths and times are tested with all deliveries that are still
    due, see `nco.envs.resources.look_ahead`.

    Features: of each node whether it is a pickup or a delivery and where its partner lies from
    there, and in the decoder the number of shipments aboard.

    Parameters
    ----------
    aboard
        Shipments that may be aboard at the same time, where lengths or times are bounded: the
        look-ahead costs as much.
    """

    reads = ("delivery",)
    stated_by = ("delivery",)
    scope = "route"
    node_dim = 4
    context_dim = 1

    def __init__(self, aboard: int = 12):
        self.aboard = aboard

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return never(instance)

    def tables(self, instance: TensorDict) -> dict[str, Tensor]:
        return {"partner": partners(instance), "is delivery": deliveries(instance)}

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        return {"pending": instance["delivery"].new_zeros(len(instance), rollouts)}

    def feasible(self, state: State) -> Tensor:
        due = state.visited.gather(-1, _wide(state.tables["partner"].clamp_min(0), state))
        fits = due | ~state.tables["is delivery"].unsqueeze(1)
        fits[..., : num_depots(state.instance)] = (state.parts["pending"] == 0).unsqueeze(-1)
        return fits

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        picked = (state.instance["delivery"] > 0).gather(1, action).long()
        delivered = state.tables["is delivery"].gather(1, action).long()
        return {"pending": state.parts["pending"] + picked - delivered}

    def node_features(self, instance: TensorDict) -> Tensor:
        partner, coords = partners(instance), coordinates(instance)
        there = coords.gather(1, partner.clamp_min(0).unsqueeze(-1).expand(-1, -1, 2))
        paired = (partner >= 0).unsqueeze(-1)
        kinds = torch.stack([instance["delivery"] > 0, deliveries(instance)], -1)
        return torch.cat([kinds.float(), torch.where(paired, there - coords, 0)], -1).float()

    def context(self, state: State) -> Tensor:
        return state.parts["pending"].unsqueeze(-1).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        visits = [(node, k) for k, route in enumerate(routes) for node in route.visits]
        where = {node: (k, i) for i, (node, k) in enumerate(visits)}
        found = []
        for pickup, target in enumerate(InstanceView(instance).of_nodes("delivery")):
            delivery = int(target)
            if not delivery or not {pickup, delivery} & where.keys():
                continue
            pair = f"pickup at node {pickup}, delivery at node {delivery}"
            begin, end = where.get(pickup), where.get(delivery)
            if begin is None or end is None:
                message, node = f"{pair}: only one of them is visited", pickup
            elif begin[0] != end[0]:
                message, node = f"{pair}: on routes {begin[0]} and {end[0]}", delivery
            elif begin > end:
                message, node = f"{pair}: in the wrong order", delivery
            else:
                continue
            k = (begin or end or (None,))[0]
            found.append(Violation("pickup and delivery", message, route=k, node=node))
        return found

    def impossible(self, instance: TensorDict) -> list[Violation]:
        plain, found = InstanceView(instance), []
        delivery = [int(target) for target in plain.of_nodes("delivery")]
        times = Counter(target for target in delivery if target)
        for pickup, target in enumerate(delivery):
            if not target:
                continue
            if pickup not in plain.customers or target not in plain.customers:
                message = f"pickup at node {pickup} for node {target}, expected customers"
            elif delivery[target]:
                message = f"delivery at node {target}, which is a pickup itself"
            elif times[target] > 1:
                message = f"delivery at node {target} of {times[target]} pickups, expected one"
            else:
                continue
            found.append(Violation("pickup and delivery", message, node=pickup))
        return found


def deliveries(instance: TensorDict) -> Tensor:
    """Which nodes are the delivery of some pickup, ``[B, N]`` bool."""
    target = instance["delivery"]
    paired = target > 0
    return torch.zeros_like(target).scatter_add(1, target, paired.long()) > 0


def partners(instance: TensorDict) -> Tensor:
    """The other node of each pair, -1 where there is none, ``[B, N]``."""
    target = instance["delivery"]
    node = torch.arange(target.shape[1], device=target.device).expand_as(target)
    paired = target > 0
    # Nodes without a delivery write to one more column, which is dropped.
    aim = torch.where(paired, target, target.shape[1])
    pickup = torch.full_like(target, -1)
    pickup = torch.cat([pickup, pickup[:, :1]], 1).scatter(1, aim, node)[:, :-1]
    return torch.where(paired, target, pickup)


def _wide(value: Tensor, state: State) -> Tensor:
    """A table ``[B, N]`` for every rollout, ``[B, R, N]``."""
    return value.unsqueeze(1).expand(-1, state.current.shape[1], -1)
