"""On a route, all deliveries come before all pickups."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.data.neutral import is_neutral
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView
from nco.envs.constraint import Constraint
from nco.envs.resources.travel import at_depot
from nco.envs.state import State


class LinehaulFirst(Constraint):
    """
    Nothing is delivered after a pickup where the instance says so (Goetschalckx & Jacobs 1989).

    Instance: ``demand [B, N]``, ``backhaul [B, N]`` and the flag ``linehaul_first [B]``. State:
    ``picking [B, R]``, whether the route has picked something up. Routes of pickups only are
    allowed (as in RouteFinder); `LinehaulOnEachRoute` forbids them. Loads are judged by
    `MaximumLoad`.

    Features: the flag for the encoder; in the decoder, whether deliveries are over.
    """

    reads = ("demand", "backhaul", "linehaul_first")
    vehicle_dim = 1
    stated_by = ("linehaul_first",)
    scope = "route"
    context_dim = 1

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return is_neutral(instance, "linehaul_first")

    def tables(self, instance: TensorDict) -> dict[str, Tensor]:
        first = instance["linehaul_first"].bool().unsqueeze(-1)
        return {"linehaul": (instance["demand"] > 0) & first, "pickup": instance["backhaul"] > 0}

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        shape = (instance.batch_size[0], rollouts)
        device = instance["demand"].device
        return {"picking": torch.zeros(shape, dtype=torch.bool, device=device)}

    def feasible(self, state: State) -> Tensor:
        return ~(state.parts["picking"].unsqueeze(-1) & state.tables["linehaul"].unsqueeze(1))

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        picking = state.parts["picking"] | state.tables["pickup"].gather(1, action)
        return {"picking": picking & ~at_depot(state, action)}

    def vehicle_features(self, instance: TensorDict) -> Tensor:
        flag = instance["linehaul_first"].float()[:, None, None]
        return flag.expand(-1, num_depots(instance), -1)

    def context(self, state: State) -> Tensor:
        first = state.instance["linehaul_first"].bool().unsqueeze(-1)
        return (state.parts["picking"] & first).unsqueeze(-1).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        if not bool(instance["linehaul_first"][0]):
            return []
        plain, found = InstanceView(instance), []
        demand, backhaul = plain.of_nodes("demand"), plain.of_nodes("backhaul")
        for k, route in plain.known(routes):
            picked = None
            for node in route.visits:
                if picked is not None and demand[node] > 0:
                    message = f"delivery at node {node} after the pickup at node {picked}"
                    found.append(Violation("linehaul first", message, route=k, node=node))
                    break
                if backhaul[node] > 0:
                    picked = node
        return found


class LinehaulOnEachRoute(Constraint):
    """
    No route picks up without delivering (VRPB as of Toth & Vigo 1997, and its benchmark sets).

    Belongs with `LinehaulFirst` and holds where it does: a pickup needs a delivery before it. It
    yields: whether the routes of all deliveries have room for all pickups is a packing problem.

    Instance: ``demand [B, N]``, ``backhaul [B, N]``, ``linehaul_first [B]``. State: ``delivers
    [B, R]`` and ``picks [B, R]``, what the running route has done, and ``empty handed [B, R]``,
    whether some route did only the latter.
    """

    reads = ("demand", "backhaul", "linehaul_first")
    yields = True
    scope = "route"

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return is_neutral(instance, "linehaul_first")

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        shape = (instance.batch_size[0], rollouts)
        no = torch.zeros(shape, dtype=torch.bool, device=instance["demand"].device)
        return {"delivers": no, "picks": no, "empty handed": no}

    def feasible(self, state: State) -> Tensor:
        instance = state.instance
        only = (instance["backhaul"] > 0) & (instance["demand"] == 0)
        only = only & instance["linehaul_first"].bool().unsqueeze(-1)
        return state.parts["delivers"].unsqueeze(-1) | ~only.unsqueeze(1)

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        instance, ends = state.instance, at_depot(state, action)
        delivers = state.parts["delivers"] | (instance["demand"].gather(1, action) > 0)
        picks = state.parts["picks"] | (instance["backhaul"].gather(1, action) > 0)
        wrong = picks & ~delivers & instance["linehaul_first"].bool().unsqueeze(-1)
        return {
            "delivers": delivers & ~ends,
            "picks": picks & ~ends,
            "empty handed": state.parts["empty handed"] | (wrong & ends),
        }

    def broken(self, state: State) -> Tensor:
        return state.parts["empty handed"]

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        if not bool(instance["linehaul_first"][0]):
            return []
        plain = InstanceView(instance)
        demand, backhaul = plain.of_nodes("demand"), plain.of_nodes("backhaul")
        return [
            Violation("linehaul on each route", "pickups only, expected a delivery", route=k)
            for k, route in plain.known(routes)
            if any(backhaul[node] > 0 for node in route.visits)
            and not any(demand[node] > 0 for node in route.visits)
        ]
