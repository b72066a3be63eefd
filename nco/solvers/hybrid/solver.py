"""The default solver: a policy proposes, classical search improves, on all cores at once."""

import contextlib
import time
import weakref
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from tensordict import TensorDict

from nco import __version__
from nco.data.errors import InputError
from nco.decoding import Search
from nco.decoding.subproblems import separable
from nco.envs import Route, RoutingEnv
from nco.envs.objectives import Distance
from nco.envs.visits.tour import Tour
from nco.hub.released import Released, default_policy, load_policy
from nco.solution import Solution, judge
from nco.solvers.base import refuse_infeasible
from nco.solvers.heuristics.nearest_neighbour import nearest_neighbour
from nco.solvers.heuristics.savings import savings
from nco.solvers.hybrid.cooperative import CooperativeSearch
from nco.solvers.hybrid.engines import Engine, ORToolsEngine, Task, find_engine
from nco.solvers.hybrid.incumbent import Incumbent
from nco.solvers.hybrid.large_scale import construct, improve_parts
from nco.solvers.hybrid.partition import improve_halves, possible
from nco.solvers.hybrid.proposals import Proposals, Propose
from nco.solvers.hybrid.worker import Setting, Worker
from nco.solvers.hybrid.worker_pool import WorkerPool
from nco.solvers.ortools import ORTools
from nco.solvers.pyvrp import expresses
from nco.solvers.threads import cores, one_thread

WHOLE = 1500  # customers up to which the whole instance is searched
PROPOSED = 2000  # customers up to which a policy proposes
# Customers a second up to which it proposes beside a savings solution: in less time, what it takes
# is missed (benchmarks/RESULTS.md).
RELAXED_CUSTOMERS_PER_SECOND = 500
PROPOSING = 0.1  # of the time
# Of the time that the whole instance is searched, with few and with more customers, before its
# solution is shared out among the workers.
OPENING, OPENING_OF_SMALL, SMALL_INSTANCE = 0.25, 0.5, 250
RUSHED_CUSTOMERS_PER_SECOND = (
    5000  # customers a second above which no worker prepares beside the first solution
)
SMALL, AT_LEAST = 100, 0.25  # so few customers are served even if it takes so much longer
# Seconds where no time limit is given.
SECONDS_PER_CUSTOMER, MIN_SECONDS, MAX_SECONDS = 0.02, 0.5, 60.0


