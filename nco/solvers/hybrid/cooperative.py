"""The whole instance, searched by all workers, who tell each other the best solution."""

import time
from collections.abc import Sequence

from nco.envs import Route
from nco.solvers.hybrid.engines import Engine, Found, Task
from nco.solvers.hybrid.incumbent import Run
from nco.solvers.hybrid.proposals import Proposals, Propose
from nco.solvers.hybrid.worker_pool import HERE, WorkerDied, WorkerPool

SHORTEST = 0.03  # of the time that a round is worth beginning for
TOGETHER = 0.45  # of the time, after which every worker goes on from the best


class Rounds:
    """
    A stretch of the time in which all workers search the whole instance.

    Parameters
    ----------
    run
        Takes what is found.
    crew
        The workers.
    kind
        What they search with.
    share
        Of the time, when it is over.
    """

    def __init__(self, run: Run, crew: WorkerPool, kind: type[Engine], share: float = 1.0):
        self.run, self.crew, self.kind, self.share = run, crew, kind, share

    @property
    def end(self) -> float:
        """When the last round ends."""
        return min(self.run.at(self.share), self.run.stop)

    @property
    def cut(self) -> float:
        """When nobody waits any more."""
        return self.run.cut - (1 - self.share) * self.run.limit

    def begin(self, propose: Propose | None = None) -> None:
        """Sets all idle workers to work; the last one proposes before it searches."""
        workers = list(self.crew.idle)
        if propose is not None and workers:
            self.crew.submit(workers.pop(), propose)
        for worker in workers:
            self._search(worker, self.run.routes)

    def improve(self) -> None:
        """Goes on until the time is over or nobody is left."""
        run, crew = self.run, self.crew
        while crew.busy and time.perf_counter() < self.cut:
            for worker, result in crew.wait(self.cut - time.perf_counter()):
                if isinstance(result, Found):
                    run.offer(result.routes)
                    self._search(worker, run.routes if self._lags(result) else ())
                elif isinstance(result, Proposals):
                    for routes in result.solutions:
                        run.offer(routes)
                    self._search(worker, result.solutions[0] if result.solutions else run.routes)
                elif not isinstance(result, WorkerDied):
                    run.refusal = result
                elif HERE in crew.idle:  # the last one died
                    self._search(HERE, run.routes)

    def _search(self, worker: int, routes: Sequence[Route]) -> None:
        """Has an idle worker search until the next end of a round, if there is one."""
        now = time.perf_counter()
        variant = max(0, worker)
        ends = [min(self.run.at(share * self.share), self.end) for share in self.kind.ends(variant)]
        ahead = [end for end in ends if end - now > SHORTEST * self.run.limit]
        if ahead:
            task = Task(ahead[0], self.run.seed + variant, tuple(routes), variant)
            self.crew.submit(worker, task)

    def _lags(self, found: Found) -> bool:
        """Whether a worker had better go on from the best."""
        run = self.run
        if run.best is None or time.perf_counter() < run.at(TOGETHER * self.share):
            return False
        return not found.routes or run.env.routes_cost(run.instance, found.routes) > run.best.cost
