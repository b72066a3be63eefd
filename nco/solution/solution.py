"""What every solver returns: checked routes with their cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.formats import FileInstance
from nco.data.instance import num_depots
from nco.envs import Route, RoutingEnv, Violation
from nco.envs.checking.itinerary import itinerary
from nco.envs.checking.routes import drop_empty
from nco.solution.files import first_number, write_routes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SHOWN = 30  # routes that a summary shows


@dataclass(frozen=True)
class Solution:
    """
    A finished solution of one instance. Built by `judge`, so that it is always a checked one.

    Parameters
    ----------
    env, instance
        The problem, and the instance (batch size 1) that it solves.
    vehicle_routes
        The routes that visit customers, each with its depots and its vehicle; empty if the solver
        found none.
    value
        What solvers minimise: the cost, or minus the cost where it is maximised; by the instance's
        own metric and rounding; infinite without routes where some are needed.
    violations
        Every broken rule that the independent checker found.
    seconds
        Wall time of the solver.
    solver
        Name and version.
    history
        (seconds, value) of each improvement, where the solver tells.
    file
        The instance as its file states it, where there is one: names and numbers of customers.
    """

    env: RoutingEnv = field(repr=False, compare=False)
    instance: TensorDict = field(repr=False, compare=False)
    vehicle_routes: tuple[Route, ...]
    value: float
    violations: tuple[Violation, ...]
    seconds: float
    solver: str
    history: tuple[tuple[float, float], ...] = ()
    file: FileInstance | None = field(default=None, repr=False, compare=False)

    @property
    def feasible(self) -> bool:
        """Whether the checker found nothing wrong."""
        return not self.violations

    @property
    def cost(self) -> float:
        """The cost as people state it: a collected prize is positive."""
        return self._stated(self.value)

    @property
    def trace(self) -> tuple[tuple[float, float], ...]:
        """(seconds, cost) of each improvement, where the solver tells."""
        return tuple((seconds, self._stated(value)) for seconds, value in self.history)

    @property
    def routes(self) -> list[list[int]]:
        """
        The customers of each route, without depots, by their numbers.

        Of a file, those that its ``.sol`` files use; else the nodes of the instance. The one route
        of a tour without depot has all nodes.
        """
        return [[node + self._shift for node in route.visits] for route in self.vehicle_routes]

    @property
    def _shift(self) -> int:
        """What is added to a node of the instance to get its number."""
        return 0 if self.file is None else first_number(self.env, self.file)

    def _stated(self, value: float) -> float:
        return -value if self.env.objective.maximised and value != float("inf") else value

    def of(self, file: FileInstance | None) -> Solution:
        """The solution with the numbers and names of the file that its instance is from."""
        return replace(self, file=file)

    def schedule(self) -> pd.DataFrame | list[dict[str, Any]]:
        """
        When each vehicle is where: a record for every stop, the depots included.

        ``route``; ``vehicle`` (its depot node); ``stop`` (the number of a customer as in `routes`,
        that of the place of a depot); ``name`` where the file has names; ``arrival``, ``wait``,
        ``start`` (of service) and ``departure`` in the unit of the travel times; ``load`` on
        leaving, where something is carried; ``distance`` since the start of the route.

        Returns
        -------
        pandas.DataFrame or list
            A data frame with a row for each stop if pandas is installed, else a list of `dict`.
        """
        labels = None if self.file is None else self.file.labels
        depots = self.env.visits.depots(self.instance)
        places = self.instance["depots"][0].tolist() if num_depots(self.instance) > 1 else [0]
        records = []
        for row in itinerary(self.env, self.instance, self.vehicle_routes):
            node = row["node"]
            stop = places[node] if node < depots else node + self._shift
            record = {"route": row["route"], "vehicle": row["vehicle"], "stop": stop}
            if labels is not None:
                record["name"] = labels[node]
            records.append(record | {k: v for k, v in row.items() if k not in (*record, "node")})
        try:
            import pandas as pd
        except ImportError:
            return records
        return pd.DataFrame(records)

    def summary(self) -> str:
        """The solution in a few lines: cost, what is wrong with it, and the routes."""
        count = len(self.vehicle_routes)
        head = [] if self.file is None else [f"{self.file.name}:"]
        whole = float(self.cost).is_integer()
        head += [f"cost {self.cost:,.0f}," if whole else f"cost {self.cost:,.7g},"]
        head += [
            f"{count} route{'s' * (count != 1)},",
            "feasible" if self.feasible else "INFEASIBLE",
        ]
        lines = [" ".join(head), f"  by {self.solver} in {self.seconds:.3g} s"]
        lines += [f"  {each.rule}: {each.message}" for each in self.violations[:SHOWN]]
        width = len(str(count))
        for k, route in enumerate(self.routes[:SHOWN]):
            lines.append(f"  {k:{width}}: " + " ".join(map(str, route)))
        if count > SHOWN:
            lines.append(f"  and {count - SHOWN} more")
        return "\n".join(lines)

    __str__ = summary

    def write(self, path: str | Path) -> None:
        """
        Writes a ``.sol`` file, whole or not at all.

        Raises
        ------
        InputError
            The solution is not feasible, or the folder is missing or not writable.
        """
        if not self.feasible:
            worst = self.violations[0]
            raise InputError(f"{path}: {worst.rule}: {worst.message}, expected a feasible solution")
        write_routes(Path(path), self.env, self._as_file(), self.vehicle_routes, self.cost)

    def _as_file(self) -> FileInstance:
        if self.file is not None:
            return self.file
        depots = max(1, self.env.visits.depots(self.instance))
        return FileInstance("", "", self.instance, Path(), first_customer=depots)

    def plot(self, ax: Axes | None = None) -> Axes:
        """
        Draws the routes.

        Parameters
        ----------
        ax
            Where to; by default a new figure of pyplot, which a notebook shows.

        Returns
        -------
        matplotlib.axes.Axes
            What was drawn on.
        """
        from matplotlib import pyplot as plt

        from nco.plotting.solution import draw_routes

        ax = ax if ax is not None else plt.subplots(figsize=(7, 7), layout="constrained")[1]
        labels = None if self.file is None else self.file.labels
        draw_routes(ax, self.env, self.instance, self.vehicle_routes, labels)
        ax.set_title(self.summary().splitlines()[0])
        return ax


def judge(
    env: RoutingEnv,
    instance: TensorDict,
    routes: Sequence[Route | Sequence[int]],
    seconds: float,
    solver: str,
    history: Sequence[tuple[float, float]] = (),
) -> Solution:
    """
    Checks routes with the independent checker and recomputes their cost.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).
    routes
        What the solver found; none if it found nothing.
    seconds, solver, history
        See `Solution`.
    """
    kept = drop_empty(env.visits.as_routes(instance, routes))
    found = tuple(env.check(instance, kept))
    broken_nodes = any(violation.rule == "unknown node" for violation in found)
    nothing = not kept and bool(found)  # where every visit is optional, no route is a solution
    value = float("inf") if broken_nodes or nothing else env.routes_cost(instance, kept)
    return Solution(env, instance, kept, value, found, seconds, solver, tuple(history))
