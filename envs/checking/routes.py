"""A finished solution in plain numbers, and what can be wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Route:
    """
    What one vehicle drives.

    Parameters
    ----------
    visits
        Customers in order, as node indices of the instance (for a tour without a depot: all nodes).
    start, end
        The depots it leaves from and returns to; None where there is none (``start`` and ``end`` of
        a closed tour without depot, ``end`` of an open route).
    vehicle
        Index of the vehicle or vehicle type.
    """

    visits: tuple[int, ...]
    start: int | None = 0
    end: int | None = 0
    vehicle: int = 0


@dataclass(frozen=True)
class Violation:
    """
    One broken rule.

    Parameters
    ----------
    rule
        Short name of the rule: ``visited twice``, ``not visited``, ``capacity``, ``time window``.
    message
        One line for a person, with the amount found and the bound.
    route
        Index of the route, where the rule speaks of one.
    node
        Node of the instance, where the rule speaks of one.
    """

    rule: str
    message: str
    route: int | None = None
    node: int | None = None


def drop_empty(routes: Sequence[Route]) -> tuple[Route, ...]:
    """The routes that are not empty."""
    return tuple(route for route in routes if route.visits)
