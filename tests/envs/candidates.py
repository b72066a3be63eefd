"""Every solution that there could be, feasible or not, for brute force on a handful of nodes."""

from collections.abc import Callable, Iterator
from itertools import combinations, permutations, product

from tensordict import TensorDict

from nco.data.instance import num_depots, num_nodes
from nco.envs import Route, RoutingEnv
from nco.envs.constraints import TripWindows
from nco.envs.visits.base import Visits
from nco.envs.visits.depot_routes import DepotRoutes, is_open
from nco.envs.visits.fleet_routes import FleetRoutes
from nco.envs.visits.optional_tour import OptionalTour
from nco.envs.visits.tour import Tour

Routes = tuple[Route, ...]


def tours(env: RoutingEnv, instance: TensorDict) -> Iterator[Routes]:
    """Every order of all nodes."""
    for order in permutations(range(num_nodes(instance))):
        yield (Route(order, start=None, end=None),)


def partitions(customers: tuple[int, ...]) -> Iterator[frozenset[tuple[int, ...]]]:
    """Every set of sequences that has every customer once."""
    if not customers:
        yield frozenset()
        return
    first, *others = customers
    for size in range(len(others) + 1):
        for friends in combinations(others, size):
            rest = tuple(c for c in others if c not in friends)
            for sequence in permutations((first, *friends)):
                for tail in partitions(rest):
                    yield tail | {sequence}


def depot_routes(env: RoutingEnv, instance: TensorDict) -> Iterator[Routes]:
    """Every set of non-empty routes."""
    end = None if is_open(instance) else 0
    for sequences in partitions(tuple(range(1, num_nodes(instance)))):
        yield tuple(Route(sequence, end=end) for sequence in sorted(sequences))


def fleet_routes(env: RoutingEnv, instance: TensorDict) -> Iterator[Routes]:
    """Every set of non-empty routes, each from every depot node; of trips in every order."""
    depots, stays = num_depots(instance), is_open(instance)
    customers_of = tuple(range(depots, num_nodes(instance)))
    trips = any(isinstance(rule, TripWindows) for rule in env.constraints)
    least = 0 if env.visits.optional else len(customers_of)
    for size in range(least, len(customers_of) + 1):
        for customers in combinations(customers_of, size):
            for sequences in partitions(customers):
                orders = permutations(sequences) if trips else iter([tuple(sorted(sequences))])
                for ordered in orders:
                    for starts in product(range(depots), repeat=len(ordered)):
                        yield tuple(
                            Route(sequence, v, None if stays else v, v)
                            for sequence, v in zip(ordered, starts, strict=True)
                        )


def optional_tours(env: RoutingEnv, instance: TensorDict) -> Iterator[Routes]:
    """Every order of every subset of the customers."""
    nodes = num_nodes(instance)
    for size in range(nodes):
        for order in permutations(range(1, nodes), size):
            yield (Route(order),) if order else ()


# Split routes are missing: their mask delivers as much as it can, which excludes solutions by
# design (see `nco.envs.constraints.SplitCapacity`).
EVERYTHING: dict[type[Visits], Callable[[RoutingEnv, TensorDict], Iterator[Routes]]] = {
    Tour: tours,
    DepotRoutes: depot_routes,
    FleetRoutes: fleet_routes,
    OptionalTour: optional_tours,
}


def accepted(env: RoutingEnv, instance: TensorDict) -> dict[frozenset[Route], float]:
    """Every candidate that the checker finds nothing wrong with, with its cost."""
    return {
        frozenset(routes): env.routes_cost(instance, routes)
        for routes in EVERYTHING[type(env.visits)](env, instance)
        if not env.check(instance, routes)
    }
