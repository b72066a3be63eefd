"""Solutions that a policy proposes, many and different."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tensordict import TensorDict

from nco.data.instance import num_nodes
from nco.data.seeding import seeded
from nco.decoding import Augment, MultiStart, OutOfTime, Search, Single
from nco.envs import Route, RoutingEnv
from nco.hub.released import Released

WORK = 20_000  # rollouts of one view times nodes that one round of decoding holds at most


@dataclass(frozen=True)
class Propose:
    """
    A task: what does the policy propose?

    Parameters
    ----------
    deadline
        Value of `time.perf_counter`; what is under way then is dropped.
    seed
        Of all randomness.
    count
        Solutions wanted at most.
    """

    deadline: float
    seed: int
    count: int = 4


@dataclass(frozen=True)
class Proposals:
    """Feasible solutions, the cheapest first; none if the time was too short."""

    solutions: tuple[tuple[Route, ...], ...]


@dataclass(frozen=True)
class Proposer:
    """
    A policy's different solutions: greedy, then from more and more starts over eight views.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).
    released
        The policy, trained for this problem.
    device
        Where to decode.
    search
        What to run after the greedy rollout instead.
    """

    env: RoutingEnv
    instance: TensorDict
    released: Released
    device: torch.device
    search: Search | None = None

    def __call__(self, task: Propose) -> Proposals:
        """The best that the policy finds until the deadline."""
        wide, placed = self.released.adapt(self.env, self.instance.to(self.device))
        policy = self.released.policy.to(self.device)
        found: dict[float, tuple[Route, ...]] = {}
        try:
            for k, search in enumerate(_rounds(self.env, self.instance, self.search)):
                rng = seeded(task.seed, k, device=self.device)
                rollouts = search(wide, policy, placed, rng, task.deadline)
                costs = rollouts.cost[0]
                for index in costs.argsort()[: task.count].tolist():
                    # Of equal costs one will do: they are the same routes, as good as always.
                    actions = rollouts.actions[0, index].tolist()
                    routes = wide.visits.routes(placed.cpu(), actions)
                    found.setdefault(float(costs[index]), tuple(routes))
        except OutOfTime:
            pass  # what was found before
        best = [found[cost] for cost in sorted(found)[: task.count]]
        return Proposals(tuple(r for r in best if not self.env.check(self.instance, r)))


def _rounds(env: RoutingEnv, instance: TensorDict, search: Search | None) -> Iterator[Search]:
    yield Single()
    if search is not None:
        yield search
        return
    yield Augment(Single())
    most = max(1, min(env.num_customers(instance), WORK // num_nodes(instance)))
    starts = 2
    while starts < most:
        yield Augment(MultiStart(starts))
        starts *= 3
    yield Augment(MultiStart(most))
