"""A learned policy as a solver."""

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch
from tensordict import TensorDict

from nco import __version__
from nco.data.instance import num_nodes
from nco.data.seeding import seeded
from nco.decoding import Augment, MultiStart, OutOfTime, Sampling, Search, Single
from nco.envs import RoutingEnv
from nco.released import Released, default_policy, load_policy
from nco.solution import Solution, judge
from nco.solvers.base import never_worse, refuse_hopeless

WORK = 20_000  # rollouts of one view times nodes that one round of decoding holds at most


class PolicySolver:
    """
    Decodes a released policy.

    Without a time limit it runs its search once. With one it goes on until the time is spent:
    first the greedy solution, then more and more starts over eight views, then samples; a round
    that the limit cuts off is dropped.

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

    def solve(
        self,
        env: RoutingEnv,
        instance: TensorDict,
        time_limit: float | None = None,
        seed: int = 0,
        start: Solution | None = None,
    ) -> Solution:
        begun = time.perf_counter()
        refuse_hopeless(env, instance, time_limit)
        released = self.policy or default_policy(env)
        wide, placed = released.adapt(env, instance.to(self.device))
        policy = released.policy.to(self.device)
        best, actions, trace = float("inf"), list[int](), list[tuple[float, float]]()
        try:
            for search, rng in self._rounds(wide, placed, time_limit, seed):
                limit = None if time_limit is None or best == float("inf") else begun + time_limit
                row, cost = search(wide, policy, placed, rng, limit).best()
                now = time.perf_counter() - begun
                if float(cost[0]) < best:
                    best, actions = float(cost[0]), row[0].tolist()
                    trace.append((now, best))
                if time_limit is not None and now >= time_limit:
                    break  # small instances are done before a rollout looks at the clock
        except OutOfTime:
            pass  # the best of the rounds before
        routes = wide.visits.routes(placed.cpu(), actions)
        seconds = time.perf_counter() - begun
        name = f"policy {released.name} (nco {__version__})"
        return never_worse(judge(env, instance, routes, seconds, name, trace), start)

    def _rounds(
        self, env: RoutingEnv, instance: TensorDict, time_limit: float | None, seed: int
    ) -> Iterator[tuple[Search, torch.Generator]]:
        """What to run one after another; the first always completes, whatever the limit."""
        starts = max(1, min(env.num_customers(instance), WORK // num_nodes(instance)))

        def rng(*keys: int) -> torch.Generator:
            return seeded(seed, *keys, device=self.device)

        if time_limit is None:
            yield self.search or Augment(MultiStart(starts)), rng()
            return
        yield Single(), rng()
        if self.search is not None:
            yield self.search, rng(0)
        else:
            few = 1
            while few < starts:
                yield Augment(MultiStart(few)), rng(0)
                few *= 4
            yield Augment(MultiStart(starts)), rng(0)
        for k in count(1):
            yield Augment(Single(Sampling(), min(starts, 16))), rng(k)
