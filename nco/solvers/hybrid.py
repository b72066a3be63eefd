"""The default solver: a policy proposes, classical search improves, on all cores at once."""

import os
import time
from dataclasses import replace
from pathlib import Path

import torch
from tensordict import TensorDict

from nco import __version__
from nco.data.errors import InputError
from nco.decoding import Search
from nco.envs import RoutingEnv
from nco.envs.constraints import Fleet
from nco.released import Released, default_policy, load_policy
from nco.solution import Solution, judge
from nco.solvers.base import refuse_hopeless
from nco.solvers.decompose import separable
from nco.solvers.hybrid_crew import Crew
from nco.solvers.hybrid_engines import Engine, Found, Parts, Task, find_engine
from nco.solvers.hybrid_parts import construct, improve_parts
from nco.solvers.hybrid_proposals import Proposals, Propose, Proposer
from nco.solvers.hybrid_rounds import begin, improve
from nco.solvers.hybrid_run import Run
from nco.solvers.savings import savings

WHOLE = 1500  # customers up to which the whole instance is searched
PROPOSED = 2000  # customers up to which a policy proposes
PROPOSING = 0.1  # of the time
FEW, AT_LEAST = 100, 0.25  # so few customers are served even if it takes so much longer
# Seconds where no time limit is given.
PER_CUSTOMER, SHORTEST, LONGEST = 0.02, 0.5, 60.0


class Hybrid:
    """
    A policy's proposals, and a savings solution, improved by PyVRP on all cores.

    The processes start with different solutions and seeds, and take over the best one in the second
    half of the time. Large instances are split into parts of neighbouring routes, which are
    improved at once; which ones are worth it is learned on the way. Where PyVRP cannot express the
    problem OR-Tools improves, and fast-tsp where the problem is a symmetric tour; where no policy
    is at hand, they begin at once.

    Parameters
    ----------
    policy
        A released policy, or the name, folder or checkpoint of one; by default the shipped policy
        for the problem, if there is one.
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
        self.workers = len(_cores()) if workers is None else workers
        self.proposals = proposals
        self.learned = learned

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
        refuse_hopeless(env, instance, time_limit)
        if time_limit is None:
            time_limit = min(LONGEST, max(SHORTEST, PER_CUSTOMER * env.num_customers(instance)))
        released = self.policy_for(env)
        run = Run(env, instance.cpu(), began, time_limit, seed)
        if start is not None and start.feasible:
            run.offer(start.routes)
        quick = savings(env, run.instance)
        if quick is not None:
            run.offer(quick)
        solve = self._by_parts if self._splits(run) else self._as_a_whole
        name = solve(run, released)
        if run.best is None and run.refusal is not None:
            raise InputError(str(run.refusal))
        policy = f", policy {released.name}" if released is not None else ""
        name = f"{self.name}, {name}{policy}"
        seconds = time.perf_counter() - began
        if run.best is None:
            return judge(env, run.instance, (), seconds, name)
        return replace(run.best, seconds=seconds, solver=name, trace=tuple(run.trace))

    def policy_for(self, env: RoutingEnv) -> Released | None:
        """See `nco.solvers.base.UsesPolicy`; None where classical search begins at once."""
        if self.policy is not None:
            self.policy.require(env)
            return self.policy if self.proposals else None
        try:
            return default_policy(env) if self.proposals else None
        except InputError:
            return None

    def _splits(self, run: Run) -> bool:
        """Whether the instance is solved by parts, by its size and what it is composed of."""
        if run.env.num_customers(run.instance) <= WHOLE or not separable(run.env, run.instance):
            return False
        # To share out vehicles among customers is a problem of the whole.
        return run.best is not None or not any(type(r) is Fleet for r in run.env.constraints)

    def _by_parts(self, run: Run, released: Released | None) -> str:
        engine = Parts(run.env, run.instance)
        with Crew(engine, self.workers) as crew:
            if run.best is None:
                construct(run, crew)
            if run.best is not None:
                improve_parts(run, crew, self.learned)
        return engine.name

    def _as_a_whole(self, run: Run, released: Released | None) -> str:
        engine = find_engine(run.env, run.instance)
        proposer = None
        if released is not None and run.env.num_customers(run.instance) <= PROPOSED:
            proposer = Proposer(run.env, run.instance, released, self.device, self.search)
        elsewhere = self.device.type != "cpu"  # a forked process must not touch a GPU
        with Crew(Bench(engine, None if elsewhere else proposer), self.workers) as crew:
            begin(run, crew, engine, Propose(run.at(PROPOSING), run.seed) if proposer else None)
            if proposer is not None and elsewhere:
                for routes in proposer(Propose(run.at(PROPOSING), run.seed)).solutions:
                    run.offer(routes)
            improve(run, crew, engine)
        if run.best is None and run.env.num_customers(run.instance) <= FEW:
            run.offer(engine(Task(time.perf_counter() + AT_LEAST, run.seed)).routes)
        return engine.name


class Bench:
    """
    What a worker can do.

    Parameters
    ----------
    engine
        Carries out a `Task`.
    proposer
        Carries out a `Propose`.
    """

    def __init__(self, engine: Engine, proposer: Proposer | None):
        self.engine, self.proposer = engine, proposer

    def __call__(self, task: Task | Propose) -> Found | Proposals:
        """The result of a task."""
        if isinstance(task, Task):
            return self.engine(task)
        return self.proposer(task) if self.proposer else Proposals(())


def _cores() -> set[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))