class Hybrid:
    """
    A policy's proposals, and a savings solution, improved by PyVRP on all cores.

    The processes start with different solutions and seeds. Then, where a part of a solution is a
    solution of its own, they share out the routes of the best one in ever other ways; where not,
    they take it over in the second half of the time. Large instances are split into smaller parts
    of neighbouring routes; which ones are worth it is learned on the way. Where PyVRP cannot
    express the problem OR-Tools improves, and fast-tsp where the problem is a symmetric tour; where
    no policy is at hand, or there is a savings solution and hardly time for more, they begin at
    once.

    The processes stay for the next instance, until the solver is closed or garbage-collected;
    two threads need a solver each.

    Parameters
    ----------
    policy
        A released policy, or the name, folder or checkpoint of one; by default the shipped policy
        for the problem, if there is one that was trained on just its rules, or that PyVRP cannot
        do without.
    search
        How the policy decodes; by default from more and more starts over eight views.
    device
        Where it decodes.
    workers
        Processes; by default one for each core that may be used, with 0 this one does all.
    proposals
        Whether a policy proposes.
    learned
        Whether the choice of parts is learned; if not, it is random.

    Raises
    ------
    InputError
        There is no such policy.
    """

    name = f"hybrid (nco {__version__})"

    def __init__(
        self,
        policy: Released | str | Path | None = None,
        search: Search | None = None,
        device: torch.device | str = "cpu",
        workers: int | None = None,
        proposals: bool = True,
        learned: bool = True,
    ):
        self.policy = load_policy(policy) if isinstance(policy, str | Path) else policy
        self.search = search
        self.device = torch.device(device)
        self.workers = len(cores()) if workers is None else workers
        self.proposals = proposals
        self.learned = learned
        self._pool: WorkerPool | None = None
        self._pool_for: Released | None = None

    def __enter__(self) -> "Hybrid":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}  # a copy starts its own

    def close(self) -> None:
        """Ends the processes; the next instance starts others."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def ready(self, released: Released | None) -> WorkerPool:
        """The processes; they are forked where they have a policy in memory."""
        if self._pool is not None and not (self._pool.ours and self._pool_for is released):
            self.close()
        if self._pool is None:
            # A forked process must not touch a GPU.
            proposer = released if self.device.type == "cpu" else None
            self._pool = WorkerPool(Worker(proposer, self.device, self.search), self.workers)
            self._pool_for = released
            weakref.finalize(self, self._pool.close)
        else:
            self._pool.refill()
        return self._pool

    def solve(
        self,
        env: RoutingEnv,
        instance: TensorDict,
        time_limit: float | None = None,
        seed: int = 0,
        start: Solution | None = None,
    ) -> Solution:
        """
        See `nco.solvers.base.Solver`.

        Without a time limit: 2 s for each 100 customers, at least 0.5 s, at most a minute.
        """
        began = time.perf_counter()
        refuse_infeasible(env, instance, time_limit)
        if time_limit is None:
            time_limit = min(
                MAX_SECONDS, max(MIN_SECONDS, SECONDS_PER_CUSTOMER * env.num_customers(instance))
            )
        released = self.policy_for(env)
        incumbent = Incumbent(env, instance.cpu(), began, time_limit, seed)
        if start is not None and start.feasible:
            incumbent.offer(start.vehicle_routes)
        pool = self.ready(released)
        try:
            with one_thread():
                name = self._solve(incumbent, pool, released)
            pool.end_busy()
        except BaseException:
            self.close()
            raise
        if incumbent.best is None and incumbent.refusal is not None:
            raise InputError(str(incumbent.refusal))
        name = f"{self.name}, {name}"
        seconds = time.perf_counter() - began
        if incumbent.best is None:
            return judge(env, incumbent.instance, (), seconds, name)
        return replace(incumbent.best, seconds=seconds, solver=name, history=tuple(incumbent.trace))

    def require(self, env: RoutingEnv, instance: TensorDict) -> None:
        """See `nco.solvers.base.Solver`: what no classical search expresses."""
        if isinstance(find_engine(env, instance), ORToolsEngine):
            ORTools().require(env, instance)

    def policy_for(self, env: RoutingEnv) -> Released | None:
        """
        See `nco.solvers.base.UsesPolicy`; None where classical search begins at once.

        The caller is about to solve: the processes start here, and have the policy in memory.
        """
        released = None
        if self.policy is not None:
            self.policy.require(env)
            released = self.policy if self.proposals else None
        elif self.proposals:
            with contextlib.suppress(InputError):
                released = default_policy(env)
                # A policy of many more rules starts PyVRP no better than savings do, and takes
                # time; where PyVRP has no say, it helps: see benchmarks/RESULTS.md.
                if len(released.env.constraints) > len(env.constraints) and expresses(env):
                    released = None
        self.ready(released)
        return released

    def _solve(self, incumbent: Incumbent, pool: WorkerPool, released: Released | None) -> str:
        """Does it; the name of who did."""
        env, instance = incumbent.env, incumbent.instance
        customers = env.num_customers(instance)
        large, rushed = customers > WHOLE, customers > RUSHED_CUSTOMERS_PER_SECOND * incumbent.limit
        if not large and not rushed:  # workers get ready while a first solution is made
            self._post(pool, Setting(env, instance))
        quick = _construction(env, instance)
        if quick is not None:
            incumbent.offer(quick)
        if large or rushed:
            self._post(pool, Setting(env, instance, parts=large and self._splits(incumbent)))
        kind = self._await(incumbent, pool)
        if kind is None:  # no worker got ready in time
            self._in_no_time(incumbent)
            return "construction"
        if large and self._splits(incumbent):
            if incumbent.best is None:
                construct(incumbent, pool)
            if incumbent.best is not None:
                improve_parts(incumbent, pool, self.learned)
        else:
            if customers > PROPOSED or (
                incumbent.best is not None
                and customers > RELAXED_CUSTOMERS_PER_SECOND * incumbent.limit
            ):
                released = None
            self._as_a_whole(incumbent, pool, kind, released)
            return f"{kind.name}, policy {released.name}" if released is not None else kind.name
        return kind.name

    def _post(self, pool: WorkerPool, setting: Setting) -> None:
        for worker in list(pool.idle):
            pool.submit(worker, setting)

    def _await(self, incumbent: Incumbent, pool: WorkerPool) -> type[Engine] | None:
        """Waits until the workers are ready."""
        kind: type[Engine] | None = None
        while pool.busy and time.perf_counter() < incumbent.stop:
            for _, result in pool.wait(incumbent.stop - time.perf_counter()):
                if isinstance(result, type):
                    kind = result
                elif isinstance(result, Exception):
                    incumbent.refusal = result
        return kind

    def _splits(self, incumbent: Incumbent) -> bool:
        """Whether a large instance is solved by parts, by what it is composed of."""
        if not separable(incumbent.env, incumbent.instance):
            return False
        # To share out vehicles among customers is a problem of the whole.
        return incumbent.best is not None or not any(
            rule.scope == "fleet" for rule in incumbent.env.constraints
        )

    def _as_a_whole(
        self, incumbent: Incumbent, pool: WorkerPool, kind: type[Engine], released: Released | None
    ) -> None:
        customers, workers = incumbent.env.num_customers(incumbent.instance), len(pool.idle)
        share = 1.0
        shared = incumbent.best is None or possible(incumbent, workers) > 1
        if shared and kind.halves and separable(incumbent.env, incumbent.instance):
            share = OPENING if customers > SMALL_INSTANCE else OPENING_OF_SMALL
        opening = CooperativeSearch(incumbent, pool, kind, share)
        propose = Propose(incumbent.at(PROPOSING), incumbent.seed) if released is not None else None
        elsewhere = self.device.type != "cpu"
        opening.begin(None if elsewhere else propose)
        if propose is not None and elsewhere and released is not None:
            bench = Worker(released, self.device, self.search)
            bench(Setting(incumbent.env, incumbent.instance))
            proposals = bench(propose)
            for routes in proposals.solutions if isinstance(proposals, Proposals) else ():
                incumbent.offer(routes)
        opening.improve()
        while share < 1:
            improve_halves(incumbent, pool)
            # Too little to share out, or nothing yet.
            share = 1.0 if incumbent.best is not None else min(1.0, share + OPENING)
            rest = CooperativeSearch(incumbent, pool, kind, share)
            rest.begin()
            rest.improve()
        self._in_no_time(incumbent)

    def _in_no_time(self, incumbent: Incumbent) -> None:
        """Small instances get a solution whatever the limit."""
        if incumbent.best is None and incumbent.env.num_customers(incumbent.instance) <= SMALL:
            engine = find_engine(incumbent.env, incumbent.instance)
            incumbent.offer(engine(Task(time.perf_counter() + AT_LEAST, incumbent.seed)).routes)


def _construction(env: RoutingEnv, instance: TensorDict) -> tuple[Route, ...] | None:
    """A first solution by savings, of large tours by nearest neighbours; None of other problems."""
    tour = isinstance(env.visits, Tour) and not env.constraints
    if tour and isinstance(env.objective, Distance) and env.num_customers(instance) > WHOLE:
        return (Route(tuple(nearest_neighbour(instance)), None, None),)
    return savings(env, instance)
