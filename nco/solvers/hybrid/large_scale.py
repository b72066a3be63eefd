"""A large instance, part by part, all workers at once."""

import time

import numpy as np

from nco.data.instance import num_depots, num_nodes
from nco.decoding.subproblems import nodes_of
from nco.solvers.hybrid.engines import Found, Routes, Task
from nco.solvers.hybrid.incumbent import Incumbent
from nco.solvers.hybrid.local_search import Penalties
from nco.solvers.hybrid.neighbourhood_selection import (
    LearnedSelection,
    Neighbourhood,
    RandomSelection,
)
from nco.solvers.hybrid.route_pool import FEATURES, RoutePool
from nco.solvers.hybrid.worker_pool import WorkerPool

SIZE = 250  # customers of a part
VISITS = 4  # times that each part is worked on within the limit
MIN_SECONDS, MAX_SECONDS = 0.2, 5.0  # seconds for a part
FIRST = 0.3  # of the time, for a first solution where there is none


def construct(incumbent: Incumbent, pool: WorkerPool) -> None:
    """
    A first solution: clusters of customers, each solved from nothing.

    Parameters
    ----------
    incumbent
        Takes it.
    pool
        The workers.
    """
    clusters = _clusters(incumbent)
    seconds = FIRST * incumbent.limit * max(1, len(pool.idle)) / len(clusters)
    waiting = [tuple(nodes_of(incumbent.instance, cluster)) for cluster in clusters]
    found: list[Routes] = []
    while (waiting or pool.busy) and time.perf_counter() < incumbent.stop:
        for worker in list(pool.idle):
            if waiting:
                deadline = time.perf_counter() + seconds
                pool.submit(worker, Task(deadline, incumbent.seed, nodes=waiting.pop()))
        found += [r.routes for _, r in pool.wait(incumbent.stop - time.perf_counter()) if _is(r)]
    incumbent.offer([route for routes in found for route in routes])


def _clusters(incumbent: Incumbent) -> list[list[int]]:
    """Customers halved along their longer axis until parts are small; shipments stay together."""
    locs = incumbent.instance["locs"][0].double().numpy()
    customers = np.arange(num_depots(incumbent.instance), num_nodes(incumbent.instance))
    place = locs.copy()
    if "delivery" in incumbent.instance.keys():
        delivery = incumbent.instance["delivery"][0].numpy()
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


def improve_parts(incumbent: Incumbent, pool: WorkerPool, learned: bool) -> None:
    """
    Improves neighbouring routes until the time is over or no worker is left.

    Parameters
    ----------
    incumbent
        Has a solution, and takes better ones.
    pool
        The workers.
    learned
        Whether which parts are worth it is learned, or left to chance.
    """
    route_pool = RoutePool(incumbent.env, incumbent.instance, incumbent.routes, SIZE)
    choice = LearnedSelection(FEATURES) if learned else RandomSelection()
    rng = np.random.default_rng(incumbent.seed)
    cores = max(1, len(pool.idle))
    customers = incumbent.env.num_customers(incumbent.instance)
    share = incumbent.limit * cores * SIZE / customers / VISITS
    seconds = min(MAX_SECONDS, max(MIN_SECONDS, share))
    multiples: Penalties | None = None
    under_way: dict[int, tuple[Neighbourhood, float]] = {}
    cost = incumbent.best.value if incumbent.best is not None else 0.0
    tries = 0
    while time.perf_counter() < incumbent.cut:
        now = time.perf_counter()
        for worker in list(pool.idle) if incumbent.stop - now > MIN_SECONDS / 2 else ():
            part = route_pool.take(choice, rng)
            if part is None:
                break
            routes = route_pool.routes_of(part)
            nodes = nodes_of(
                incumbent.instance, [node for route in routes for node in route.visits]
            )
            tries += 1
            task = Task(
                deadline=min(now + seconds, incumbent.stop),
                seed=incumbent.seed + tries,
                routes=routes,
                multiples=multiples,
                nodes=tuple(nodes),
                away=route_pool.away(part),
            )
            under_way[worker] = part, now
            pool.submit(worker, task)
        if not pool.busy:
            break
        for worker, found in pool.wait(incumbent.cut - time.perf_counter()):
            part, since = under_way.pop(worker)
            spent = time.perf_counter() - since
            if not _is(found):
                route_pool.put(part, (), spent)
                continue
            gain = route_pool.put(part, found.routes, spent)
            choice.learn(part, gain / spent)
            multiples = found.multiples
            if gain > 0:
                cost -= gain
                incumbent.trace.append((time.perf_counter() - incumbent.began, cost))
    incumbent.offer(route_pool.routes)


def _is(found: object) -> bool:
    return isinstance(found, Found)
