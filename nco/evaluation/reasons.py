"""Why customers were left out of a solution, and what would let them in."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tensordict import TensorDict

from nco.data.instance import SCHEMA
from nco.envs import Route, RoutingEnv, Violation
from nco.envs.checking.view import InstanceView

SECONDS = 2.0  # for all customers of a solution


@dataclass(frozen=True)
class Reason:
    """
    Why a customer is on no route.

    Parameters
    ----------
    node
        Of the instance.
    rule
        What is in the way, as in `Violation`; ``cost`` where it would fit, but does not pay.
    message
        One line with the numbers.
    relaxation
        The least change of the instance's bounds that was found to let it in, one line; None where
        no bound is in the way, or none can be widened.
    relaxed, routes
        That instance, and feasible routes of it with the customer; None without a relaxation.
    """

    node: int
    rule: str
    message: str
    relaxation: str | None = None
    relaxed: TensorDict | None = None
    routes: tuple[Route, ...] | None = None


def why_left_out(
    env: RoutingEnv, instance: TensorDict, routes: Sequence[Route], seconds: float = SECONDS
) -> list[Reason]:
    """
    A reason for each customer on no route, by trying it everywhere.

    Each is tried at every place of every route and on a route of its own (with the other end of
    its shipment). Of the tries, the one that breaks the fewest rules, by the least, tells the rule.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).
    routes
        A feasible solution.
    seconds
        After which customers still to try have the reasons known by then.
    """
    plain, deadline = InstanceView(instance), time.perf_counter() + seconds
    served = {node for route in routes for node in route.visits}
    cost = env.routes_cost(instance, routes)
    found = []
    for node in plain.customers:
        if node not in served:
            tried = _tries(plain, node, routes)
            found.append(_reason(env, instance, node, tried, cost, deadline))
    return found


def _tries(plain: InstanceView, node: int, routes: Sequence[Route]) -> Iterator[list[Route]]:
    """Solutions with one customer more (or the two of a shipment)."""
    kept = list(routes)
    alone = plain.alone(node, 0).visits
    for vehicle in range(plain.depots):
        yield [*kept, plain.alone(node, vehicle)]
    for k, route in enumerate(kept):
        for visits in _inserted(route.visits, alone):
            yield [*kept[:k], replace(route, visits=visits), *kept[k + 1 :]]


def _inserted(visits: tuple[int, ...], added: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Nodes at every place of a route, in their order."""
    first, *others = added
    for i in range(len(visits) + 1):
        for tail in _inserted(visits[i:], tuple(others)) if others else [visits[i:]]:
            yield (*visits[:i], first, *tail)


def _reason(
    env: RoutingEnv,
    instance: TensorDict,
    node: int,
    tries: Iterator[list[Route]],
    cost: float,
    deadline: float,
) -> Reason:
    best: tuple[tuple[float, float], Reason] | None = None
    for routes in tries:
        broken = env.check(instance, routes)
        rules = {violation.rule for violation in broken}
        if not rules:
            more = env.routes_cost(instance, routes) - cost
            rank, reason = (0.0, more), _unpaid(node, more)
        else:
            rank, reason = _obstacle(env, instance, node, routes, broken)
        if best is None or rank < best[0]:
            best = rank, reason
        if time.perf_counter() > deadline:
            break
    assert best is not None  # there is one vehicle at least
    return best[1]


def _unpaid(node: int, more: float) -> Reason:
    """Of a customer for which there is room."""
    change = f"costs {more:.10g} more" if more >= 0 else f"saves {-more:.10g}"
    return Reason(node, "cost", f"node {node} fits, and {change} than without")


def _obstacle(
    env: RoutingEnv,
    instance: TensorDict,
    node: int,
    routes: list[Route],
    broken: Sequence[Violation],
) -> tuple[tuple[float, float], Reason]:
    """Of a customer that breaks rules; ranked by their number and how much has to give."""
    rules = list(dict.fromkeys(violation.rule for violation in broken))
    message = f"with node {node}: {broken[0].message}"
    relaxed = instance
    for rule in env.constraints:
        if rule.violations(relaxed, routes):
            wider = rule.loosened(relaxed, routes)
            relaxed = relaxed if wider is None else wider
    if env.check(relaxed, routes):
        return (len(rules), float("inf")), Reason(node, rules[0], message)
    told, size = _changes(instance, relaxed)
    reason = Reason(node, ", ".join(rules), message, told, relaxed, tuple(routes))
    return (len(rules), size), reason


def _changes(instance: TensorDict, relaxed: TensorDict) -> tuple[str, float]:
    """What is different, in words, and by how much relative to what it was, in all."""
    lines, size = [], 0.0
    for name in map(str, instance.keys()):
        old, new = instance[name][0].double(), relaxed[name][0].double()
        for entry in (old != new).nonzero().tolist():
            was, now = float(old[tuple(entry)]), float(new[tuple(entry)])
            lines.append(f"{name}{_place(name, entry)} from {was:.10g} to {now:.10g}")
            size += abs(now - was) / max(abs(was), 1.0)
    return ", ".join(lines), size


def _place(name: str, entry: list[int]) -> str:
    """Which vehicle and node an entry of an attribute belongs to."""
    shape = SCHEMA[name].shape or ("V",)
    words = {"V": "vehicle", "N": "node"}
    known = [f"{words[s]} {i}" for s, i in zip(shape, entry, strict=False) if s in words]
    return f" of {' and '.join(known)}" if known else ""
