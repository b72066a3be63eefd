"""The interface of every solver, and what the classical ones have in common."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.envs import RoutingEnv
from nco.solution import Solution

if TYPE_CHECKING:  # classical solvers load no policy
    from nco.hub.released import Released

Row = TypeVar("Row")
MAX_OVERRUN = 0.05  # seconds by which any limit may be missed


class Solver(Protocol):
    """
    Finds routes for one instance of a problem. Settings of the solver are its constructor's.
    """

    def solve(
        self,
        env: RoutingEnv,
        instance: TensorDict,
        time_limit: float | None = None,
        seed: int = 0,
        start: Solution | None = None,
    ) -> Solution:
        """
        Solves one instance.

        Parameters
        ----------
        env, instance
            The problem and one instance of it (batch size 1).
        time_limit
            Wall seconds; None lets the solver stop by itself (a solver that never does takes a
            default of its own).
        seed
            Seed of all randomness.
        start
            A feasible solution to improve on; the result is never worse.

        Raises
        ------
        InputError
            The solver cannot express a rule of the problem, named in the message.
        """
        ...

    def require(self, env: RoutingEnv, instance: TensorDict) -> None:
        """
        Refuses what it cannot express, without solving anything.

        Parameters
        ----------
        env, instance
            The problem and one instance of it (batch size 1).

        Raises
        ------
        InputError
            What `solve` would raise of a rule or a value.
        """
        ...


@runtime_checkable
class UsesPolicy(Protocol):
    """A solver that decodes a policy, always or where there is one."""

    def policy_for(self, env: RoutingEnv) -> "Released | None":
        """
        The policy that it uses for a problem, loaded.

        Raises
        ------
        InputError
            There is none and it needs one, or the one given is for other problems.
        """
        ...


def find_row(table: Mapping[type, Row], part: object, solver: str) -> Row:
    """
    The row of a solver's table for one part of an environment: its visits, a rule, its objective.

    Types match exactly: a subclass is another rule, of which the table knows nothing.

    Raises
    ------
    InputError
        There is none; the message names solver and rule.
    """
    if type(part) not in table:
        known = ", ".join(kind.__name__ for kind in table) or "no rule"
        raise InputError(f"{solver} cannot express {type(part).__name__}, expected one of: {known}")
    return table[type(part)]


def require_single(instance: TensorDict) -> TensorDict:
    """
    The instance, if it is a single one.

    Raises
    ------
    InputError
        It is a batch, of which a solver would solve the first one only.
    """
    if instance.batch_size != (1,):
        found = list(instance.batch_size)
        raise InputError(
            f"instance: batch size {found}, expected [1]: a solver takes one, nco.solve a batch"
        )
    return instance


def refuse_infeasible(env: RoutingEnv, instance: TensorDict, time_limit: float | None) -> None:
    """
    Finds out beforehand what no solver could do.

    Raises
    ------
    InputError
        It is no single instance, it has no solution, or there is no time to look for one.
    """
    require_single(instance)
    if time_limit is not None and not (0 < time_limit < math.inf):
        raise InputError(f"time limit: {time_limit}, expected a positive number of seconds")
    reasons = env.impossible(instance)
    if reasons:
        raise InputError(f"no solution exists: {reasons[0].rule}: {reasons[0].message}")


def refuse_hurried(
    name: str, instance: TensorDict, time_limit: float | None, per_pair: float
) -> None:
    """
    Finds out beforehand whether a solver has finished its preparations within the limit.

    Parameters
    ----------
    name
        Of the solver.
    instance, time_limit
        See `Solver`.
    per_pair
        Seconds for each pair of nodes that it takes before it searches
        (``benchmarks/time_limits.py --construction``).

    Raises
    ------
    InputError
        It has not; the message tells what it takes.
    """
    nodes = num_nodes(instance)
    seconds = per_pair * nodes**2
    if time_limit is not None and 0 < time_limit < seconds - MAX_OVERRUN:
        raise InputError(
            f"{name}: about {seconds:.2g} s for {nodes} nodes before its search begins, expected a "
            f"time limit above that, found {time_limit:g}"
        )


def never_worse(found: Solution, start: Solution | None) -> Solution:
    """What was found, or the start's routes if they are better."""
    if start is None or not start.feasible:
        return found
    if found.feasible and found.value <= start.value:
        return found
    return replace(found, vehicle_routes=start.vehicle_routes, value=start.value, violations=())
