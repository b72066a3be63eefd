"""The whole instance, searched by all workers, who tell each other the best solution."""

import time
from collections.abc import Sequence

from nco.envs import Route
from nco.solvers.hybrid.engines import Engine, Found, Task
from nco.solvers.hybrid.incumbent import Incumbent
from nco.solvers.hybrid.proposals import Proposals, Propose
from nco.solvers.hybrid.worker_pool import HERE, WorkerDied, WorkerPool

MIN_SHARE = 0.03  # of the time that a round is worth beginning for
TOGETHER = 0.45  # of the time, after which every worker goes on from the best


class CooperativeSearch:
    """
    A stretch of the time in which all workers search the whole instance.

    Parameters
    ----------
    incumbent
        Takes what is found.
    pool
        The workers.
    kind
        What they search with.
    share
        Of the time, when it is over.
    """

    def __init__(
        self, incumbent: Incumbent, pool: WorkerPool, kind: type[Engine], share: float = 1.0
    ):
        self.incumbent, self.pool, self.kind, self.share = incumbent, pool, kind, share

    @property
    def end(self) -> float:
        """When the last round ends."""
        return min(self.incumbent.at(self.share), self.incumbent.stop)

    @property
    def cut(self) -> float:
        """When to stop waiting for workers."""
        return self.incumbent.cut - (1 - self.share) * self.incumbent.limit

    def begin(self, propose: Propose | None = None) -> None:
        """Sets all idle workers to work; the last one proposes before it searches."""
        workers = list(self.pool.idle)
        if propose is not None and workers:
            self.pool.submit(workers.pop(), propose)
        for worker in workers:
            self._search(worker, self.incumbent.routes)

    def improve(self) -> None:
        """Goes on until the time is over or no worker is left."""
        incumbent, pool = self.incumbent, self.pool
        while pool.busy and time.perf_counter() < self.cut:
            for worker, result in pool.wait(self.cut - time.perf_counter()):
                if isinstance(result, Found):
                    incumbent.offer(result.routes)
                    self._search(worker, incumbent.routes if self._lags(result) else ())
                elif isinstance(result, Proposals):
                    for routes in result.solutions:
                        incumbent.offer(routes)
                    self._search(
                        worker, result.solutions[0] if result.solutions else incumbent.routes
                    )
                elif not isinstance(result, WorkerDied):
                    incumbent.refusal = result
                elif HERE in pool.idle:  # the last one died
                    self._search(HERE, incumbent.routes)

    def _search(self, worker: int, routes: Sequence[Route]) -> None:
        """Has an idle worker search until the next end of a round, if there is one."""
        now = time.perf_counter()
        variant = max(0, worker)
        ends = [
            min(self.incumbent.at(share * self.share), self.end)
            for share in self.kind.ends(variant)
        ]
        ahead = [end for end in ends if end - now > MIN_SHARE * self.incumbent.limit]
        if ahead:
            task = Task(ahead[0], self.incumbent.seed + variant, tuple(routes), variant)
            self.pool.submit(worker, task)

    def _lags(self, found: Found) -> bool:
        """Whether a worker had better go on from the best."""
        incumbent = self.incumbent
        if incumbent.best is None or time.perf_counter() < incumbent.at(TOGETHER * self.share):
            return False
        return (
            not found.routes
            or incumbent.env.routes_cost(incumbent.instance, found.routes) > incumbent.best.value
        )
