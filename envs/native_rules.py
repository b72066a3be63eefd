"""Rules that are simple enough for a compiled loop to obey by itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.envs.checking.infeasibility import open_ways
from nco.envs.constraints.capacity import Capacity, in_single_precision
from nco.envs.visits.depot_routes import DepotRoutes
from nco.envs.visits.tour import Tour

if TYPE_CHECKING:
    from nco.envs.env import RoutingEnv


@dataclass(frozen=True)
class NativeRules:
    """
    All that decides where rollouts may go: once to every node, home at any time, bounded loads.

    Parameters
    ----------
    demand
        ``[B, N]`` in single precision, but whole numbers; None for tours without depot.
    capacity
        ``[B]``; None for tours without depot.
    """

    demand: Tensor | None = None
    capacity: Tensor | None = None


def native_rules(env: "RoutingEnv", instance: TensorDict) -> NativeRules | None:
    """
    What a compiled loop needs, or None where the rules are others than it knows.

    It knows the TSP and the CVRP, on the CPU.
    """
    rules = [type(rule) for rule in env.constraints]
    device = instance["locs" if "locs" in instance.keys() else "distance"].device
    if device.type != "cpu" or torch.compiler.is_compiling():
        return None
    tour = type(env.visits) is Tour and not rules
    if not tour and (type(env.visits) is not DepotRoutes or rules != [Capacity]):
        return None
    if open_ways(instance) is not None:
        return None
    if tour:
        return NativeRules()
    capacity = instance["capacity"]
    if capacity.ndim != 1:
        return None
    demand = in_single_precision(instance)
    return None if demand is None else NativeRules(demand.contiguous(), capacity.contiguous())
