"""PyVRP's local search, kept going, with penalties that fit the instance."""

import time
import warnings
from collections import deque
from collections.abc import Sequence

import numpy as np
import pyvrp
from numpy.typing import ArrayLike
from pyvrp.exceptions import PenaltyBoundWarning
from pyvrp.PenaltyManager import PenaltyManager, PenaltyParams
from pyvrp.search import (
    OPERATORS,
    LocalSearch,
    NeighbourhoodParams,
    PerturbationManager,
    compute_neighbours,
)
from tensordict import TensorDict

from nco.envs import Route, RoutingEnv
from nco.solvers.pyvrp.solver import data_model, initial_solution, routes_of

UPDATE = 500  # iterations between looks at whether penalties fit
# Solutions of late acceptance. PyVRP's 300 are for longer runs; a part is a small instance, which
# has as many iterations in less time.
HISTORY, PART_HISTORY = 100, 300
# Of a customer, as in HGS; PyVRP's 50 take twice the time for each iteration. Who is near in space
# and time is a matter of judgement, so that there it takes more.
NEIGHBOURS, TIMED_NEIGHBOURS = 20, 40
Penalties = tuple[list[float], float, float]  # of a unit of each load, of duration, of distance


class PyVRPSearch:
    """
    Iterated local search with late acceptance, as PyVRP's own (which restarts when called again).

    Three things differ. Penalties begin where an average amount too much costs an average leg, not
    in the middle of what they may ever be: those take more iterations to come down than a short run
    has. Moves are tried among fewer neighbours, which makes twice the iterations of the same time.
    And the search goes on where it stopped, so that processes can exchange what they found.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).

    Raises
    ------
    InputError
        PyVRP cannot express the problem.
    """

    def __init__(self, env: RoutingEnv, instance: TensorDict):
        self.model = data_model(env, instance)
        self.data = self.model.build()
        self._best: pyvrp.Solution | None = None

    def begin(
        self,
        routes: Sequence[Route],
        seed: int,
        strength: float = 1.0,
        multiples: Penalties | None = None,
        history: int = HISTORY,
    ) -> None:
        """
        Starts a search.

        Parameters
        ----------
        routes
            A feasible solution; empty to let PyVRP make one.
        seed
            Of all randomness.
        strength
            Multiple of the penalties that are estimated.
        multiples
            Those of an earlier search, which has left nothing to improve at once, instead of one
            strength for all penalties.
        history
            Solutions of late acceptance.
        """
        self._length = history
        rng = pyvrp.RandomNumberGenerator(seed % 2**32)
        near = TIMED_NEIGHBOURS if self.model.timed else NEIGHBOURS
        self._search = LocalSearch(
            self.data,
            rng,
            compute_neighbours(self.data, NeighbourhoodParams(num_neighbours=near)),
            PerturbationManager(),
        )
        for operator in OPERATORS:
            if operator.supports(self.data):
                self._search.add_operator(operator(self.data))
        parameters = PenaltyParams(solutions_between_updates=UPDATE)
        self._unit = estimate(self.data) or parameters.midpoint_penalties(self.data)
        loads = [strength] * self.data.num_load_dimensions
        begin = _times(multiples or (loads, strength, strength), self._unit)
        self._penalties = PenaltyManager(begin, parameters)
        start = self._read(routes)
        if start is not None and multiples is not None:
            self._adopt(start)
            return
        rough = start or pyvrp.Solution.make_random(self.data, rng)
        better = self._search(rough, self._penalties.max_cost_evaluator(), exhaustive=True)
        self._adopt(better if start is None or better.is_feasible() else start)

    @property
    def begun(self) -> bool:
        """Whether there is a solution to go on from."""
        return self._best is not None

    @property
    def multiples(self) -> Penalties:
        """What the search has made of the estimated penalties: of use for similar instances."""
        loads, duration, distance = self._unit
        inverse = [1 / load for load in loads], 1 / duration, 1 / distance
        return _times(self._penalties.penalties(), inverse)

    def adopt(self, routes: Sequence[Route]) -> None:
        """Goes on from another solution."""
        found = self._read(routes)
        if found is not None:
            self._adopt(found)

    def _read(self, routes: Sequence[Route]) -> pyvrp.Solution | None:
        if not routes:
            return None
        return initial_solution(self.data, self.model, routes)

    def _adopt(self, solution: pyvrp.Solution) -> None:
        self._best = self._current = self._first = solution
        self._history: deque[pyvrp.Solution] = deque(maxlen=self._length)

    def run(self, deadline: float) -> tuple[Route, ...]:
        """
        Goes on until a value of `time.perf_counter`.

        Returns
        -------
        tuple of Route
            The best solution; empty while there is no feasible one.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PenaltyBoundWarning)  # the judge tells
            return self._run(deadline)

    def _run(self, deadline: float) -> tuple[Route, ...]:
        assert self._best is not None
        costs = self._penalties.cost_evaluator()
        while time.perf_counter() < deadline:
            costs = self._penalties.cost_evaluator()
            found = self._search(self._current, costs, exhaustive=False)
            self._penalties.register(found)
            if costs.cost(found) < costs.cost(self._best):
                self._best = found
                found = self._search(found, costs, exhaustive=True)
                if found.is_feasible() and costs.cost(found) < costs.cost(self._best):
                    self._best = found
            self._accept(found, costs)
        if not self._best.is_feasible():
            return ()
        return tuple(self.model.given.shape.leave(routes_of(self.model, self._best)))

    def _accept(self, found: pyvrp.Solution, costs: pyvrp.CostEvaluator) -> None:
        """Late acceptance (Burke and Bykov 2017), with both enhancements of section 4.2."""
        full = len(self._history) == self._length
        late = self._history[0] if full else self._first
        bound, now = costs.penalised_cost(late), costs.penalised_cost(self._current)
        cost = costs.penalised_cost(found)
        if cost < bound or cost < now:
            self._current, now = found, cost
        # Appending drops the oldest, so an entry that is to stay goes round to the end.
        self._history.append(self._current if now < bound or not full else late)


def estimate(data: pyvrp.ProblemData) -> Penalties | None:
    """Penalties under which an average amount too much costs an average leg; None of free legs."""
    kind = data.vehicle_type(0)
    rows = slice(None, None, max(1, data.num_locations // 500))
    distance = data.distance_matrix(kind.profile)[rows]
    duration = data.duration_matrix(kind.profile)[rows]
    legs = kind.unit_distance_cost * distance + kind.unit_duration_cost * duration
    leg = float(np.median(legs))
    if not leg > 0:
        return None
    amounts = [
        [max(c.delivery[k], c.pickup[k]) for c in data.clients()]
        + [s.amount[k] for s in data.shipments()]
        for k in range(data.num_load_dimensions)
    ]
    loads = [leg / _mean_positive(values) for values in amounts]
    times = leg / _mean_positive(duration.flatten())
    return loads, times, leg / _mean_positive(distance.flatten())


def _times(a: Penalties, b: Penalties) -> Penalties:
    loads = [float(x * y) for x, y in zip(a[0], b[0], strict=True)]
    return loads, float(a[1] * b[1]), float(a[2] * b[2])


def _mean_positive(values: ArrayLike) -> float:
    array = np.asarray(values, dtype=float)
    return float(array[array > 0].mean()) if (array > 0).any() else 1.0
