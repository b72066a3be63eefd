"""What a policy does with its time: solutions of one instance, one after another."""

import time
from collections.abc import Iterator
from itertools import count

import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.data.seeding import seeded
from nco.decoding.active_search import ActiveSearch
from nco.decoding.reconstruction import Rebuilder, draw_size, rebuild
from nco.decoding.rollout import OutOfTime
from nco.decoding.search import Augment, MultiStart, Search, Single
from nco.decoding.strategies import Sampling
from nco.decoding.subproblems import Cut, Routes, TourCut, find_cut, sectors
from nco.envs import Route, RoutingEnv
from nco.policies import Policy
from nco.solvers.heuristics.insertion import farthest_insertion
from nco.solvers.model.missing_arcs import bridged

WORK = 20_000  # rollouts of one view times nodes that one round of decoding holds at most
WHOLE = 100  # customers up to which an instance is decoded as a whole first
SECTOR = 80  # customers of a part of a large instance
PIECE = 50  # customers of a piece in re-construction, about
TOUR_PIECE = (10, 100)  # nodes of a path, at least and at most: long ones undo early mistakes
STARTS = 8  # rollouts of each piece
MATRIX = 5_000  # nodes up to which all distances are held in memory
LEARN = 200  # customers up to which the policy adapts to the instance
SHARE = 0.25  # of the time that goes to multi-starts where pieces can be solved anew


def quick_starts(env: RoutingEnv, instance: TensorDict) -> int:
    """As many starts of an instance as are quick."""
    return max(1, min(env.num_customers(instance), WORK // num_nodes(instance)))


def _cut_of(env: RoutingEnv) -> Cut | None:
    """How solutions are cut, or None where they cannot be."""
    try:
        return find_cut(env)
    except InputError:
        return None


class Anytime:
    """
    Solutions of one instance, until the time is over.

    First something quick: the greedy solution; of tours a farthest insertion too, as in GLOP (Ye et
    al. 2024); large instances with one depot in sectors, each decoded by itself. Then multi-starts
    over eight views, as many as a part of the time allows. Then, where a part of a solution is a
    solution of its own, random re-construction, else efficient active search.

    Parameters
    ----------
    env, policy, instance
        The problem, the network in evaluation mode, and one instance.
    begun, time_limit
        Value of `time.perf_counter` at the start, and seconds from there.
    seed
        Of all randomness.
    search
        What to run in the place of the multi-starts.
    """

    def __init__(
        self,
        env: RoutingEnv,
        policy: Policy,
        instance: TensorDict,
        begun: float,
        time_limit: float,
        seed: int,
        search: Search | None = None,
    ):
        self.env, self.policy, self.instance, self.seed = env, policy, instance, seed
        self.begun, self.time_limit, self.search = begun, time_limit, search
        self.deadline = begun + time_limit
        self.cut = _cut_of(env)
        self.customers = env.num_customers(instance)
        self.starts = quick_starts(env, instance)

    def first(self) -> Iterator[Routes]:
        """Solutions that are there whatever the limit."""
        large = self.customers > WHOLE
        if isinstance(self.cut, TourCut) and num_nodes(self.instance) <= MATRIX:
            yield (Route(tuple(farthest_insertion(bridged(self.instance))), None, None),)
            if large:  # pieces of it soon are better than the greedy tour
                return
        elif self.cut is not None and large and (routes := self._sectors(self.cut)):
            yield routes
            return
        yield from self._run(Single(), None)

    def more(self) -> Iterator[Routes]:
        """Further solutions, each the best of one round of decoding."""
        try:
            if self.search is not None:
                yield from self._run(self.search, self.deadline)
            elif self.cut is None or self.customers <= WHOLE:
                yield from self._multi_starts(self.time_limit * (SHARE if self.cut else 0.5))
        except OutOfTime:
            return

    def improve(self, routes: Routes) -> Iterator[Routes]:
        """The solution itself, better and better; without end but for the deadline."""
        if self.cut is not None:
            yield from self._rebuilt(self.cut, routes)
            return
        try:
            if self.customers <= LEARN:
                yield from self._run(ActiveSearch(iterations=10**9), self.deadline)
        except InputError:
            pass  # a policy without what could learn
        except OutOfTime:
            return
        try:
            for k in count(1):
                samples = Augment(Single(Sampling(), min(self.starts, 16)))
                yield from self._run(samples, self.deadline, k)
        except OutOfTime:
            return

    def over(self) -> bool:
        """Whether the time is."""
        return time.perf_counter() >= self.deadline

    def _run(self, search: Search, deadline: float | None, *keys: int) -> Iterator[Routes]:
        rng = seeded(self.seed, *(keys or (0,)), device=self._device())
        actions, _ = search(self.env, self.policy, self.instance, rng, deadline).best()
        yield self.env.visits.routes(self.instance.cpu(), actions[0].tolist())

    def _multi_starts(self, seconds: float) -> Iterator[Routes]:
        """More and more starts, as long as the next ones can be expected in time."""
        few, took = 1, 0.0
        while time.perf_counter() - self.begun + 3 * took < seconds:
            since = time.perf_counter()
            yield from self._run(Augment(MultiStart(few)), self.deadline)
            took = time.perf_counter() - since
            if few == self.starts:
                return
            few = min(4 * few, self.starts)

    def _sectors(self, cut: Cut) -> Routes:
        rebuilder = Rebuilder(self.env, self.policy, self.instance, 2, 0, 1)
        pieces = sectors(self.env, self.instance, rebuilder.coords, SECTOR)
        with torch.no_grad():
            found = list(rebuilder(pieces, seeded(self.seed, 1, device=self._device())))
        return tuple(route for pair in found for route in cut.paste((), [pair]))

    def _rebuilt(self, cut: Cut, routes: Routes) -> Iterator[Routes]:
        # Pieces of a small instance are the same ones again: greedy rollouts of them soon are, too.
        sampled = 0.5 if self.customers <= PIECE else 0.1
        rebuilder = Rebuilder(self.env, self.policy, self.instance, STARTS, sampled)
        rng = seeded(self.seed, 2, device=self._device())
        while not self.over():
            if isinstance(cut, TourCut):
                size = int(torch.randint(*TOUR_PIECE, (), generator=rng, device=rng.device))
            else:
                size = draw_size(PIECE, rng)
            with torch.no_grad():
                (routes,), _ = rebuild(rebuilder, cut, [routes], size, rng, self.deadline)
            yield routes

    def _device(self) -> torch.device:
        names = iter(map(str, self.instance.keys()))
        return self.instance[next(names)].device
