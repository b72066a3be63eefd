"""Some vehicles may not visit some nodes."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.view import InstanceView
from nco.envs.constraint import Constraint, always
from nco.envs.resources.travel import pick_rows
from nco.envs.state import State


class AllowedVehicles(Constraint):
    """
    A vehicle visits only nodes that it may visit (site dependence, zones, skills).

    Instance: the flags ``allowed [B, V, N]``. With shipments, a pickup needs a vehicle that may
    make the delivery too.

    Features: of each node the share of vehicles that may visit it; what the running route's may is
    in the mask.
    """

    reads = ("allowed",)
    stated_by = ("allowed",)
    scope = "route"
    node_dim = 1

    def reversible_on(self, instance: TensorDict) -> Tensor:
        return always(instance)

    def tables(self, instance: TensorDict) -> dict[str, Tensor]:
        allowed = instance["allowed"].bool()
        if "delivery" in instance.keys():
            target = instance["delivery"].unsqueeze(1)
            there = allowed.gather(-1, target.expand(-1, allowed.shape[1], -1))
            allowed = allowed & (there | (target == 0))
        depots = num_depots(instance)
        home = torch.ones_like(allowed[..., :depots])
        return {"allowed": torch.cat([home, allowed[..., depots:]], -1)}

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        return {}

    def feasible(self, state: State) -> Tensor:
        return pick_rows(state.tables["allowed"], state.first.clamp_min(0))

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        return {}

    def node_features(self, instance: TensorDict) -> Tensor:
        return instance["allowed"].float().mean(1).unsqueeze(-1)

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        plain, allowed = InstanceView(instance), instance["allowed"][0].tolist()
        return [
            Violation("allowed vehicles", f"node {node}, vehicle {r.vehicle}", route=k, node=node)
            for k, r in plain.known(routes)
            for node in r.visits
            if not allowed[r.vehicle][node]
        ]

    def loosened(self, instance: TensorDict, routes: Sequence[Route]) -> TensorDict:
        allowed = instance["allowed"].clone()
        for _, route in InstanceView(instance).known(routes):
            allowed[0, route.vehicle, list(route.visits)] = 1
        return instance.clone().set("allowed", allowed)

    def refuses(self, plain: InstanceView, route: Route) -> Violation | None:
        for node in route.visits:
            if not plain.allowed[route.vehicle][node]:
                return Violation("allowed vehicles", f"no vehicle that may visit node {node}")
        return None
