"""Why an instance has no solution, by rule and node, before any solver starts."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_nodes
from nco.envs.checking.routes import Route, Violation
from nco.envs.checking.shortest_ways import ShortestWays
from nco.envs.checking.view import InstanceView, stops_of
from nco.envs.constraint import Constraint

UNREACHABLE = "unreachable"


def unservable_customers(instance: TensorDict, rules: Sequence[Constraint]) -> list[Violation]:
    """
    Customers that no vehicle can serve, whatever else it does; batch size 1.

    Named by the rule that refuses all vehicles, or, where each vehicle fails by another rule, by
    ``vehicles``. A rule refuses where the route for the customer alone breaks it even on the
    shortest ways over other customers: a detour may be shorter than the direct leg.
    """
    plain, shortest, found = InstanceView(instance), ShortestWays(instance), []
    for node in plain.customers if rules else ():
        reasons: list[list[Violation | None]] = []
        for vehicle in range(plain.depots):
            route = plain.alone(node, vehicle)
            reasons.append([_refusal(rule, plain, shortest, route) for rule in rules])
            if not any(reasons[-1]):
                break
        if not any(reasons[-1]):  # this vehicle can
            continue
        by_rule = [list(each) for each in zip(*reasons, strict=True)]
        general = [each for each in by_rule if all(reason is not None for reason in each)]
        for each in general:
            found.append(_told(each, node))
        if general:
            continue
        firsts = [next((r for r in each if r is not None), None) for each in reasons]
        if all(reason is not None for reason in firsts):
            found.append(replace(_told(firsts, node), rule="vehicles"))
    return found


def too_much(instance: TensorDict, rules: Sequence[Constraint]) -> list[Violation]:
    """
    Amounts of all customers that all vehicles together cannot take; batch size 1.

    One for each amount, named by the rule that bounds it; none where nothing bounds the routes.
    """
    plain, found = InstanceView(instance), []
    known = [most for rule in rules if (most := rule.most_routes(plain)) is not None]
    if not known or any(rule.trips for rule in rules):
        return []
    routes = [min(counts) for counts in zip(*known, strict=True)]
    for rule in rules:
        for name, (amount, each) in rule.totals(plain).items():
            room = sum(count * most for count, most in zip(routes, each, strict=True))
            if amount > room:
                vehicles = f"capacity {room:g} of all {sum(routes):g} vehicles"
                message = f"{name} {amount:g} of all customers, {vehicles}"
                found.append(Violation("capacity", message))
    return found


def _refusal(
    rule: Constraint, plain: InstanceView, shortest: ShortestWays, route: Route
) -> Violation | None:
    """Why a rule refuses every route with these stops, told of the direct one if that is so."""
    direct = rule.refuses(plain, route)
    least = None if direct is None else rule.refuses(shortest, route)
    if direct is None or least is None or direct == least:
        return least
    return replace(least, message=f"{least.message} (by the shortest ways)")


def _told(reasons: Sequence[Violation | None], node: int) -> Violation:
    """One reason for each vehicle, in one line."""
    given = [reason for reason in reasons if reason is not None]
    messages = [reason.message for reason in given]
    if len(set(messages)) > 1:
        messages = [f"vehicle {v}: {message}" for v, message in enumerate(messages)]
        more = f"; and {len(messages) - 3} more" if len(messages) > 3 else ""
        return replace(given[0], message="; ".join(messages[:3]) + more, node=node)
    return replace(given[0], message=messages[0], node=node)


def open_ways(instance: TensorDict) -> Tensor | None:
    """Where there is a way, ``[B, N, N]`` bool; None where there is one everywhere."""
    given = [instance[name] for name in ("distance", "duration") if name in instance.keys()]
    finite = [value.isfinite() for value in given]
    if not finite or all(bool(value.all()) for value in finite):
        return None
    return torch.stack(finite).all(0)


def unreachable(instance: TensorDict, depots: int) -> list[Violation]:
    """
    Nodes to which no way leads from any depot node, or from which none leads back; batch size 1.

    Parameters
    ----------
    depots
        Number of depot nodes; 0 for a tour without depot, which has to get from node 0 to all
        others and back.
    """
    ways = open_ways(instance)
    if ways is None:
        return []
    starts = max(depots, 1)
    there, back = _reach(ways[0], starts), _reach(ways[0].mT, starts)
    if "open_route" in instance.keys() and bool(instance["open_route"][0]):
        back = torch.ones_like(back)
    found = []
    for node in range(starts, num_nodes(instance)):
        if not bool((there[:, node] & back[:, node]).any()):
            what = "to" if not bool(there[:, node].any()) else "back from"
            found.append(Violation(UNREACHABLE, f"no way {what} node {node}", node=node))
    return found


def _reach(ways: Tensor, starts: int) -> Tensor:
    """Where one gets from the first nodes, over any others: ``[starts, N]`` bool."""
    reached = torch.eye(starts, len(ways), dtype=torch.bool, device=ways.device)
    for _ in range(len(ways)):
        further = reached | (reached.float() @ ways.float() > 0)
        if bool((further == reached).all()):
            break
        reached = further
    return reached


def missing_ways(instance: TensorDict, routes: Sequence[Route]) -> list[Violation]:
    """Legs of finished routes along which no way leads; batch size 1."""
    if open_ways(instance) is None:
        return []
    plain, found = InstanceView(instance), []
    for k, route in plain.known(routes):
        for origin, target in pairwise(stops_of(route)):
            length = plain.lengths([origin, target])[0] + plain.times([origin, target])[0]
            if not abs(length) < float("inf"):
                message = f"no way from node {origin} to node {target}"
                found.append(Violation(UNREACHABLE, message, route=k, node=target))
    return found
