"""One solver on one file, and what there is to say about it."""

from dataclasses import dataclass
from typing import Any

from nco.data.formats import FileInstance
from nco.envs import Route, RoutingEnv
from nco.evaluation.reasons import why_left_out
from nco.solution import Solution, numbered


@dataclass(frozen=True)
class Run:
    """
    A solver's solution of a file.

    Parameters
    ----------
    file
        The instance.
    env
        Its problem.
    solver
        Name of the solver.
    policy
        Name of the solver's policy, if it has one.
    solution
        What it found.
    seed
        Of the solver.
    """

    file: FileInstance
    env: RoutingEnv
    solver: str
    policy: str | None
    solution: Solution
    seed: int

    @property
    def n(self) -> int:
        """Number of customers (for the TSP: of nodes)."""
        return self.env.num_customers(self.file.instance)

    @property
    def cost(self) -> float | None:
        """As people state it, whole numbers as integers; None where there is no solution."""
        return stated(self.env, self.solution.value)

    @property
    def reference(self) -> float | None:
        """Cost of the best-known solution, where one lies beside the file."""
        return None if self.file.best_known is None else whole(self.file.best_known)

    @property
    def gap(self) -> float | None:
        """To the best-known solution, in percent; None where none is known."""
        if not self.solution.feasible or self.cost is None:
            return None
        return gap(self.env, self.cost, self.reference)

    @property
    def routes(self) -> list[list[int]]:
        """Customers numbered as in ``.sol`` files; the one route of a TSP tour has all nodes."""
        return numbered(self.env, self.file, self.solution.vehicle_routes)

    def _names(self) -> dict[str, Any]:
        """Names of customers and vehicles, route by route, where the file gives them."""
        found: dict[str, Any] = {}
        routes, labels = self.solution.vehicle_routes, self.file.labels
        if labels is not None:
            found["names"] = [[labels[node] for node in route.visits] for route in routes]
        if self.file.vehicle_names is not None:
            found["vehicles"] = [self.file.vehicle_names[route.vehicle] for route in routes]
        return found

    def left_out(self) -> list[dict[str, Any]]:
        """
        Customers on no route of a feasible solution, with reasons: see `why_left_out`.

        ``customer`` is numbered as in `routes`; ``rule``, ``reason``, ``relaxation``.
        """
        if not (self.env.visits.optional and self.solution.feasible):
            return []
        routes = self.solution.vehicle_routes
        found = []
        for reason in why_left_out(self.env, self.file.instance, routes):
            ((customer,),) = numbered(self.env, self.file, [Route((reason.node,))])
            found.append(
                {
                    "customer": customer,
                    "rule": reason.rule,
                    "reason": reason.message,
                    "relaxation": reason.relaxation,
                }
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """All fields of the ``--json`` output of ``nco solve`` and ``nco compare``."""
        return {
            "instance": self.file.name,
            "problem": self.file.problem,
            "n": self.n,
            "solver": self.solver,
            "policy": self.policy,
            "cost": self.cost,
            "feasible": self.solution.feasible,
            "gap": self.gap,
            "reference": self.reference,
            "routes": self.routes,
            **self._names(),
            "seconds": self.solution.seconds,
            "seed": self.seed,
        }


def stated(env: RoutingEnv, cost: float) -> float | None:
    """A cost as people state it: a collected prize is positive, a whole number an integer."""
    if cost == float("inf"):
        return None
    return whole(-cost if env.objective.maximised else cost)


def whole(value: float) -> float:
    """A whole number as an integer, which is how it is printed."""
    return int(value) if float(value).is_integer() else value


def gap(env: RoutingEnv, cost: float, reference: float | None) -> float | None:
    """By how many percent a stated cost is worse than a reference; negative if it is better."""
    if not reference:
        return None
    worse = reference - cost if env.objective.maximised else cost - reference
    return 100 * worse / abs(reference)
