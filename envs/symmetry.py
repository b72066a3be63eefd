"""In how many ways the same routes can be driven, also where a batch mixes problems."""

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_nodes
from nco.envs.env import RoutingEnv
from nco.envs.state import one_hot
from nco.envs.visits.depot_routes import DepotRoutes, shuffled_blocks
from nco.envs.visits.fleet_routes import FleetRoutes


def turnable(env: RoutingEnv, instance: TensorDict) -> Tensor:
    """
    Whether every route may be driven backwards at the same cost, ``[B]`` bool.

    By instance: a rule that sees the direction may have nothing to say on some.
    """
    free = torch.full((len(instance),), env.objective.reversible, device=instance.device)
    for rule in env.constraints:
        free = free & rule.reversible_on(instance)
    if "distance" in instance.keys():
        free = free & (instance["distance"] == instance["distance"].mT).flatten(1).all(-1)
    return free


def shuffled(
    env: RoutingEnv, instance: TensorDict, actions: Tensor, rng: torch.Generator
) -> Tensor:
    """
    Another way to drive the same routes, drawn at random; ``actions [B, R, T]``.

    The order of routes is free, and the direction where it is (`turnable`), instance by instance;
    where nothing is known to be free, the way is the same.
    """
    turns = turnable(env, instance).to(actions.device)
    if not isinstance(env.visits, FleetRoutes):
        return env.visits.shuffled(actions, turns, rng)
    depots = env.visits.depots(instance)
    if _bound(env):
        return actions
    if depots == 1:  # as routes from the only depot
        return DepotRoutes().shuffled(actions, turns, rng)
    return _shuffled_blocks(actions, depots, turns, rng)


def answers(env: RoutingEnv, instance: TensorDict, actions: Tensor) -> Tensor:
    """
    Which nodes would continue the same routes at every step, ``[B, R, T, N]`` bool.

    See `nco.envs.base.Visits.answers`; with the freedom of `shuffled`.
    """
    turns = turnable(env, instance).to(actions.device)
    if not isinstance(env.visits, FleetRoutes):
        return env.visits.answers(instance, actions, turns)
    depots = env.visits.depots(instance)
    if _bound(env):
        return one_hot(actions, num_nodes(instance))
    if depots == 1:
        return DepotRoutes().answers(instance, actions, turns)
    return _answers_of_blocks(actions, depots, turns, num_nodes(instance))


def _bound(env: RoutingEnv) -> bool:
    """Whether the order of routes counts, or customers may be left out."""
    return env.visits.optional or any(rule.trips for rule in env.constraints)


def _shuffled_blocks(actions: Tensor, depots: int, turns: Tensor, rng: torch.Generator) -> Tensor:
    """With several depot nodes: each opens the block of its route, the last one ends it all."""
    home = actions < depots
    mixed = shuffled_blocks(actions, home, home.long().cumsum(-1) - 1, True, turns, rng)
    steps = torch.arange(actions.shape[-1], device=actions.device).expand(actions.shape)
    # Behind the last customer, the vehicle returns to the depot node of its own block.
    opened = torch.where(mixed < depots, steps, 0).cummax(-1).values
    last = (torch.where(mixed < depots, -1, steps)).amax(-1, keepdim=True)
    own = mixed.gather(-1, opened.gather(-1, last.clamp_min(0)))
    return torch.where(steps > last, own, mixed)


def _answers_of_blocks(actions: Tensor, depots: int, turns: Tensor, nodes: int) -> Tensor:
    right = one_hot(actions, nodes)
    home = actions < depots
    before = torch.cat([torch.zeros_like(home[..., :1]), home[..., :-1]], -1)
    after = torch.cat([home[..., 1:], torch.ones_like(home[..., :1])], -1)
    opens = home & ~after
    leaves = before & ~home
    ends = leaves | (after & ~home & turns[:, None, None])
    steps = torch.arange(actions.shape[-1], device=actions.device).expand(actions.shape)
    start = actions.gather(-1, torch.where(home, steps, 0).cummax(-1).values)  # depot of the block
    found = torch.where(opens.unsqueeze(-1), _ahead(right & opens.unsqueeze(-1)), right)
    for depot in range(depots):
        own = start == depot
        choice = _ahead(right & (ends & own).unsqueeze(-1))
        found = torch.where((leaves & own).unsqueeze(-1), choice, found)
    return found


def _ahead(flags: Tensor) -> Tensor:
    """Whether a flag ``[B, R, T, N]`` is set at this step or a later one."""
    return flags.flip(-2).cumsum(-2).flip(-2) > 0
