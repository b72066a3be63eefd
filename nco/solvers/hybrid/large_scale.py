"""A large instance, part by part, all workers at once."""

import time

import numpy as np

from nco.data.instance import num_depots, num_nodes
from nco.decoding.subproblems import nodes_of
from nco.solvers.hybrid.engines import Found, Routes, Task
from nco.solvers.hybrid.incumbent import Run
from nco.solvers.hybrid.local_search import Penalties
from nco.solvers.hybrid.neighbourhood_selection import LearnedSelection, Part, RandomSelection
from nco.solvers.hybrid.route_pool import FEATURES, RoutePool
from nco.solvers.hybrid.worker_pool import WorkerPool

SIZE = 250  # customers of a part
VISITS = 4  # times that each part is worked on within the limit
SHORTEST, LONGEST = 0.2, 5.0  # seconds for a part
FIRST = 0.3  # of the time, for a first solution where there is none


def construct(run: Run, crew: WorkerPool) -> None:
    """
    A first solution: clusters of customers, each solved from nothing.

    Parameters
    ----------
    run
        Takes it.
    crew
        The workers.
    """
    clusters = _clusters(run)
    seconds = FIRST * run.limit * max(1, len(crew.idle)) / len(clusters)
    waiting = [tuple(nodes_of(run.instance, cluster)) for cluster in clusters]
    found: list[Routes] = []
    while (waiting or crew.busy) and time.perf_counter() < run.stop:
        for worker in list(crew.idle):
            if waiting:
                deadline = time.perf_counter() + seconds
                crew.submit(worker, Task(deadline, run.seed, nodes=waiting.pop()))
        found += [r.routes for _, r in crew.wait(run.stop - time.perf_counter()) if _is(r)]
    run.offer([route for routes in found for route in routes])


def _clusters(run: Run) -> list[list[int]]:
    """Customers halved along their longer axis until parts are small; shipments stay together."""
    locs = run.instance["locs"][0].double().numpy()
    customers = np.arange(num_depots(run.instance), num_nodes(run.instance))
    place = locs.copy()
    if "delivery" in run.instance.keys():
        delivery = run.instance["delivery"][0].numpy()
        pickups = np.flatnonzero(delivery)
        place[delivery[pickups]] = locs[pickups]
    clusters = [customers]
    while max(len(cluster) for cluster in clusters) > SIZE:
        halves = []
        for cluster in clusters:
            axis = int(np.ptp(place[cluster], axis=0).argmax())
            middle = np.median(place[cluster, axis])
            low = place[cluster, axis] < middle
            if not low.any():  # many at one place
                low = np.arange(len(cluster)) < len(cluster) // 2
            halves += [cluster[low], cluster[~low]]
        clusters = halves
    return [cluster.tolist() for cluster in clusters]


def improve_parts(run: Run, crew: WorkerPool, learned: bool) -> None:
    """
    Improves neighbouring routes until the time is over or nobody is left.

    Parameters
    ----------
    run
        Has a solution, and takes better ones.
    crew
        The workers.
    learned
        Whether which parts are worth it is learned, or left to chance.
    """
    book = RoutePool(run.env, run.instance, run.routes, SIZE)
    choice = LearnedSelection(FEATURES) if learned else RandomSelection()
    rng = np.random.default_rng(run.seed)
    cores = max(1, len(crew.idle))
    customers = run.env.num_customers(run.instance)
    share = run.limit * cores * SIZE / customers / VISITS
    seconds = min(LONGEST, max(SHORTEST, share))
    multiples: Penalties | None = None
    under_way: dict[int, tuple[Part, float]] = {}
    cost = run.best.cost if run.best is not None else 0.0
    tries = 0
    while time.perf_counter() < run.cut:
        now = time.perf_counter()
        for worker in list(crew.idle) if run.stop - now > SHORTEST / 2 else ():
            part = book.take(choice, rng)
            if part is None:
                break
            routes = book.routes_of(part)
            nodes = nodes_of(run.instance, [node for route in routes for node in route.visits])
            tries += 1
            task = Task(
                deadline=min(now + seconds, run.stop),
                seed=run.seed + tries,
                routes=routes,
                multiples=multiples,
                nodes=tuple(nodes),
                away=book.away(part),
            )
            under_way[worker] = part, now
            crew.submit(worker, task)
        if not crew.busy:
            break
        for worker, found in crew.wait(run.cut - time.perf_counter()):
            part, since = under_way.pop(worker)
            spent = time.perf_counter() - since
            if not _is(found):
                book.put(part, (), spent)
                continue
            gain = book.put(part, found.routes, spent)
            choice.learn(part, gain / spent)
            multiples = found.multiples
            if gain > 0:
                cost -= gain
                run.trace.append((time.perf_counter() - run.began, cost))
    run.offer(book.routes)


def _is(found: object) -> bool:
    return isinstance(found, Found)
