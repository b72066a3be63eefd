"""What every solver returns: checked routes with their cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from tensordict import TensorDict

from nco.envs import Route, RoutingEnv, Violation
from nco.envs.routes import drop_empty


@dataclass(frozen=True)
class Solution:
    """
    A finished solution of one instance. Built by `judge`, so that it is always a checked one.

    Parameters
    ----------
    routes
        The routes that visit anyone; empty if the solver found none.
    cost
        By the instance's own metric and rounding; infinite without routes where some are needed.
    violations
        Every broken rule that the independent checker found.
    seconds
        Wall time of the solver.
    solver
        Name and version.
    trace
        (seconds, cost) of each improvement, where the solver tells.
    """

    routes: tuple[Route, ...]
    cost: float
    violations: tuple[Violation, ...]
    seconds: float
    solver: str
    trace: tuple[tuple[float, float], ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether the checker found nothing wrong."""
        return not self.violations


def judge(
    env: RoutingEnv,
    instance: TensorDict,
    routes: Sequence[Route],
    seconds: float,
    solver: str,
    trace: Sequence[tuple[float, float]] = (),
) -> Solution:
    """
    Checks routes with the independent checker and recomputes their cost.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).
    routes
        What the solver found; none if it found nothing.
    seconds, solver, trace
        See `Solution`.
    """
    kept = drop_empty(routes)
    found = tuple(env.check(instance, kept))
    broken_nodes = any(violation.rule == "unknown node" for violation in found)
    nothing = not kept and bool(found)  # where every visit is optional, no route is a solution
    cost = float("inf") if broken_nodes or nothing else env.routes_cost(instance, kept)
    return Solution(kept, cost, found, seconds, solver, tuple(trace))
