"""The length of a route is bounded."""

from collections.abc import Sequence

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_nodes
from nco.data.metric import leg, legs_from
from nco.envs.base import Constraint, State
from nco.envs.features import length_unit
from nco.envs.objectives.distance import path
from nco.envs.routes import Route, Violation


class DistanceLimit(Constraint):
    """
    A route is at most so long, the way back to the depot (node 0) included (OP; CMT's sets).

    Instance: ``distance_limit [B]``. State: ``length [B, R]``, driven since the depot.

    Exactness: a leg has the metric and precision of the instance, the legs of a route are added
    in double precision in the order driven, and that sum is compared with the limit as it is. The
    mask tests the same sum, way back included, so that mask and check agree to the last bit. (The
    code of Kool et al. keeps 1e-6 away from the limit instead.)

    Features: the remaining length in the decoder, in the unit of the policy's coordinates (Kool
    et al. 2019, appendix D).
    """

    reads = ("distance_limit",)
    context_dim = 1

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        limit = instance["distance_limit"]
        length = torch.zeros(len(limit), rollouts, dtype=torch.double, device=limit.device)
        unit = length_unit(instance).double().unsqueeze(-1)
        return {"length": length, "length_unit": unit.expand(-1, rollouts)}

    def feasible(self, state: State) -> Tensor:
        there = legs_from(state.instance, state.current).double()
        there = state.parts["length"].unsqueeze(-1) + there
        fits = there + _back(state.instance) <= state.instance["distance_limit"][:, None, None]
        # The way back was tested on the way out; and a rollout waits at the depot for free.
        return torch.cat([torch.ones_like(fits[..., :1]), fits[..., 1:]], dim=-1)

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        driven = leg(state.instance, state.current, action).double()
        length = torch.where(action == 0, 0, state.parts["length"] + driven)
        return {"length": length, "length_unit": state.parts["length_unit"]}

    def context(self, state: State) -> Tensor:
        left = state.instance["distance_limit"].unsqueeze(-1) - state.parts["length"]
        left = left.nan_to_num(posinf=0)  # no limit
        return (left / state.parts["length_unit"]).unsqueeze(-1).float()

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        limit, nodes = float(instance["distance_limit"][0]), range(num_nodes(instance))
        found = []
        for k, route in enumerate(routes):
            stops = path(route)
            if any(node not in nodes for node in stops):
                continue  # the visits complain of it
            pairs = torch.tensor([stops[:-1], stops[1:]]).unsqueeze(1)
            length = 0.0
            for distance in leg(instance, pairs[0], pairs[1])[0].tolist():
                length += distance
            if length > limit:
                message = f"length {length}, limit {limit}"
                found.append(Violation("distance limit", message, route=k))
        return found

    def impossible(self, instance: TensorDict) -> list[Violation]:
        there = legs_from(instance, torch.zeros(1, 1, dtype=torch.long)).double()
        length = (there + _back(instance))[0, 0].tolist()
        limit = float(instance["distance_limit"][0])
        return [
            Violation("distance limit", f"there and back {way}, limit {limit}", node=node)
            for node, way in enumerate(length)
            if node and way > limit
        ]


def _back(instance: TensorDict) -> Tensor:
    """Way back to the depot from every node, ``[B, 1, N]``."""
    nodes = torch.arange(num_nodes(instance), device=instance["distance_limit"].device)
    nodes = nodes.expand(len(instance["distance_limit"]), -1)
    return leg(instance, nodes, torch.zeros_like(nodes)).double().unsqueeze(1)
