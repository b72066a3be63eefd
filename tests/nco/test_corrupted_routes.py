"""Published solutions with one thing wrong: the checker finds it, and names the rule."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensordict import TensorDict

from nco.data.formats import read
from nco.envs import PROBLEMS, RoutingEnv, problem
from nco.envs.checking.routes import Route
from nco.solution import read_routes
from tests.benchmark_data import benchmark_data

Routes = list[Route]
Corruption = Callable[[Routes], Routes]


def change(k: int, **fields: int | tuple[int, ...] | None) -> Corruption:
    """Route k with other ends, vehicle or visits."""
    return lambda routes: [*routes[:k], replace(routes[k], **fields), *routes[k + 1 :]]  # type: ignore[arg-type]


def visits(k: int, edit: Callable[[tuple[int, ...]], Sequence[int]]) -> Corruption:
    """Route k with its visits edited."""
    return lambda routes: change(k, visits=tuple(edit(routes[k].visits)))(routes)


def move(origin: int, place: int, target: int, to: int) -> Corruption:
    """A visit to another route."""

    def moved(routes: Routes) -> Routes:
        node = routes[origin].visits[place]
        without = visits(origin, lambda v: (*v[:place], *v[place + 1 :]))(routes)
        return visits(target, lambda v: (*v[:to], node, *v[to:]))(without)

    return moved


def exchange(k: int, a: int, b: int) -> Corruption:
    """Two visits of a route change places (a < b)."""
    return visits(k, lambda v: (*v[:a], v[b], *v[a + 1 : b], v[a], *v[b + 1 :]))


def each_alone(routes: Routes) -> Routes:
    """A route for every visit."""
    return [replace(route, visits=(node,)) for route in routes for node in route.visits]


def trips_exchanged(k: int) -> Corruption:
    """Two trips in the other order."""
    return lambda routes: [*routes[:k], routes[k + 1], routes[k], *routes[k + 2 :]]


# Folder, file, attributes that are left out (so that one rule is broken alone), what is done, and
# the one rule that is broken.
CASES: dict[str, tuple[str, str, tuple[str, ...], Corruption, str]] = {
    "a visit dropped": (
        *("cvrplib_small", "A-n32-k5.vrp", ()),
        *(visits(0, lambda v: v[1:]), "not visited"),
    ),
    "a visit twice": (
        *("cvrplib_small", "CMT6.vrp", ("duration_limit",)),
        *(visits(0, lambda v: (*v, v[0])), "visited twice"),
    ),
    "a node that there is not": (
        *("cvrplib_small", "A-n32-k5.vrp", ()),
        *(lambda routes: [*routes, Route((32,))], "unknown node"),
    ),
    "the depot as a customer": (
        *("cvrplib_small", "A-n32-k5.vrp", ()),
        *(visits(1, lambda v: (*v, 0, 0)), "unknown node"),
    ),
    "from a customer's place": (
        *("cvrplib_small", "A-n32-k5.vrp", ()),
        *(change(0, start=5), "depot"),
    ),
    "without the way back": (
        *("cvrplib_small", "A-n32-k5.vrp", ()),
        *(change(2, end=None), "depot"),
    ),
    "to another depot": (*("mdvrptw", "PR11A.vrp", ()), *(change(0, end=2), "depot")),
    "from another vehicle's depot": (
        *("mdvrptw", "PR11A.vrp", ()),
        *(change(0, start=1, end=1), "vehicle"),
    ),
    "too much of a load": (
        *("cvrplib_small", "A-n32-k5.vrp", ()),
        *(move(0, 0, 3, 0), "capacity"),
    ),
    "too much aboard": (
        *("vrpb", "X-n524-50-k125.vrp", ()),
        *(move(0, 0, 1, 0), "capacity"),
    ),
    "in a vehicle that is too small": (
        *("hfvrp", "X101-FSMFD.vrp", ()),
        *(change(2, start=0, end=0, vehicle=0), "capacity"),
    ),
    "too late": (*("solomon", "C101.txt", ()), *(visits(0, lambda v: v[::-1]), "time window")),
    "later than the trip before": (
        *("mtvrptwr", "R211R0.5.vrp", ()),
        *(trips_exchanged(5), "time window"),
    ),
    "too many vehicles": (*("solomon", "C101.txt", ()), *(each_alone, "fleet")),
    "too long a time": (
        *("cvrplib_small", "CMT6.vrp", ()),
        *(move(0, 0, 1, 0), "duration limit"),
    ),
    "too long a shift": (
        *("mdvrptw", "PR11A.vrp", ()),
        *(change(1, start=2, end=2, vehicle=2), "duration limit"),
    ),
    "too long a way": (
        *("cvrplib_small", "Golden_1.vrp", ()),
        *(move(0, 0, 1, 0), "distance limit"),
    ),
    "a broken pair": (
        *("li_lim", "lc101.txt", ("time_windows",)),
        *(move(0, 0, 1, 0), "pickup and delivery"),
    ),
    "half of a pair": (
        *("li_lim", "lc101.txt", ("time_windows",)),
        *(visits(0, lambda v: v[1:]), "pickup and delivery"),
    ),
    "a delivery before its pickup": (
        *("li_lim", "lc101.txt", ("time_windows",)),
        *(exchange(0, 0, 2), "pickup and delivery"),
    ),
    "a delivery after a pickup for the depot": (
        *("vrpb", "X-n524-50-k125.vrp", ()),
        *(exchange(0, 1, 3), "linehaul first"),
    ),
    "a vehicle that may not go there": (
        *("sdvrptw", "PR01.vrp", ()),
        *(change(1, start=0, end=0, vehicle=0), "allowed vehicles"),
    ),
}
# What a corruption cannot do without: half of a pair is a customer that is not visited, too.
TOGETHER = {"half of a pair": {"not visited"}}


def solved(
    folder: str, name: str, without: tuple[str, ...]
) -> tuple[RoutingEnv, TensorDict, Routes]:
    """Problem, instance and best-known routes of a file, without some of its attributes."""
    file = read(benchmark_data(folder, name))
    instance = file.instance.exclude(*without)
    name = {"pdptw": "pdp", "dvrp": "cvrp"}[file.problem] if without else file.problem
    env = problem(name, instance=instance)
    return env, instance, list(read_routes(Path(str(file.best_known_source)), file))


@pytest.mark.parametrize("case", CASES)
def test_one_thing_wrong(case: str) -> None:
    """Before, nothing is wrong; afterwards, just the one rule is broken, by name."""
    folder, name, without, corrupt, rule = CASES[case]
    env, instance, routes = solved(folder, name, without)
    assert env.check(instance, routes) == []
    found = env.check(instance, corrupt(routes))
    assert {violation.rule for violation in found} - TOGETHER.get(case, set()) == {rule}
    assert all(violation.message and "\n" not in violation.message for violation in found)


def test_leaving_out_costs_and_is_allowed() -> None:
    """Where customers are optional, a dropped visit is no violation, but its prize is lost."""
    env, instance, routes = solved("pcvrptw", "C1_10_1.vrp", ())
    node = routes[0].visits[0]
    fewer = visits(0, lambda v: v[1:])(routes)
    assert env.check(instance, fewer) == []
    before, after = (env.routes_cost(instance, each) for each in (routes, fewer))
    assert before < after <= before + float(instance["penalty"][0, node]) + 1e-6


def drawn(name: str, size: int) -> TensorDict:
    return PROBLEMS[name].generator(size)(1, torch.Generator().manual_seed(5))


def test_prizes_that_are_missing() -> None:
    """A tour with less than the prize to collect is named, one with as much is not."""
    env, instance = problem("pctsp"), drawn("pctsp", 20)
    prize = instance["prize"][0].tolist()
    tour = list(range(1, 21))
    while sum(prize[node] for node in tour[1:]) >= float(instance["min_prize"]):
        del tour[0]
    assert env.check(instance, [Route(tuple(tour))]) == []
    (found,) = env.check(instance, [Route(tuple(tour[1:]))])
    assert found.rule == "minimum prize"


def test_routes_that_are_missing() -> None:
    """Fewer routes than salesmen who have to leave, and more than there are."""
    env, instance = problem("mtsp"), drawn("mtsp", 12)
    least = int(instance["min_routes"])
    assert int(instance["vehicle_count"]) == least == 5
    routes = [Route((k,)) for k in range(1, 5)]
    assert env.check(instance, [*routes, Route(tuple(range(5, 13)))]) == []
    joined = [*routes[:3], Route(tuple(range(4, 13)))]
    assert {v.rule for v in env.check(instance, joined)} == {"minimum routes"}
    parted = [*routes, Route((5,)), Route(tuple(range(6, 13)))]
    assert {v.rule for v in env.check(instance, parted)} == {"fleet"}


def test_tours_that_are_several() -> None:
    """Two tours, a node left out and one that comes twice, in the TSP."""
    file = read(benchmark_data("tsplib", "berlin52.tsp"))
    env, nodes = problem("tsp"), tuple(range(52))
    for tours, rule in [
        ((nodes[:20], nodes[20:]), "one tour"),
        ((nodes[1:],), "not visited"),
        (((*nodes, 3),), "visited twice"),
        (((*nodes, 52),), "unknown node"),
    ]:
        routes = [Route(tour, start=None, end=None) for tour in tours]
        assert {v.rule for v in env.check(file.instance, routes)} == {rule}
