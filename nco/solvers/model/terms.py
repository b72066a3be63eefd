"""
What a rule is made of in the model of a classical solver: terms that its row gives.

A row is a function of what is `Given` and the rule; it changes nothing, and the solver's ``build``
collects the terms of all rules. The terms here are those that OR-Tools and PyVRP both know, so that
one row may serve both; each solver has more of its own beside its rows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.instance import SCHEMA
from nco.data.registry import Registry
from nco.envs import RoutingEnv
from nco.solvers.model.costs import Costs
from nco.solvers.model.vehicles import VehicleModel


class Term:
    """A part of a model."""


@dataclass(frozen=True)
class Load(Term):
    """
    What a vehicle carries, within its capacity at every moment of a route.

    Parameters
    ----------
    name
        Tells loads apart.
    deliver, collect
        Integer amounts of each node ``[N]``: aboard from the start to the node, and from there to
        the end.
    capacity
        Of each kind of vehicle ``[V]``.
    shipped
        ``[N]``, amounts of shipments, at their pickups.
    """

    name: str
    deliver: tuple[int, ...]
    collect: tuple[int, ...]
    capacity: tuple[int, ...]
    shipped: tuple[int, ...]


@dataclass(frozen=True)
class Vehicles(Term):
    """At most so many vehicles of each kind, ``count [V]``."""

    count: tuple[int, ...]


@dataclass(frozen=True)
class Forbidden(Term):
    """
    Legs ``[N, N]`` that a kind of vehicle may not drive.

    Parameters
    ----------
    legs
        Flags, row = from, column = to.
    kind
        Of vehicle; None for all.
    """

    legs: NDArray[np.bool_]
    kind: int | None = None


@dataclass(frozen=True)
class Timed(Term):
    """
    Windows are kept, waiting and services taken into account.

    Parameters
    ----------
    release
        Whether routes wait for the release of what they carry.
    """

    release: bool = False


@dataclass(frozen=True)
class Given:
    """
    What rows look at.

    Parameters
    ----------
    solver
        Name of the solver, for messages.
    env, instance
        The problem and one instance of it (batch size 1).
    shape
        Depots and customers. Each depot node is a kind of vehicle.
    costs
        What is minimised.
    distance
        ``[N, N]`` in the unit of the instance.
    """

    solver: str
    env: RoutingEnv
    instance: TensorDict
    shape: VehicleModel
    costs: Costs
    distance: NDArray[np.float64]

    @property
    def kinds(self) -> int:
        """Kinds of vehicles V."""
        return len(self.shape.depots)

    def of_nodes(self, name: str) -> tuple[int, ...]:
        """A whole number of every node, 0 where the attribute is absent."""
        if name not in self.instance.keys():
            return (0,) * len(self.distance)
        return tuple(self.instance[name][0].tolist())

    def of_vehicles(self, name: str) -> tuple[Any, ...]:
        """What each kind of vehicle has of an attribute, whether it is given once or for each."""
        if name not in self.instance.keys():
            return (SCHEMA[name].neutral,) * self.kinds
        return tuple(self.instance[name][0].expand(self.kinds).tolist())

    def load(self, name: str, deliver: Iterable[int], capacity: Iterable[int]) -> Load:
        """A load that is only delivered."""
        nothing = (0,) * len(self.distance)
        return Load(name, tuple(deliver), nothing, tuple(capacity), nothing)


class TermRow(Protocol):
    """A row: the terms of a rule."""

    def __call__(self, given: Given, rule: Any) -> Iterable[Term]:
        """
        The terms of a rule for one instance.

        Raises
        ------
        InputError
            The solver cannot express what the rule says.
        """
        ...


ROWS: Mapping[str, Registry[type, TermRow]] = {
    "ortools": Registry("OR-Tools' row of", {}),
    "pyvrp": Registry("PyVRP's row of", {}),
}


def of_kind(terms: Iterable[Term], kind: type[Any]) -> list[Any]:
    """The terms of one type."""
    return [term for term in terms if isinstance(term, kind)]


Step = Callable[[Any], None]
