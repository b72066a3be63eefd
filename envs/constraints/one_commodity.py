"""What was picked up may be delivered later on the same route."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView
from nco.envs.constraint import Constraint, always
from nco.envs.constraints.capacity import largest_capacity
from nco.envs.resources.travel import at_depot, of_vehicle
from nco.envs.state import State


class OneCommodity(Constraint):
    """
    One good is picked up and delivered; a vehicle leaves with any load (Hernandez-Perez 2004).

    With the load at the start free, a route is possible if the largest and the smallest sum of what
    was delivered so far (0 at the start included) differ by no more than the capacity. This is the
    rule behind the published VRPB and VRPBLTW costs of Zhou et al. (2024), not that of a VRPB.

    Instance: ``demand [B, N]``, ``backhaul [B, N]``, ``capacity [B]`` or ``[B, V]``, integers,
    compared exactly. State: ``balance [B, R]``, what was delivered less what was picked up, and its
    extremes ``most`` and ``least``.

    Features: demand and backhaul over capacity of each node; in the decoder, how much more may be
    delivered and picked up.
    """

    reads = ("demand", "backhaul", "capacity")
    scope = "route"
    node_dim = 2
    context_dim = 2

    def reversible_on(self, instance: TensorDict) -> Tensor:
        # The balances of the way back are those of the way there, less what they end with.
        return always(instance)

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        zero = instance["demand"].new_zeros(instance.batch_size[0], rollouts)
        return {"balance": zero, "most": zero, "least": zero}

    def feasible(self, state: State) -> Tensor:
        deliver, collect = self._room(state)
        net = (state.instance["demand"] - state.instance["backhaul"]).unsqueeze(1)
        return (net <= deliver.unsqueeze(-1)) & (-net <= collect.unsqueeze(-1))

    def _room(self, state: State) -> tuple[Tensor, Tensor]:
        """How much may be delivered next at most, and picked up, each ``[B, R]``."""
        capacity, balance = of_vehicle(state, "capacity"), state.parts["balance"]
        highest = state.parts["least"] + capacity
        lowest = state.parts["most"] - capacity
        return highest - balance, balance - lowest

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        net = state.instance["demand"].gather(1, action)
        balance = state.parts["balance"] + net - state.instance["backhaul"].gather(1, action)
        after = {
            "balance": balance,
            "most": torch.maximum(state.parts["most"], balance),
            "least": torch.minimum(state.parts["least"], balance),
        }
        ends = at_depot(state, action)
        return {name: torch.where(ends, 0, value) for name, value in after.items()}

    def node_features(self, instance: TensorDict) -> Tensor:
        amounts = torch.stack([instance["demand"], instance["backhaul"]], -1)
        return (amounts / largest_capacity(instance).unsqueeze(-1)).float()

    def context(self, state: State) -> Tensor:
        room = torch.stack(self._room(state), -1)
        return (room / of_vehicle(state, "capacity").unsqueeze(-1)).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        plain, found = InstanceView(instance), []
        known = list(plain.known(routes))
        for (k, route), loads in zip(known, self.loads(plain, [r for _, r in known]), strict=True):
            span, capacity = max(loads), plain.of_vehicle("capacity", route.vehicle)
            if span > capacity:
                message = f"load {span}, capacity {capacity}"
                found.append(Violation("capacity", message, route=k))
        return found

    def loads(self, plain: InstanceView, routes: Sequence[Route]) -> list[list[float]]:
        """The vehicle leaves with the least load that suffices."""
        found = []
        for route in routes:
            changes = (plain.backhaul[node] - plain.demand[node] for node in route.visits)
            sums = list(accumulate(changes, initial=0.0))
            found.append([load - min(sums) for load in sums])
        return found

    def refuses(self, plain: InstanceView, route: Route) -> Violation | None:
        capacity = plain.of_vehicle("capacity", route.vehicle)
        for node in route.visits:
            if (load := abs(plain.demand[node] - plain.backhaul[node])) > capacity:
                return Violation("capacity", f"load {load} of node {node}, capacity {capacity}")
        return None
