"""A learned policy as a solver."""

import time
from itertools import chain
from pathlib import Path

import torch
from tensordict import TensorDict

from nco import __version__
from nco.data.seeding import seeded
from nco.decoding import Augment, MultiStart, Search
from nco.envs import Route, RoutingEnv
from nco.envs.checking.routes import drop_empty
from nco.hub.released import Released, default_policy, load_policy
from nco.policies import native
from nco.solution import Solution, judge
from nco.solvers.base import never_worse, refuse_infeasible
from nco.solvers.heuristics.savings import savings
from nco.solvers.policy.anytime import WHOLE, Anytime, quick_starts
from nco.solvers.threads import one_thread

# Seconds a customer that savings take (benchmarks/time_limits.py).
SAVINGS = 6e-5


class PolicySolver:
    """
    Decodes a released policy.

    Without a time limit it runs its search once. With one it goes on until the time is spent: see
    `nco.solvers.policy.anytime`; a search that the limit cuts off is dropped. It computes in
    one thread. Where there are many customers and the policy finds nothing in time, there is a
    savings solution, if there can be one, and else none.

    Parameters
    ----------
    policy
        A released policy, or the name, folder or checkpoint of one; by default the shipped policy
        for the problem.
    search
        What to run; by default a multi-start over eight views, of as many starts as are quick.
    device
        Where to decode.

    Raises
    ------
    InputError
        There is no such policy.
    """

    def __init__(
        self,
        policy: Released | str | Path | None = None,
        search: Search | None = None,
        device: torch.device | str = "cpu",
    ):
        self.policy = load_policy(policy) if isinstance(policy, str | Path) else policy
        self.search = search
        self.device = torch.device(device)
        native.library()  # built, if at all, before the clock of the first instance runs

    def solve(
        self,
        env: RoutingEnv,
        instance: TensorDict,
        time_limit: float | None = None,
        seed: int = 0,
        start: Solution | None = None,
    ) -> Solution:
        begun = time.perf_counter()
        refuse_infeasible(env, instance, time_limit)
        released = self.policy_for(env)
        wide, placed = released.adapt(env, instance.to(self.device))
        policy = released.policy.to(self.device)
        best = Incumbent(env, instance, begun)
        name = f"policy {released.name} (nco {__version__})"
        with one_thread():
            if time_limit is None:
                search = self.search or Augment(MultiStart(quick_starts(env, instance)))
                rng = seeded(seed, device=self.device)
                row, _ = search(wide, policy, placed, rng).best()
                best.offer(wide.visits.routes(placed.cpu(), row[0].tolist()))
            else:
                reserve = _reserve(env, instance, time.perf_counter() - begun, time_limit)
                rounds = Anytime(
                    wide, policy, placed, begun, time_limit, seed, self.search, reserve
                )
                self._spend(rounds, best, start)
                if not best.routes and (quick := savings(env, instance.cpu())) is not None:
                    best.offer(quick)
                    name = f"savings: {name} found nothing in time"
        seconds = time.perf_counter() - begun
        return never_worse(judge(env, instance, best.routes, seconds, name, best.trace), start)

    def require(self, env: RoutingEnv, instance: TensorDict) -> None:
        """See `nco.solvers.base.Solver`."""
        self.policy_for(env).require(env)

    def policy_for(self, env: RoutingEnv) -> Released:
        """See `nco.solvers.base.UsesPolicy`; without one there is an `InputError`."""
        return self.policy or default_policy(env)

    def _spend(self, rounds: Anytime, best: "Incumbent", start: Solution | None) -> None:
        """Goes through the rounds until the time is over."""
        for routes in chain(rounds.first(), rounds.more()):
            best.offer(routes)
            if rounds.over():
                return
        if not best.routes:
            return
        if start is not None and start.feasible and start.value < best.cost:
            best.offer(start.vehicle_routes)
        for routes in rounds.improve(best.routes):
            best.offer(routes)
            if rounds.over():
                return


def _reserve(env: RoutingEnv, instance: TensorDict, looked: float, time_limit: float) -> float:
    """
    Seconds to end before the limit: for the check of the solution, about as long as the look at
    the instance before (``looked`` seconds), and of large instances for a savings solution.
    """
    customers = env.num_customers(instance)
    quick = SAVINGS * customers if customers > WHOLE else 0.0
    return min(looked + quick, 0.5 * time_limit)


class Incumbent:
    """
    The best solution so far, and when each one was found.

    Parameters
    ----------
    env, instance
        The problem and one instance of it.
    begun
        Value of `time.perf_counter` at which time began.
    """

    def __init__(self, env: RoutingEnv, instance: TensorDict, begun: float):
        self.env, self.instance, self.begun = env, instance, begun
        self.may_break = env.may_break(instance)
        self.routes: tuple[Route, ...] = ()
        self.cost, self.broken = float("inf"), True
        self.trace: list[tuple[float, float]] = []

    def offer(self, routes: tuple[Route, ...]) -> None:
        """Takes a solution if it is better: one that keeps all rules always is."""
        cost = self.env.routes_cost(self.instance, routes)
        # A look at each solution would take its time.
        broken = self.may_break and bool(self.env.check(self.instance, drop_empty(routes)))
        if self.cost == float("inf") or (broken, cost) < (self.broken, self.cost):
            if self.broken and not broken:
                self.trace.clear()  # costs of solutions that are none
            self.routes, self.cost, self.broken = routes, cost, broken
            self.trace.append((time.perf_counter() - self.begun, cost))
