"""How many vehicles there are, and how many have to leave."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Self

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView
from nco.envs.constraint import Constraint, always
from nco.envs.resources.travel import at_depot
from nco.envs.state import State, one_hot


class Fleet(Constraint):
    """
    No more routes leave from a depot node than it has vehicles (limited fleets, HVRP, team OP).

    It yields, where customers must be served: whether the vehicles left can serve all customers
    left is a packing problem. Then one vehicle more leaves, and the checker says so.

    Instance: ``vehicle_count [B, V]``. State: ``used [B, R, V]``, vehicles that have left.

    Features: in the decoder, the share of vehicles still there at the own depot node and at all.
    """

    reads = ("vehicle_count",)
    scope = "fleet"
    yields = True
    context_dim = 2

    @classmethod
    def asked(cls, stated: Collection[str]) -> Self | None:
        return cls() if "vehicle_count" in stated and "trips" not in stated else None

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return always(instance)

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        count = instance["vehicle_count"]
        return {"used": count.new_zeros(len(count), rollouts, count.shape[1])}

    def feasible(self, state: State) -> Tensor:
        depots = num_depots(state.instance)
        free = self._left(state) > 0
        own = one_hot(state.first, depots)
        # Home without a next vehicle: to end there, when all are served or may be left out.
        ends = state.visited[..., depots:].all(-1, keepdim=True) | state.optional
        leaves = (free & own).any(-1, keepdim=True) | ~at_depot(state, state.current).unsqueeze(-1)
        shape = (*free.shape[:2], state.visited.shape[-1] - depots)
        return torch.cat([free | (own & ends), leaves.expand(shape)], -1)

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        leaves = at_depot(state, state.current) & ~at_depot(state, action)
        own = one_hot(state.first, num_depots(state.instance))
        return {"used": state.parts["used"] + (own & leaves.unsqueeze(-1))}

    def broken(self, state: State) -> Tensor:
        return (self._left(state) < 0).any(-1)

    def _left(self, state: State) -> Tensor:
        """Vehicles that have not left, ``[B, R, V]``: below 0 where one more than all has."""
        return state.instance["vehicle_count"].unsqueeze(1) - state.parts["used"]

    def context(self, state: State) -> Tensor:
        count = state.instance["vehicle_count"].unsqueeze(1).double()
        left = self._left(state).clamp_min(0).double()
        own = one_hot(state.first, num_depots(state.instance))
        here = (left / count.clamp_min(1) * own).sum(-1)
        return torch.stack([here, left.sum(-1) / count.sum(-1).clamp_min(1)], -1).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        plain, found = InstanceView(instance), []
        used = Counter(route.vehicle for _, route in plain.known(routes))
        for vehicle in range(plain.depots):
            count = int(plain.of_vehicle("vehicle_count", vehicle))
            if used[vehicle] > count:
                message = f"{used[vehicle]} routes of vehicle {vehicle}, expected at most {count}"
                found.append(Violation("fleet", message))
        return found

    def most_routes(self, plain: InstanceView) -> list[float]:
        return [plain.of_vehicle("vehicle_count", vehicle) for vehicle in range(plain.depots)]

    def loosened(self, instance: TensorDict, routes: Sequence[Route]) -> TensorDict:
        used = Counter(route.vehicle for _, route in InstanceView(instance).known(routes))
        count = instance["vehicle_count"].clone()
        for vehicle, routes_of in used.items():
            count[0, vehicle] = count[0, vehicle].clamp_min(routes_of)
        return instance.clone().set("vehicle_count", count)

    def refuses(self, plain: InstanceView, route: Route) -> Violation | None:
        if plain.of_vehicle("vehicle_count", route.vehicle) > 0:
            return None
        return Violation("fleet", "no vehicles, expected at least one")


class MinimumRoutes(Constraint):
    """
    So many routes leave at least, none of them empty (the mTSP with its m salesmen).

    It yields, to rules that keep a route from ending. Instance: ``min_routes [B]``. State:
    ``left [B, R]``, routes that have visited a customer.

    Features: in the decoder, the routes still missing as a share of the customers.
    """

    reads = ("min_routes",)
    stated_by = ("min_routes",)
    scope = "solution"
    yields = True
    context_dim = 1

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return always(instance)

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        return {"left": instance["min_routes"].new_zeros(instance.batch_size[0], rollouts)}

    def feasible(self, state: State) -> Tensor:
        depots = num_depots(state.instance)
        waiting = (~state.visited[..., depots:]).sum(-1)
        # Every missing route needs a customer of its own.
        goes_on = at_depot(state, state.current) | (waiting > self._missing(state))
        shape = (*waiting.shape, state.visited.shape[-1])
        fits = goes_on.unsqueeze(-1).expand(shape).clone()
        # Nor does a solution end without the missing routes.
        starts = at_depot(state, state.current) & (self._missing(state) > 0)
        fits[..., :depots] = ~(starts & state.optional & (state.first >= 0)).unsqueeze(-1)
        return fits

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        leaves = at_depot(state, state.current) & ~at_depot(state, action)
        return {"left": state.parts["left"] + leaves}

    def broken(self, state: State) -> Tensor:
        return self._missing(state) > 0

    def _missing(self, state: State) -> Tensor:
        """Routes that still have to leave, ``[B, R]``."""
        return state.instance["min_routes"].unsqueeze(-1) - state.parts["left"]

    def context(self, state: State) -> Tensor:
        nodes = state.visited.shape[-1]
        return (self._missing(state).clamp_min(0) / nodes).unsqueeze(-1).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        driven = sum(1 for route in routes if route.visits)
        least = int(instance["min_routes"][0])
        if driven >= least:
            return []
        return [Violation("minimum routes", f"{driven} routes, expected at least {least}")]

    def impossible(self, instance: TensorDict) -> list[Violation]:
        customers, least = len(InstanceView(instance).customers), int(instance["min_routes"][0])
        if customers >= least:
            return []
        return [Violation("minimum routes", f"{customers} customers, expected at least {least}")]
