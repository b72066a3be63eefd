"""Routes from several depots, or of several kinds of vehicles; customers possibly left out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots, num_nodes
from nco.envs.checking.routes import Route, Violation
from nco.envs.component import Component
from nco.envs.normalisation import length_unit
from nco.envs.state import State, one_hot
from nco.envs.visits.base import Legs, Visits
from nco.envs.visits.depot_routes import DepotRoutes, is_open

VEHICLE = ("capacity", "fixed_cost", "unit_cost", "speed", "vehicle_count")


class FleetRoutes(Visits):
    """
    Routes from V depot nodes, each back to its own, that visit every customer once (MDVRP, HFVRP).

    A move to a depot node ends the running route and begins the next one there: see
    `nco.envs.constraints`. With one depot node the first route begins by itself, as in
    `DepotRoutes`; with more, the first move chooses its depot node. A depot node is offered only
    where somebody is left whom a vehicle from there may visit first.

    ``State.first`` is the depot node of the running route (-1 before the first). The solution is
    complete when everybody is served and the last route has ended. Where customers may be left
    out, it also is when a vehicle that has just begun a route stays where it is: a second move to
    the same depot node. ``visited`` of the depot node 0 says that the solution is complete.

    Features of depot nodes: capacity and number of vehicles as shares of the largest in the
    instance, fixed cost in the unit of lengths, cost of a unit of length, speed.

    Parameters
    ----------
    optional
        Whether customers may be left out (PCVRP, team OP).
    """

    parts = "routes"
    generalises = (DepotRoutes,)  # where customers may not be left out
    num_depots = 1
    num_context_nodes = 2
    vehicle_dim = len(VEHICLE)

    def __init__(self, optional: bool = False):
        self.optional = optional

    def serves(self, other: Component) -> dict[str, int] | None:
        return None if self.optional and not self.same_as(other) else super().serves(other)

    def depots(self, instance: TensorDict) -> int:
        return num_depots(instance)

    def reset(self, instance: TensorDict, rollouts: int) -> State:
        batch, device = instance.batch_size[0], next(iter(instance.values())).device
        current = torch.zeros(batch, rollouts, dtype=torch.long, device=device)
        first = current if num_depots(instance) == 1 else current - 1
        visited = torch.zeros(batch, rollouts, num_nodes(instance), dtype=torch.bool, device=device)
        return State(instance, current, first, visited, {}, optional=self.optional)

    def feasible(self, state: State) -> Tensor:
        depots = num_depots(state.instance)
        free = ~state.visited[..., depots:]
        own = one_hot(state.first, depots)
        over = state.visited[..., :1]
        waiting = free.any(-1, keepdim=True) & ~over
        new = _reachable(state, free)
        # On the road: home, and on with any vehicle that has a customer left; just home when
        # all customers are served, when the rollout may stop, or when no vehicle has any left.
        ends = self.optional | ~new.any(-1, keepdim=True)
        road = torch.where(waiting, new | (own & ends), own)
        begun = own & (~waiting | self.optional)
        depot = torch.where((state.current < depots).unsqueeze(-1), begun, road)
        unopened = (state.first < 0).unsqueeze(-1)
        depot = torch.where(unopened, new | ~new.any(-1, keepdim=True), depot)
        return torch.cat([depot, free & ~over & ~unopened], dim=-1)

    def step(self, state: State, action: Tensor) -> State:
        depots = num_depots(state.instance)
        home = action < depots
        served = one_hot(action, state.visited.shape[-1]) & ~home.unsqueeze(-1)
        visited = state.visited | served
        # A route that ends where it has just begun ends the solution; so does the last return.
        stays = home & (state.current < depots) & (state.first >= 0)
        over = visited[..., 0] | stays | (home & visited[..., depots:].all(-1))
        visited = torch.cat([over.unsqueeze(-1), visited[..., 1:]], dim=-1)
        first = torch.where(home, action, state.first)
        return replace(state, current=action, first=first, visited=visited)

    def done(self, state: State) -> Tensor:
        return state.visited[..., 0]

    def max_steps(self, instance: TensorDict) -> int:
        return 2 * (num_nodes(instance) - num_depots(instance)) + 2

    def context_nodes(self, state: State) -> Tensor:
        return torch.stack([state.first, state.current], dim=-1)

    def routes(self, instance: TensorDict, actions: Sequence[int]) -> tuple[Route, ...]:
        depots, stays = num_depots(instance), is_open(instance)
        routes: list[Route] = []
        visits: list[int] = []
        start = 0
        for action in (*actions, 0):
            if action >= depots:
                visits.append(action)
                continue
            if visits:
                end = None if stays else start
                routes.append(Route(tuple(visits), start, end, start))
            visits, start = [], action
        return tuple(routes)

    def actions(self, instance: TensorDict, routes: Sequence[Route]) -> list[int]:
        kept = [route for route in routes if route.visits]
        starts = [route.vehicle for route in kept]
        first = starts[:1] if num_depots(instance) > 1 else []
        # Behind each route comes the depot node of the next one, behind the last its own.
        following = [*starts[1:], *starts[-1:]]
        sequence = list(first)
        for route, after in zip(kept, following, strict=True):
            sequence += [*route.visits, after]
        served = {node for route in kept for node in route.visits}
        if len(served) < num_nodes(instance) - num_depots(instance):
            # Somebody was left out: a vehicle stays at its depot node.
            sequence += starts[-1:] or [0] * (1 + (num_depots(instance) > 1))
        return sequence

    def legs(self, instance: TensorDict, actions: Tensor) -> Legs:
        depots = num_depots(instance)
        home = actions < depots
        steps = torch.arange(actions.shape[-1], device=actions.device)
        last = torch.where(home, steps, -1).cummax(-1).values  # step of the latest depot, or -1
        before = torch.cat([torch.full_like(last[..., :1], -1), last[..., :-1]], -1)
        start = torch.where(before < 0, 0, actions.gather(-1, before.clamp_min(0)))
        if depots > 1:  # the first move is no leg
            start = torch.where(before < 0, actions[..., :1], start)
        origin = torch.cat([start[..., :1], actions[..., :-1]], -1)
        target = torch.where(home, start, actions)
        if "open_route" in instance.keys():
            stays = home & instance["open_route"].bool()[:, None, None]
            target = torch.where(stays, origin, target)
        return Legs(origin, target, start)

    def violations(self, instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
        depots, nodes, stays = num_depots(instance), num_nodes(instance), is_open(instance)
        found, counts = [], Counter[int]()
        for k, route in enumerate(routes):
            end = None if stays else route.start
            if route.start is None or not 0 <= route.start < depots or route.end != end:
                message = f"from {route.start} to {route.end}, expected "
                message += f"one of {depots} depot nodes and {'an open end' if stays else 'back'}"
                found.append(Violation("depot", message, route=k))
            elif route.vehicle != route.start:
                message = f"{route.vehicle} from depot node {route.start}, expected its own"
                found.append(Violation("vehicle", message, route=k))
            for node in route.visits:
                if not depots <= node < nodes:
                    message = f"node {node} is no customer"
                    found.append(Violation("unknown node", message, route=k, node=node))
            counts.update(route.visits)
        for node in range(depots, nodes):
            if counts[node] > 1:
                message = f"node {node} is visited {counts[node]} times, expected once"
                found.append(Violation("visited twice", message, node=node))
            elif counts[node] == 0 and not self.optional:
                found.append(Violation("not visited", f"node {node} is on no route", node=node))
        return found

    def vehicle_features(self, instance: TensorDict) -> Tensor:
        columns = [_share(instance, name) for name in VEHICLE]
        return torch.stack(columns, -1)


def _reachable(state: State, free: Tensor) -> Tensor:
    """Depot nodes whose vehicles may visit somebody first, ``[B, R, V]``: see `State.tables`."""
    if "startable" not in state.tables:  # nothing but visits is known yet
        return torch.ones_like(free[..., :1]).expand(*free.shape[:2], num_depots(state.instance))
    startable = state.tables["startable"][..., -free.shape[-1] :]
    return free.float() @ startable.float().mT > 0


def _share(instance: TensorDict, name: str) -> Tensor:
    """An attribute of the vehicles as a policy sees it, ``[B, V]``."""
    batch, depots = instance.batch_size[0], num_depots(instance)
    if name not in instance.keys():
        device = next(iter(instance.values())).device
        return torch.full((batch, depots), float(name != "fixed_cost"), device=device)
    value = instance[name].view(batch, -1).expand(-1, depots).float()
    if name == "fixed_cost":
        return value / length_unit(instance).unsqueeze(-1).float()
    if name in ("capacity", "vehicle_count"):
        return value / value.amax(-1, keepdim=True).clamp_min(1)
    return value
