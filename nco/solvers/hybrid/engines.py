"""What a worker of the hybrid solver searches with, by what the problem is made of."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.decoding.subproblems import into_part, out_of_part, restrict
from nco.envs import Route, RoutingEnv
from nco.envs.objectives import Distance
from nco.envs.visits.tour import Tour
from nco.solution import judge
from nco.solvers.fast_tsp import FastTSP
from nco.solvers.hybrid.local_search import PART_HISTORY, Penalties, PyVRPSearch
from nco.solvers.ortools import ORTools

ROUNDS = 8  # of a search that goes on where it stopped
STRENGTH = 10.0  # of penalties: weaker ones wander far out of what is feasible for a while
Routes = tuple[Route, ...]


@dataclass(frozen=True)
class Task:
    """
    Something for a worker to do.

    Parameters
    ----------
    deadline
        Value of `time.perf_counter`, which all processes share.
    seed
        Of all randomness.
    routes
        What to improve; empty to go on from what the worker has, or to begin from nothing.
    variant
        0 for the search as it is; others differ from it, so that not all workers do the same.
    multiples
        See `PyVRPSearch.begin`.
    nodes
        Those of a part, see `nco.decoding.subproblems`; None for the whole instance.
    away
        See `nco.decoding.subproblems.restrict`.
    """

    deadline: float
    seed: int = 0
    routes: Routes = ()
    variant: int = 0
    multiples: Penalties | None = None
    nodes: tuple[int, ...] | None = None
    away: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """The best routes that a worker has; none if it has no feasible solution."""

    routes: Routes
    multiples: Penalties | None = None


class Engine(Protocol):
    """
    Carries out tasks.

    Parameters
    ----------
    name
        Of the solver behind it.
    halves
        Whether it solves parts, too.
    """

    name: str
    halves: bool

    @staticmethod
    def ends(variant: int) -> Sequence[float]:
        """When its rounds end, as shares of the time; after each, workers hear of the best."""
        ...

    def __call__(self, task: Task) -> Found:
        """The best that there is at the deadline."""
        ...


class FastTSPEngine:
    """fast-tsp: it has no seed, so variants number the nodes in another order."""

    name = FastTSP.name
    halves = False

    def __init__(self, env: RoutingEnv, instance: TensorDict):
        self.env, self.instance, self.runs = env, instance, 0
        if type(env.visits) is not Tour or env.constraints or type(env.objective) is not Distance:
            raise InputError("fast-tsp is for tours without rules alone")
        if "distance" in instance.keys():
            matrix = instance["distance"][0]
            if not torch.equal(matrix, matrix.T):
                raise InputError("fast-tsp cannot express asymmetric distances")

    @staticmethod
    def ends(variant: int) -> Sequence[float]:
        """See `Engine`: a variant has something early."""
        return (0.3, 1.0) if variant else (1.0,)

    def __call__(self, task: Task) -> Found:
        nodes = num_nodes(self.instance)
        order = list(range(nodes))
        if task.variant:
            self.runs += 1
            order = np.random.default_rng([task.seed, self.runs]).permutation(nodes).tolist()
        instance = restrict(self.instance, order)
        found = FastTSP().solve(self.env, instance, _left(task))
        return Found(out_of_part(found.vehicle_routes, order))


class PyVRPEngine:
    """PyVRP on the whole instance, round after round."""

    name = "pyvrp"
    halves = True

    def __init__(self, env: RoutingEnv, instance: TensorDict):
        self.search = PyVRPSearch(env, instance)
        self._parts = SubproblemEngine(env, instance)

    @staticmethod
    def ends(variant: int) -> Sequence[float]:
        """See `Engine`."""
        return [(k + 1) / ROUNDS for k in range(ROUNDS)]

    def __call__(self, task: Task) -> Found:
        if task.nodes is not None:
            return self._parts(task)
        if not self.search.begun:
            self.search.begin(task.routes, task.seed, STRENGTH)
        elif task.routes:
            self.search.adopt(task.routes)
        return Found(self.search.run(task.deadline), self.search.multiples)


class ORToolsEngine:
    """OR-Tools, begun again from the best; it has no seed, so variants begin differently."""

    name = ORTools.name
    halves = False

    def __init__(self, env: RoutingEnv, instance: TensorDict):
        self.env, self.instance = env, instance
        self._last: Routes = ()

    @staticmethod
    def ends(variant: int) -> Sequence[float]:
        """See `Engine`: it may be late in the end, so it has something early."""
        return (0.4, 0.95)

    def __call__(self, task: Task) -> Found:
        routes = task.routes or self._last
        start = judge(self.env, self.instance, routes, 0.0, "") if routes else None
        solver = ORTools("PARALLEL_CHEAPEST_INSERTION") if task.variant % 2 else ORTools()
        try:
            found = solver.solve(self.env, self.instance, _left(task), task.seed, start)
        except InputError:
            if start is None:
                raise
            return Found(start.routes)  # no time to begin again
        self._last = found.vehicle_routes if found.feasible else ()
        return Found(self._last)


class SubproblemEngine:
    """PyVRP on parts of an instance, OR-Tools where it refuses."""

    name = "pyvrp"
    halves = True

    def __init__(self, env: RoutingEnv, instance: TensorDict):
        self.env, self.instance = env, instance

    @staticmethod
    def ends(variant: int) -> Sequence[float]:
        """See `Engine`: parts have their own times."""
        return ()

    def __call__(self, task: Task) -> Found:
        nodes = task.nodes or ()
        part = restrict(self.instance, nodes, task.away)
        routes = into_part(task.routes, nodes)
        try:
            search = PyVRPSearch(self.env, part)
        except InputError:
            found = ORToolsEngine(self.env, part)(replace(task, routes=routes))
            return Found(out_of_part(found.routes, nodes))
        search.begin(routes, task.seed, STRENGTH, task.multiples, PART_HISTORY)
        return Found(out_of_part(search.run(task.deadline), nodes), search.multiples)


def find_engine(env: RoutingEnv, instance: TensorDict) -> Engine:
    """The engine for a whole instance: OR-Tools where no other expresses the problem."""
    makers: tuple[Callable[[RoutingEnv, TensorDict], Engine], ...] = (FastTSPEngine, PyVRPEngine)
    for make in makers:
        try:
            return make(env, instance)
        except InputError:
            continue
    return ORToolsEngine(env, instance)


def _left(task: Task) -> float:
    return max(0.001, task.deadline - time.perf_counter())
