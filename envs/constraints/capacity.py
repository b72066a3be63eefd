"""What a vehicle carries on one route is bounded."""

from collections.abc import Collection, Sequence
from itertools import accumulate
from operator import sub
from typing import Self

from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.envs import native
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView, at_least
from nco.envs.constraint import Constraint, always
from nco.envs.resources.travel import at_depot, of_vehicle
from nco.envs.state import State

EXACT = 2**24  # up to which single precision holds every whole number


class Capacity(Constraint):
    """
    The demands of a route sum to at most the capacity (CVRP).

    Instance: ``demand [B, N]`` and ``capacity [B]`` or per vehicle ``[B, V]``, integers, compared
    exactly. State: ``load [B, R]``, the demand served since the depot.

    Features: demand over the largest capacity of each node, the remaining share of the capacity in
    the decoder (Kool et al. 2019, appendix C.1).
    """

    reads = ("demand", "capacity")
    scope = "route"
    node_dim = 1
    context_dim = 1

    @classmethod
    def asked(cls, stated: Collection[str]) -> Self | None:
        other = {"backhaul", "shipment", "one_commodity", "split"} & set(stated)
        return cls() if "capacity" in stated and not other else None

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return always(instance)

    def tables(self, instance: TensorDict) -> dict[str, Tensor]:
        if instance["demand"].device.type != "cpu":
            return {}
        demand = in_single_precision(instance)
        return {} if demand is None else {"demand": demand.unsqueeze(1)}

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        demand = instance["demand"]
        return {"load": demand.new_zeros(demand.shape[0], rollouts)}

    def feasible(self, state: State) -> Tensor:
        load, capacity = state.parts["load"], state.instance["capacity"]
        if "demand" in state.tables and capacity.ndim == 1:
            demand = state.tables["demand"].squeeze(1)
            if native.fits(load, capacity, demand):
                return native.fits_room(load, capacity, demand)
        room = of_vehicle(state, "capacity") - load
        if "demand" in state.tables:
            # On a CPU the comparison of numbers to truths is no vector code; these three are.
            return (room.float().unsqueeze(-1) - state.tables["demand"]).ge_(0).bool()
        return state.instance["demand"].unsqueeze(1) <= room.unsqueeze(-1)

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        load, demand = state.parts["load"], state.instance["demand"]
        if native.fits(load, demand, action):
            return {"load": native.loaded(load, demand, action, num_depots(state.instance))}
        load = load + demand.gather(1, action)
        return {"load": load.masked_fill(at_depot(state, action), 0)}

    def node_features(self, instance: TensorDict) -> Tensor:
        return (instance["demand"] / largest_capacity(instance)).unsqueeze(-1).float()

    def context(self, state: State) -> Tensor:
        capacity = of_vehicle(state, "capacity")
        return (1 - state.parts["load"] / capacity).unsqueeze(-1).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        plain, found = InstanceView(instance), []
        demand = plain.of_nodes("demand")
        for k, route in enumerate(routes):
            load = sum(demand[node] for node in route.visits if 0 <= node < len(demand))
            if not 0 <= route.vehicle < plain.depots:
                continue  # the visits complain of it
            capacity = plain.of_vehicle("capacity", route.vehicle)
            if load > capacity:
                message = f"load {load}, capacity {capacity}"
                found.append(Violation("capacity", message, route=k))
        return found

    def totals(self, plain: InstanceView) -> dict[str, tuple[float, list[float]]]:
        return {"demand": (sum(plain.demand), capacities(plain))}

    def loosened(self, instance: TensorDict, routes: Sequence[Route]) -> TensorDict:
        demand = InstanceView(instance).demand
        loads = [sum(demand[node] for node in route.visits) for route in routes]
        return at_least(instance, "capacity", routes, loads)

    def refuses(self, plain: InstanceView, route: Route) -> Violation | None:
        capacity = plain.of_vehicle("capacity", route.vehicle)
        for node in route.visits:
            if (demand := plain.demand[node]) > capacity:
                return Violation("capacity", f"demand {demand} of node {node}, capacity {capacity}")
        return None

    def loads(self, plain: InstanceView, routes: Sequence[Route]) -> list[list[float]] | None:
        return [unloading([plain.demand[node] for node in route.visits]) for route in routes]


def unloading(amounts: Sequence[float]) -> list[float]:
    """What is aboard at first, all of the deliveries, and after each of them."""
    return list(accumulate(amounts, sub, initial=sum(amounts)))


def in_single_precision(instance: TensorDict) -> Tensor | None:
    """Demands ``[B, N]`` in single precision, if it holds them and what is compared with them."""
    demand = instance["demand"]
    if demand.numel() == 0 or max(int(demand.max()), int(instance["capacity"].max())) > EXACT:
        return None
    return demand.float()


def largest_capacity(instance: TensorDict) -> Tensor:
    """Of all vehicles of an instance, ``[B, 1]``."""
    return instance["capacity"].view(instance.batch_size[0], -1).amax(-1, keepdim=True)


def capacities(plain: InstanceView) -> list[float]:
    """The capacity of each vehicle."""
    return [plain.of_vehicle("capacity", vehicle) for vehicle in range(plain.depots)]
