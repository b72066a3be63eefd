"""
The routes of a solution shared out among the workers, again and again.

Two searches of one instance find much the same; two searches of half of it each get twice as far,
and every round draws another line between the halves, so that no two neighbours stay apart.
"""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nco.data.instance import num_depots, num_nodes
from nco.decoding.subproblems import nodes_of, vehicles_away
from nco.envs import Route
from nco.solvers.hybrid.engines import Found, Routes, Task
from nco.solvers.hybrid.incumbent import Incumbent
from nco.solvers.hybrid.local_search import Penalties
from nco.solvers.hybrid.worker_pool import WorkerPool

SMALLEST, FEWEST = 30, 3  # customers and routes of a part
PERIOD, MAX_SECONDS = 0.125, 3.0  # share of the time, and seconds at most, that a round takes


def possible(incumbent: Incumbent, workers: int) -> int:
    """How many parts the best solution has for so many workers; less than two are none."""
    customers = incumbent.env.num_customers(incumbent.instance)
    return min(workers, customers // SMALLEST, len(incumbent.routes) // FEWEST)


def improve_halves(incumbent: Incumbent, pool: WorkerPool) -> None:
    """
    Goes on until the time is over, or parts would be too small.

    Parameters
    ----------
    incumbent
        Has a solution, and takes better ones.
    pool
        The workers; what they still do for others is taken too.
    """
    rng = np.random.default_rng(incumbent.seed)
    seconds = min(MAX_SECONDS, PERIOD * incumbent.limit)
    multiples: Penalties | None = None
    tries = 0
    while pool.idle and (count := possible(incumbent, len(pool.idle))) > 1:
        begun = time.perf_counter()
        if incumbent.stop - begun < seconds / 4:
            return
        # A short rest of the time is not worth a round of its own.
        last = incumbent.stop - begun < 1.5 * seconds
        deadline = incumbent.stop if last else begun + seconds
        groups = split(incumbent, incumbent.routes, count, rng)
        count = len(groups)  # a long route may leave none for another part
        tasks, best = dict[int, int](), list(groups)
        for k, worker in enumerate(list(pool.idle)):
            part = k % count  # more workers than parts: the better of two counts
            tries += 1
            pool.submit(
                worker, _task(incumbent, groups, part, deadline, incumbent.seed + tries, multiples)
            )
            tasks[worker] = part
        while tasks and time.perf_counter() < incumbent.cut:
            for worker, found in pool.wait(incumbent.cut - time.perf_counter()):
                at = tasks.pop(worker, None)
                if not isinstance(found, Found):
                    continue
                if at is None:
                    incumbent.offer(found.routes)
                elif found.routes and _cost(incumbent, found.routes) < _cost(incumbent, best[at]):
                    best[at] = found.routes
                multiples = found.multiples or multiples
        incumbent.offer([route for routes in best for route in routes])


def _cost(incumbent: Incumbent, routes: Routes) -> float:
    return incumbent.env.routes_cost(incumbent.instance, routes)


def split(
    incumbent: Incumbent, routes: Sequence[Route], count: int, rng: np.random.Generator
) -> list[tuple[Route, ...]]:
    """
    Groups of about as many customers each, side by side.

    Along a line, or around the first depot, both from a random direction.
    """
    centres = _centres(incumbent, routes)
    angle = rng.random() * 2 * np.pi
    if rng.random() < 0.5:
        order = np.argsort(centres @ np.array([np.cos(angle), np.sin(angle)]))
    else:
        x, y = (centres - incumbent.instance["locs"][0, 0].double().numpy()).T
        order = np.argsort((np.arctan2(y, x) - angle) % (2 * np.pi))
    sizes = np.array([len(routes[k].visits) for k in order.tolist()])
    middle = np.cumsum(sizes) - sizes / 2
    place = np.minimum((middle * count / sizes.sum()).astype(int), count - 1)
    return [
        tuple(routes[k] for k in order[place == part].tolist())
        for part in range(count)
        if (place == part).any()
    ]


def _centres(incumbent: Incumbent, routes: Sequence[Route]) -> NDArray[np.float64]:
    locs = incumbent.instance["locs"][0].double().numpy()
    return np.array([locs[list(route.visits)].mean(0) for route in routes])


def _task(
    incumbent: Incumbent,
    groups: Sequence[tuple[Route, ...]],
    part: int,
    deadline: float,
    seed: int,
    multiples: Penalties | None,
) -> Task:
    mine = groups[part]
    others = [route for k, routes in enumerate(groups) if k != part for route in routes]
    customers = [node for route in mine for node in route.visits]
    return Task(
        deadline=deadline,
        seed=seed,
        routes=mine,
        multiples=multiples,
        nodes=tuple(nodes_of(incumbent.instance, customers + _unvisited(incumbent, groups, part))),
        away=vehicles_away(incumbent.instance, mine, others, (part, len(groups))),
    )


def _unvisited(incumbent: Incumbent, groups: Sequence[tuple[Route, ...]], part: int) -> list[int]:
    """Unvisited customers whose nearest route is in the part."""
    visited = {node for routes in groups for route in routes for node in route.visits}
    customers = range(num_depots(incumbent.instance), num_nodes(incumbent.instance))
    rest = [node for node in customers if node not in visited]
    if not rest:
        return []
    locs = incumbent.instance["locs"][0].double().numpy()[rest]
    owner = np.repeat(np.arange(len(groups)), [len(routes) for routes in groups])
    centres = np.concatenate([_centres(incumbent, routes) for routes in groups])
    nearest = ((locs[:, None] - centres[None]) ** 2).sum(-1).argmin(1)
    return [node for node, k in zip(rest, owner[nearest].tolist(), strict=True) if k == part]
