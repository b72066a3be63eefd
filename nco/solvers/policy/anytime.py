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
from nco.solvers.heuristics.nearest_neighbour import nearest_neighbour
from nco.solvers.model.missing_arcs import bridged

WORK = 20_000  # rollouts of one view times nodes that one round of decoding holds at most
WHOLE = 100  # customers up to which an instance is decoded as a whole first
SECTOR = 80  # customers of a part of a large instance
PIECE = 50  # customers of a piece in re-construction, about
TOUR_PIECE = (10, 100)  # nodes of a path, at least and at most: long ones undo early mistakes
STARTS = 8  # rollouts of each piece
MATRIX = 2_000  # nodes up to which a tour begins with all distances in memory
LEARN = 200  # customers up to which the policy adapts to the instance
SHARE = 0.25  # of the time that goes to multi-starts where pieces can be solved anew
TOGETHER = 50  # sectors that are decoded at once
# Seconds a customer, and a pair of them, that a policy takes to encode them, at least.
ENCODING, ENCODING_PAIRS = 5e-5, 4e-8
VIEWS = 8  # by which a multi-start takes longer than the first greedy rollout, at most


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
    al. 2024); large instances with one depot in sectors, each decoded by itself. Up to `WHOLE`
    customers that is there whatever the limit; of more, where the time allows. Then multi-starts
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
    reserve
        Seconds before the limit by which the work has to end: for the checks that follow, and for
        what else is to be done where the policy finds nothing in time.
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
        reserve: float = 0.0,
    ):
        self.env, self.policy, self.instance, self.seed = env, policy, instance, seed
        self.begun, self.time_limit, self.search = begun, time_limit, search
        self.deadline = begun + time_limit - reserve
        self.took = 0.0  # seconds of the first greedy rollout
        self.cut = _cut_of(env)
        self.customers = env.num_customers(instance)
        self.starts = quick_starts(env, instance)

    def first(self) -> Iterator[Routes]:
        """Solutions that are there whatever the limit, or none where there are many customers."""
        large = self.customers > WHOLE
        if isinstance(self.cut, TourCut):
            few = num_nodes(self.instance) <= MATRIX
            construct = farthest_insertion if few else nearest_neighbour
            yield (Route(tuple(construct(bridged(self.instance))), None, None),)
            if large:  # pieces of it soon are better than the greedy tour
                return
        sectors = self.cut if large and not isinstance(self.cut, TourCut) else None
        pairs = 0 if sectors is not None else self.customers**2
        least = ENCODING * self.customers + ENCODING_PAIRS * pairs
        if large and time.perf_counter() + least > self.deadline:
            return
        try:
            if sectors is not None and (routes := self._sectors(sectors)):
                yield routes
                return
            since = time.perf_counter()
            yield from self._run(Single(), self.deadline if large else None)
            self.took = time.perf_counter() - since
        except OutOfTime:
            return

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
            took = VIEWS * self.took
            for k in count(1):
                since = time.perf_counter()
                if since + took > self.deadline:  # what the limit cuts off is lost
                    return
                samples = Augment(Single(Sampling(), min(self.starts, 16)))
                yield from self._run(samples, self.deadline, k)
                took = time.perf_counter() - since
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
        few, took = 1, VIEWS * self.took / 3
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
            rng = seeded(self.seed, 1, device=self._device())
            found = [
                pair
                for begin in range(0, len(pieces), TOGETHER)
                for pair in rebuilder(pieces[begin : begin + TOGETHER], rng, self.deadline)
            ]
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
