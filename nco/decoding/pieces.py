"""
Cutting solutions into pieces that can be solved anew, each as an instance of its own.

Where every rule and every term of the cost speaks of one route at a time, some routes of a
solution are a solution of their customers, whatever the other routes do; so the pieces are groups
of neighbouring routes. A tour without depot is cut into paths, whose two ends stay.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.envs import DepotRoutes, FleetRoutes, Route, RoutingEnv, Tour
from nco.envs.constraints import (
    AllowedVehicles,
    Capacity,
    DistanceLimit,
    DurationLimit,
    Fleet,
    LinehaulFirst,
    MaximumLoad,
    OneCommodity,
    OpenRoutes,
    SinglePrecisionCapacity,
    TimeWindows,
)
from nco.envs.objectives import Distance, Duration, FleetCost, Preference, Total

Routes = tuple[Route, ...]

# Rules that judge each route by itself; of a fleet, the pieces keep the vehicles that they use.
SINGLE = {
    *(AllowedVehicles, Capacity, DistanceLimit, DurationLimit, Fleet, LinehaulFirst),
    *(MaximumLoad, OneCommodity, OpenRoutes, SinglePrecisionCapacity, TimeWindows),
}
SUMS = {Distance, Duration, FleetCost, Preference}  # costs that are sums over routes


@dataclass(frozen=True)
class Piece:
    """
    A part of one solution.

    Parameters
    ----------
    row
        Which instance of the batch.
    nodes
        Its nodes in the instance, the depot nodes first. Pieces number them from 0.
    routes
        How the solution visits them, in the piece's numbers; none if they are unvisited yet.
    prefix
        First moves that are not to be changed, in the piece's numbers.
    place
        Where it goes: numbers of the routes, or of the first node of the path.
    """

    row: int
    nodes: tuple[int, ...]
    routes: Routes
    prefix: tuple[int, ...]
    place: tuple[int, ...]

    def vehicles(self, depots: int) -> list[int]:
        """Routes of each depot node."""
        used = Counter(route.vehicle for route in self.routes)
        return [used[depot] for depot in range(depots)]


class Cut(ABC):
    """A way to cut solutions of one shape."""

    @abstractmethod
    def obstacles(self, env: RoutingEnv) -> list[str]:
        """Names of the parts of an environment that speak of more than a piece."""

    @abstractmethod
    def cut(
        self, routes: Routes, coords: Tensor, depots: int, row: int, size: int, rng: torch.Generator
    ) -> tuple[Routes, list[Piece]]:
        """
        Cuts one solution into disjoint pieces of about ``size`` customers.

        Parameters
        ----------
        routes
            The solution.
        coords, depots
            Of its instance: coordinates ``[N, 2]`` and number of depot nodes.
        row
            For the pieces.
        rng
            What decides where to cut.

        Returns
        -------
        tuple
            The same solution, perhaps written in another way, and pieces of that.
        """

    @abstractmethod
    def paste(self, routes: Routes, found: Sequence[tuple[Piece, Routes]]) -> Routes:
        """Puts new routes, in the numbers of their pieces, in the place of the old ones."""


class TourCut(Cut):
    """
    Paths of one tour.

    A path a, ..., b is posed as the tour b, a, ... through the same nodes whose first two moves
    are imposed: its length is that of the path plus the fixed leg from b to a.
    """

    def obstacles(self, env: RoutingEnv) -> list[str]:
        objective = [] if type(env.objective) is Distance else [env.objective]
        return [type(part).__name__ for part in (*env.constraints, *objective)]

    def cut(
        self, routes: Routes, coords: Tensor, depots: int, row: int, size: int, rng: torch.Generator
    ) -> tuple[Routes, list[Piece]]:
        (route,) = routes
        count = len(route.visits)
        length = min(max(size, 4), count)
        begin = int(torch.randint(count, (), generator=rng, device=rng.device))
        order = route.visits[begin:] + route.visits[:begin]
        tour = Route((length - 1, *range(length - 1)), None, None)
        pieces = [
            Piece(row, order[at : at + length], (tour,), (length - 1, 0), (at,))
            for at in range(0, count - length + 1, length)
        ]
        return (replace(route, visits=order),), pieces

    def paste(self, routes: Routes, found: Sequence[tuple[Piece, Routes]]) -> Routes:
        (route,) = routes
        order = list(route.visits)
        for piece, (tour,) in found:
            last, *path = tour.visits
            (at,) = piece.place
            order[at : at + len(piece.nodes)] = [piece.nodes[node] for node in (*path, last)]
        return (replace(route, visits=tuple(order)),)


class RoutesCut(Cut):
    """Groups of neighbouring routes: at least two where there are two."""

    def obstacles(self, env: RoutingEnv) -> list[str]:
        odd = [rule for rule in env.constraints if type(rule) not in SINGLE]
        # The partner of a shipment has to be in the piece.
        odd += [rule for rule in env.constraints if "delivery" in rule.reads and rule not in odd]
        names = [type(rule).__name__ for rule in odd]
        names += [type(env.visits).__name__] if env.visits.optional else []
        return names + ([] if _sums(env.objective) else [type(env.objective).__name__])

    def cut(
        self, routes: Routes, coords: Tensor, depots: int, row: int, size: int, rng: torch.Generator
    ) -> tuple[Routes, list[Piece]]:
        kept = tuple(route for route in routes if route.visits)
        centres = torch.stack([coords[list(route.visits)].mean(0) for route in kept])
        order = torch.randperm(len(kept), generator=rng, device=rng.device).tolist()
        free = dict.fromkeys(order)  # a set that keeps its order
        pieces = []
        while free:
            seed = next(iter(free))
            rest = list(free)
            apart = (centres[rest] - centres[seed]).norm(dim=-1)
            group: list[int] = []
            count = 0
            for k in apart.argsort(stable=True).tolist():
                visits = len(kept[rest[k]].visits)
                if len(group) > 1 and count + visits > size:
                    break
                group.append(rest[k])
                count += visits
            for k in group:
                del free[k]
            pieces.append(_group(kept, group, depots, row))
        return kept, pieces

    def paste(self, routes: Routes, found: Sequence[tuple[Piece, Routes]]) -> Routes:
        gone = {k for piece, _ in found for k in piece.place}
        pasted = [route for k, route in enumerate(routes) if k not in gone]
        for piece, new in found:
            pasted += [
                replace(route, visits=tuple(piece.nodes[node] for node in route.visits))
                for route in new
            ]
        return tuple(pasted)


def _sums(objective: object) -> bool:
    """Whether a cost is the sum of the costs of all routes."""
    if isinstance(objective, Total):
        return all(map(_sums, objective.terms))
    if isinstance(objective, FleetCost) and objective.trips:
        return False
    return type(objective) in SUMS


def _group(routes: Routes, group: Sequence[int], depots: int, row: int) -> Piece:
    customers = [node for k in group for node in routes[k].visits]
    number = {node: depots + i for i, node in enumerate(customers)}
    local = tuple(
        replace(routes[k], visits=tuple(number[node] for node in routes[k].visits)) for k in group
    )
    return Piece(row, (*range(depots), *customers), local, (), tuple(group))


CUTS: dict[type, Cut] = {Tour: TourCut(), DepotRoutes: RoutesCut(), FleetRoutes: RoutesCut()}


def find_cut(env: RoutingEnv) -> Cut:
    """
    How solutions of an environment are cut.

    Raises
    ------
    InputError
        A part of them is no solution by itself; the message names the rules.
    """
    cut = CUTS.get(type(env.visits))
    odd = [type(env.visits).__name__] if cut is None else cut.obstacles(env)
    if cut is None or odd:
        raise InputError(f"re-construction cannot cut solutions with {', '.join(odd)}")
    return cut


def sectors(env: RoutingEnv, instance: TensorDict, coords: Tensor, size: int) -> list[Piece]:
    """
    Customers by their angle around the depot, in equal parts of at most ``size``.

    They are pieces of no solution yet: solved each by itself, they make one. For instances with
    one depot node, an unlimited number of routes and a `Cut`; elsewhere none.
    """
    cut = CUTS.get(type(env.visits))
    depots = env.visits.depots(instance)
    limited = any(type(rule) is Fleet for rule in env.constraints)
    if not isinstance(cut, RoutesCut) or cut.obstacles(env) or depots != 1 or limited:
        return []
    apart = coords[:, depots:] - coords[:, :depots].mean(1, keepdim=True)
    angle = torch.atan2(apart[..., 1], apart[..., 0])
    customers = num_nodes(instance) - depots
    parts = -(-customers // size)
    pieces = []
    for row, order in enumerate((angle.argsort(-1) + depots).tolist()):
        bounds = [customers * k // parts for k in range(parts + 1)]
        for begin, end in pairwise(bounds):
            pieces.append(Piece(row, (*range(depots), *order[begin:end]), (), (), ()))
    return pieces
