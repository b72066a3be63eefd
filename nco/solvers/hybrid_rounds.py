"""The whole instance, searched by all workers, who tell each other the best solution."""

import time
from collections.abc import Sequence

from nco.envs import Route
from nco.solvers.hybrid_crew import HERE, Crew, WorkerDied
from nco.solvers.hybrid_engines import Engine, Found, Task
from nco.solvers.hybrid_proposals import Proposals, Propose
from nco.solvers.hybrid_run import Run

SHORTEST = 0.03  # of the time that a round is worth beginning for
TOGETHER = 0.45  # of the time, after which every worker goes on from the best


def begin(run: Run, crew: Crew, engine: Engine, propose: Propose | None) -> None:
    """
    Sets all workers to work.

    Parameters
    ----------
    run, crew, engine
        See `improve`.
    propose
        For the last worker, before it searches too.
    """
    workers = list(crew.idle)
    if propose is not None:
        crew.submit(workers.pop(), propose)
    for worker in workers:
        crew.submit(worker, _first(run, engine, worker, run.routes))


def _first(run: Run, engine: Engine, worker: int, routes: Sequence[Route]) -> Task:
    variant = max(0, worker)
    deadline = _next(run, engine, worker) or run.stop
    return Task(deadline, run.seed + variant, tuple(routes), variant)


def improve(run: Run, crew: Crew, engine: Engine) -> None:
    """
    Goes on until the time is over or nobody is left.

    Parameters
    ----------
    run
        Takes what is found.
    crew, engine
        The workers, who have begun, and what they search with.
    """
    while crew.busy and time.perf_counter() < run.cut:
        for worker, result in crew.wait(run.cut - time.perf_counter()):
            goes_on = run.stop - time.perf_counter() > SHORTEST * run.limit
            if isinstance(result, Found):
                run.offer(result.routes)
                deadline = _next(run, engine, worker)
                if deadline is not None:
                    routes = run.routes if _lags(run, result) else ()
                    variant = max(0, worker)
                    crew.submit(worker, Task(deadline, run.seed + variant, routes, variant))
            elif isinstance(result, Proposals):
                for routes in result.solutions:
                    run.offer(routes)
                if goes_on:
                    start = result.solutions[0] if result.solutions else run.routes
                    crew.submit(worker, _first(run, engine, worker, start))
            elif not isinstance(result, WorkerDied):
                run.refusal = result
            elif HERE in crew.idle and goes_on:  # the last one
                crew.submit(HERE, _first(run, engine, HERE, run.routes))


def _lags(run: Run, found: Found) -> bool:
    """Whether a worker had better go on from the best."""
    if run.best is None:
        return False
    if time.perf_counter() < run.at(TOGETHER):
        return False
    return not found.routes or run.env.routes_cost(run.instance, found.routes) > run.best.cost


def _next(run: Run, engine: Engine, worker: int) -> float | None:
    """When a round that begins now ends; None where it would be none."""
    now = time.perf_counter()
    ends = [min(run.at(share), run.stop) for share in engine.ends(max(0, worker))]
    ahead = [end for end in ends if end - now > SHORTEST * run.limit]
    return ahead[0] if ahead else None
