"""Rules that are simple enough for a compiled loop to obey by itself."""

from dataclasses import dataclass

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.native import is_exactly
from nco.envs.checking.infeasibility import open_ways
from nco.envs.constraints.capacity import Capacity, in_single_precision
from nco.envs.env import RoutingEnv
from nco.envs.visits.depot_routes import DepotRoutes
from nco.envs.visits.tour import Tour


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


def native_rules(env: RoutingEnv, instance: TensorDict) -> NativeRules | None:
    """
    What a compiled loop needs, or None where the rules are others than it knows.

    It knows the TSP and the CVRP, on the CPU.
    """
    device = instance["locs" if "locs" in instance.keys() else "distance"].device
    if device.type != "cpu" or torch.compiler.is_compiling():
        return None
    rules, visits = env.constraints, env.visits
    if not is_exactly(env, RoutingEnv):
        return None
    tour = is_exactly(visits, Tour) and not rules
    routes = is_exactly(visits, DepotRoutes) and len(rules) == 1 and is_exactly(rules[0], Capacity)
    if not tour and not routes:
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
