"""The routes of a large solution while parts of it are improved."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.decoding.subproblems import vehicles_away
from nco.envs import Route, RoutingEnv
from nco.solvers.hybrid.neighbourhood_selection import Neighbourhood, NeighbourhoodSelection

FEATURES = 6


@dataclass
class _Entry:
    """
    A route and its past.

    Parameters
    ----------
    route
        What it drives.
    centre
        Mean of its customers' coordinates, ``[2]``.
    cost
        Cost for each customer.
    tries
        How often it was part of a part.
    gain
        What a second then gave, the last time.
    when
        How many parts had been tried by then.
    """

    route: Route
    centre: NDArray[np.float64]
    cost: float
    tries: int = 0
    gain: float = 0.0
    when: int = 0


class RoutePool:
    """
    Routes by key, those that are being improved apart.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1), with coordinates.
    routes
        The solution to begin with.
    size
        Customers of a part.
    """

    def __init__(self, env: RoutingEnv, instance: TensorDict, routes: Sequence[Route], size: int):
        self.env, self.instance, self.size = env, instance, size
        self._locs = instance["locs"][0].double().cpu().numpy()
        self._entries: dict[int, _Entry] = {}
        self._away: set[int] = set()
        self._next = self._tries = 0
        self._best_gain = 0.0
        for route in routes:
            self._add(_Entry(route, self._centre(route), self._cost(route)))
        self._mean = float(np.mean([entry.cost for entry in self._entries.values()]))

    @property
    def routes(self) -> tuple[Route, ...]:
        """The solution as it stands."""
        return tuple(entry.route for entry in self._entries.values())

    def routes_of(self, part: Neighbourhood) -> tuple[Route, ...]:
        """The routes of a part."""
        return tuple(self._entries[key].route for key in part.routes)

    def away(self, part: Neighbourhood) -> dict[int, int]:
        """Vehicles of each depot node that a part which was taken may not use."""
        mine = set(part.routes)
        others = [entry.route for key, entry in self._entries.items() if key not in mine]
        share = (0, 1) if self._away <= mine else None  # of parts under way, one only has more
        return vehicles_away(self.instance, self.routes_of(part), others, share)

    def take(
        self, choice: NeighbourhoodSelection, rng: np.random.Generator
    ) -> Neighbourhood | None:
        """A part of routes that no worker improves at the moment; None where there is none."""
        free = [key for key in self._entries if key not in self._away]
        if not free:
            return None
        centres = np.array([self._entries[key].centre for key in free])
        seeds = rng.choice(len(free), min(choice.candidates, len(free)), replace=False)
        parts = [self._around(free, centres, int(seed)) for seed in seeds]
        part = choice.pick(parts)
        self._away.update(part.routes)
        return part

    def _around(
        self, free: Sequence[int], centres: NDArray[np.float64], seed: int
    ) -> Neighbourhood:
        """The routes nearest to one, as many as the size allows."""
        order = np.argsort(((centres - centres[seed]) ** 2).sum(-1), kind="stable")
        keys, customers = list[int](), 0
        for index in order.tolist():
            more = len(self._entries[free[index]].route.visits)
            if keys and customers + more > self.size:
                break
            keys.append(free[index])
            customers += more
        return Neighbourhood(tuple(keys), self._features([self._entries[key] for key in keys]))

    def _features(self, entries: Sequence[_Entry]) -> NDArray[np.float64]:
        """What may tell how much a part has to give; all of the order of one."""
        ages = [self._tries - entry.when for entry in entries]
        return np.array(
            [
                1.0,
                np.mean([entry.tries == 0 for entry in entries]),
                np.mean([1 / (1 + entry.tries) for entry in entries]),
                np.mean([entry.gain for entry in entries]) / (self._best_gain or 1.0),
                np.log1p(np.mean(ages)) / np.log1p(self._tries + 1),
                np.mean([entry.cost for entry in entries]) / self._mean,
            ]
        )

    def put(self, part: Neighbourhood, routes: Sequence[Route], seconds: float) -> float:
        """
        Puts a part back, improved or as it was.

        Parameters
        ----------
        part
            What `take` gave.
        routes
            Its routes now; empty where nothing was found.
        seconds
            How long it was worked on.

        Returns
        -------
        float
            By how much the cost fell.
        """
        old = [self._entries[key] for key in part.routes]
        self._away.difference_update(part.routes)
        gain = 0.0
        if routes:
            before = self.env.routes_cost(self.instance, [entry.route for entry in old])
            gain = before - self.env.routes_cost(self.instance, routes)
        rate = max(0.0, gain) / seconds
        self._tries += 1
        self._best_gain = max(self._best_gain, rate)
        tries = 1 + round(float(np.mean([entry.tries for entry in old])))
        kept = routes if gain > 0 else [entry.route for entry in old]
        for key in part.routes:
            del self._entries[key]
        for route in kept:
            if route.visits:
                entry = _Entry(route, self._centre(route), self._cost(route))
                entry.tries, entry.gain, entry.when = tries, rate, self._tries
                self._add(entry)
        return max(0.0, gain)

    def _add(self, entry: _Entry) -> None:
        self._entries[self._next] = entry
        self._next += 1

    def _centre(self, route: Route) -> NDArray[np.float64]:
        centre: NDArray[np.float64] = self._locs[list(route.visits)].mean(0)
        return centre

    def _cost(self, route: Route) -> float:
        return self.env.routes_cost(self.instance, [route]) / len(route.visits)
