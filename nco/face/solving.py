"""Solving and checking in one call."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from os import PathLike
from pathlib import Path
from typing import Any, cast, overload

from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.formats import FileInstance
from nco.envs import Route, RoutingEnv
from nco.envs.checking.view import InstanceView
from nco.face.given import Case, Instance, Routes, cases
from nco.hub.released import Released
from nco.solution import Solution
from nco.solvers.base import Solver
from nco.solvers.registry import find_solver

Start = Solution | Routes | str | PathLike[str]


@overload
def solve(
    instance: str | PathLike[str] | FileInstance,
    time_limit: float | None = ...,
    solver: str | Solver = ...,
    problem: str | RoutingEnv | None = ...,
    seed: int = ...,
    start: Start | None = ...,
    policy: Released | str | Path | None = ...,
) -> Solution: ...
@overload
def solve(
    instance: TensorDict,
    time_limit: float | None = ...,
    solver: str | Solver = ...,
    problem: str | RoutingEnv | None = ...,
    seed: int = ...,
    start: Start | None = ...,
    policy: Released | str | Path | None = ...,
) -> Any: ...
def solve(
    instance: Instance,
    time_limit: float | None = None,
    solver: str | Solver = "hybrid",
    problem: str | RoutingEnv | None = None,
    seed: int = 1234,
    start: Start | None = None,
    policy: Released | str | Path | None = None,
) -> Solution | list[Solution]:
    """
    Solves a file, an instance, or every instance of a batch.

    Parameters
    ----------
    instance
        The path of a file, what `nco.read` made of one, or what `nco.make_instance` made of arrays.
    time_limit
        Wall seconds for each instance; by default 2 for each 100 customers.
    solver
        ``hybrid`` (a policy proposes, local search improves on all cores), ``policy``, ``ortools``,
        ``pyvrp`` or ``fast-tsp``; or a solver with settings of its own.
    problem
        Name of the problem, or an environment; by default what the file states, or the rules that
        the attributes of the instance ask for.
    seed
        Of all randomness.
    start
        A solution to improve on, routes by number, or a ``.sol`` file. One that leaves customers
        out is completed by a route for each of them. The result is never worse.
    policy
        Name, folder or checkpoint of a policy, for solvers that use one.

    Returns
    -------
    Solution or list of Solution
        A list for a batch of several instances.

    Raises
    ------
    InputError
        Something given cannot be used, or the instance has no solution: one line with what was
        found and what was expected.

    Examples
    --------
    >>> import nco
    >>> inst = nco.make_instance(
    ...     locs=[[0, 0], [0, 3], [0, 4], [5, 0]], demand=[0, 1, 1, 1], capacity=2
    ... )
    >>> nco.solve(inst, time_limit=0.2).cost
    18.0
    """
    found = list(cases(instance, problem))
    if start is not None and len(found) != 1:
        raise InputError(f"start: one, expected none for a batch of {len(found)} instances")
    settings = {} if policy is None else {"policy": policy}
    context: AbstractContextManager[object] = nullcontext()
    if isinstance(solver, str):
        entry = find_solver(solver)
        for name in settings:
            if name not in entry.settings:
                raise InputError(f"solver {solver}: takes no {name}, expected none")
        engine = entry.build(**settings)
        if hasattr(engine, "close"):
            context = closing(cast(Any, engine))
    elif settings:
        raise InputError("policy: beside a solver, expected it among the solver's own settings")
    else:
        engine = solver
    with context:
        solutions = [
            engine.solve(
                case.env,
                case.instance,
                time_limit,
                seed,
                None if start is None else _usable(case, start),
            ).of(case.file)
            for case in found
        ]
    several = isinstance(instance, TensorDict) and len(solutions) != 1
    return solutions if several else solutions[0]


def check(
    instance: Instance,
    routes: Routes | Solution | str | PathLike[str],
    problem: str | RoutingEnv | None = None,
) -> Solution:
    """
    The routes as a solution: their cost, and every rule that they break.

    Parameters
    ----------
    instance, problem
        See `solve`.
    routes
        Lists of customers by number, with or without the depot at their ends (with several depots,
        each list begins with its own), a ``.sol`` file, or a solution.

    Raises
    ------
    InputError
        Something given cannot be used.

    Examples
    --------
    >>> import nco
    >>> inst = nco.make_instance(
    ...     locs=[[0, 0], [0, 3], [0, 4], [5, 0]], demand=[0, 1, 1, 1], capacity=2
    ... )
    >>> found = nco.check(inst, [[1, 2, 3]])
    >>> found.feasible, found.violations[0].message
    (False, 'load 3, capacity 2')
    """
    found = list(cases(instance, problem))
    if len(found) != 1:
        raise InputError(f"instance: a batch of {len(found)}, expected one: instance[k : k + 1]")
    return found[0].judge(found[0].routes(routes), "given")


def _usable(case: Case, start: Start) -> Solution:
    """A feasible solution to begin with: what was given, customers that it leaves out added."""
    routes = case.routes(start)
    found = case.judge(routes, "start")
    left_out = [each.node for each in found.violations if each.rule == "not visited"]
    nodes = [node for node in left_out if node is not None]
    if nodes:
        found = case.judge(_completed(case, routes, nodes), "start")
    if not found.feasible:
        worst = found.violations[0]
        part = f" with {len(nodes)} customers added" if nodes else ""
        raise InputError(
            f"start{part}: {worst.rule}: {worst.message}, expected routes that keep every rule"
        )
    return found


def _completed(case: Case, routes: Sequence[Route], nodes: Sequence[int]) -> list[Route]:
    """The routes, and one more for each of the nodes; a tour just goes on."""
    if not case.env.visits.num_depots:
        visits = tuple(node for route in routes for node in route.visits)
        return [Route((*visits, *nodes), start=None, end=None)]
    plain = InstanceView(case.instance)
    return [*routes, *dict.fromkeys(plain.alone(node, 0) for node in nodes)]
