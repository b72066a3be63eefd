"""
Sub-problems: parts of a solution that are solved anew, each as an instance of its own.

Where every rule speaks of one route at a time, or of how many routes there are, and the cost is a
sum over routes, some routes of a solution are a solution of their customers, whatever the other
routes do (POPMUSIC: Taillard and Voss 2002; CL-LNS: Feijen et al. 2024, "Learning-enhanced
neighborhood selection for the vehicle routing problem with time windows"). A tour without depot is
cut into paths, whose two ends stay. What allows it, rules, visits and objectives state themselves:
`Constraint.scope`, `Visits.parts`, `Objective.additive`.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.instance import SCHEMA, num_depots, num_nodes
from nco.data.subinstance import selected
from nco.envs import Route, RoutingEnv

Routes = tuple[Route, ...]


def obstacles(env: RoutingEnv) -> list[str]:
    """Names of the components that keep some routes from being a solution of their customers."""
    odd: list[object] = [] if env.visits.parts == "routes" else [env.visits]
    odd += [rule for rule in env.constraints if rule.scope == "solution"]
    odd += [] if env.objective.additive else [env.objective]
    return [type(part).__name__ for part in odd]


def separable(env: RoutingEnv, instance: TensorDict) -> bool:
    """Whether neighbouring routes of a solution can be solved on their own."""
    return "locs" in instance.keys() and not obstacles(env)


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
        objective = [] if env.objective.of_legs else [env.objective]
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
        # Partners of shipments would need numbers of their own.
        whole = [r for r in env.constraints if any(SCHEMA[name].whole for name in r.reads)]
        names = [type(rule).__name__ for rule in whole]
        names += [type(env.visits).__name__] if env.visits.optional else []
        return list(dict.fromkeys(obstacles(env) + names))

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


def _group(routes: Routes, group: Sequence[int], depots: int, row: int) -> Piece:
    customers = [node for k in group for node in routes[k].visits]
    number = {node: depots + i for i, node in enumerate(customers)}
    local = tuple(
        replace(routes[k], visits=tuple(number[node] for node in routes[k].visits)) for k in group
    )
    return Piece(row, (*range(depots), *customers), local, (), tuple(group))


CUTS: dict[str | None, Cut] = {"paths": TourCut(), "routes": RoutesCut()}  # by `Visits.parts`


def find_cut(env: RoutingEnv) -> Cut:
    """
    How solutions of an environment are cut.

    Raises
    ------
    InputError
        A part of them is no solution by itself; the message names the rules.
    """
    cut = CUTS.get(env.visits.parts)
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
    cut = CUTS.get(env.visits.parts)
    depots = env.visits.depots(instance)
    limited = any(rule.scope == "fleet" for rule in env.constraints)
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


def nodes_of(instance: TensorDict, customers: Sequence[int]) -> list[int]:
    """The nodes of the instance of a part: all depot nodes, then customers."""
    return [*range(num_depots(instance)), *customers]


def restrict(
    instance: TensorDict, nodes: Sequence[int], away: Mapping[int, int] | None = None
) -> TensorDict:
    """
    The instance of a part.

    Parameters
    ----------
    instance
        Batch size 1.
    nodes
        Nodes of the part in order, see `nodes_of`; with the pickup of a shipment its delivery.
    away
        Vehicles of each depot node that drive routes of the rest.
    """
    device = next(iter(instance.values())).device
    row = torch.zeros(1, dtype=torch.long, device=device)
    part = selected(instance, row, torch.tensor([list(nodes)], device=device))
    if "delivery" in part.keys():
        place = {node: k for k, node in enumerate(nodes)}
        targets = part["delivery"][0].tolist()
        part["delivery"] = torch.tensor([[place.get(node, 0) for node in targets]])
    if "vehicle_count" in part.keys():
        count = part["vehicle_count"]
        gone = torch.tensor([(away or {}).get(v, 0) for v in range(count.shape[1])])
        part["vehicle_count"] = (count - gone).clamp_min(0)
    return part


def vehicles_away(
    instance: TensorDict,
    mine: Sequence[Route],
    others: Sequence[Route],
    share: tuple[int, int] | None,
) -> dict[int, int]:
    """
    Vehicles of each depot node that a part may not use.

    Parameters
    ----------
    instance
        Batch size 1.
    mine, others
        Routes of the part, and of the rest.
    share
        Of the unused vehicles: (k, m) for the k-th of m parts that are solved at once,
        None for nothing. The shares of all parts are all of these vehicles, and never more.
    """
    away = Counter(route.vehicle for route in others)
    if "vehicle_count" not in instance.keys():
        return dict(away)
    driven = Counter(route.vehicle for route in mine)
    for vehicle, count in enumerate(instance["vehicle_count"][0].tolist()):
        spare = max(0, count - driven[vehicle] - away[vehicle])
        away[vehicle] += spare - (0 if share is None else len(range(share[0], spare, share[1])))
    return dict(away)


def into_part(routes: Sequence[Route], nodes: Sequence[int]) -> tuple[Route, ...]:
    """Routes of the whole instance in the nodes of a part."""
    place = {node: k for k, node in enumerate(nodes)}
    return tuple(replace(r, visits=tuple(place[node] for node in r.visits)) for r in routes)


def out_of_part(routes: Sequence[Route], nodes: Sequence[int]) -> tuple[Route, ...]:
    """The inverse of `into_part`."""
    return tuple(replace(r, visits=tuple(nodes[k] for k in r.visits)) for r in routes)
