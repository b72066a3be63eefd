"""What rules and objectives state of themselves is what their checks and costs do."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
from tensordict import TensorDict

from nco.data.seeding import seeded
from nco.decoding.subproblems import restrict, separable
from nco.envs import PROBLEMS, Route, RoutingEnv, problem
from nco.envs.constraint import Constraint
from nco.envs.constraints import MaximumLoad, TimeWindows
from nco.envs.objective import Objective
from nco.envs.objectives import Total
from nco.envs.symmetry import turnable
from tests.envs.random_instances import draw, rollout

ROUTED = [name for name in PROBLEMS if problem(name).visits.parts == "routes"]


def solutions(name: str, count: int = 6) -> Iterator[tuple[RoutingEnv, TensorDict, list[Route]]]:
    """Random routes of random instances, half of them shuffled so that rules are broken."""
    env = problem(name)
    for seed in range(count):
        one = draw(env, 1, 7, seed)
        actions, _ = rollout(env, one, 1, seed)
        routes = list(env.visits.routes(one, actions[0, 0].tolist()))
        if seed % 2:
            visits = [node for route in routes for node in route.visits]
            order = torch.randperm(len(visits), generator=seeded(seed)).tolist()
            mixed = iter([visits[k] for k in order])
            routes = [
                replace(r, visits=tuple(itertools.islice(mixed, len(r.visits)))) for r in routes
            ]
        yield env, one, routes


def subclasses(kind: type) -> set[type]:
    """All classes of the package below a base class."""
    found = {kind}
    for child in kind.__subclasses__():
        found |= subclasses(child)
    return {each for each in found if each.__module__.startswith("nco.")}


def test_every_rule_states_its_scope_and_every_objective_whether_it_adds_up() -> None:
    """A class that does not is refused when it is made."""
    assert len(subclasses(Constraint)) > 20
    with pytest.raises(TypeError, match="Mute: no scope, expected route, fleet or solution"):
        type("Mute", (Constraint,), {})
    with pytest.raises(TypeError, match="Mute: additive is missing"):
        type("Mute", (Objective,), {})


@pytest.mark.parametrize("name", ROUTED)
def test_rules_of_scope_route_judge_each_route_by_itself(name: str) -> None:
    """They complain of all routes just where they complain of one of them alone."""
    for env, one, routes in solutions(name):
        for rule in env.constraints:
            if rule.scope == "route":
                alone = [bool(rule.violations(one, [route])) for route in routes]
                assert bool(rule.violations(one, routes)) == any(alone), type(rule).__name__


@pytest.mark.parametrize("name", ROUTED)
def test_rules_of_scope_fleet_count_routes(name: str) -> None:
    """They say the same of other customers on as many routes from each depot node."""
    for env, one, routes in solutions(name):
        others = [replace(route, visits=route.visits[:1]) for route in routes]
        for rule in env.constraints:
            if rule.scope == "fleet":
                verdicts = [bool(rule.violations(one, each)) for each in (routes, others)]
                assert verdicts[0] == verdicts[1], type(rule).__name__


@pytest.mark.parametrize("name", ROUTED)
def test_reversible_rules_allow_routes_backwards(name: str) -> None:
    """Where a rule is reversible, it says the same of all routes driven the other way."""
    for env, one, routes in solutions(name):
        if "distance" in one.keys():
            one["distance"] = (one["distance"] + one["distance"].mT) / 2
        if "duration" in one.keys():
            one["duration"] = (one["duration"] + one["duration"].mT) / 2
        back = [replace(route, visits=route.visits[::-1]) for route in routes]
        for rule in env.constraints:
            if bool(rule.reversible_on(one)):
                verdicts = [bool(rule.violations(one, each)) for each in (routes, back)]
                assert verdicts[0] == verdicts[1], type(rule).__name__
        for term in terms(env.objective):
            if term.reversible and not one.get("open_route", torch.zeros(1)).any():
                costs = [term.routes_cost(one, each) for each in (routes, back)]
                assert costs[0] == pytest.approx(costs[1], abs=1e-5), type(term).__name__


def terms(objective: Objective) -> Sequence[Objective]:
    return objective.terms if isinstance(objective, Total) else (objective,)


@pytest.mark.parametrize("name", ROUTED)
def test_additive_costs_change_by_as_much_in_a_part(name: str) -> None:
    """To turn or to empty a route costs as much in an instance of some routes alone."""
    for env, one, routes in solutions(name):
        if len(routes) < 2 or "delivery" in one.keys():
            continue
        mine, first = routes[:2], routes[0]
        depots = env.visits.depots(one)
        nodes = [*range(depots), *(node for route in mine for node in route.visits)]
        part = restrict(one, nodes)
        place = {node: k for k, node in enumerate(nodes)}

        def inside(some: Sequence[Route], place: dict[int, int] = place) -> list[Route]:
            return [replace(r, visits=tuple(place[node] for node in r.visits)) for r in some]

        turned = replace(first, visits=first.visits[::-1])
        for changed in ([turned], []):
            for term in terms(env.objective):
                if term.additive:
                    whole = term.routes_cost(one, [*changed, *routes[1:]])
                    whole -= term.routes_cost(one, routes)
                    here = term.routes_cost(part, inside([*changed, mine[1]]))
                    here -= term.routes_cost(part, inside(mine))
                    assert here == pytest.approx(whole, abs=1e-4), type(term).__name__


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("anyvrp", True), ("hcvrp-minsum", True), ("pvrp", True), ("pcvrp", True)),
        *(("mtvrptw", False), ("hcvrp", False), ("vrptw-vehicles", False), ("mtsp", False)),
        *(("tsp", False), ("sdvrp", False)),
    ],
)
def test_what_falls_apart(name: str, expected: bool) -> None:
    """Parts are solved apart where nothing speaks of the whole: the problem of the shipped ``vrp``
    policy among them, and sums of durations, preferences and penalties."""
    env = problem(name)
    assert separable(env, PROBLEMS[name].generator(6)(1, seeded(0))) == expected


def test_facts_follow_settings_and_instances() -> None:
    """The same class may state different things of different instances or settings."""
    instance = PROBLEMS["vrptw"].generator(5)(2, seeded(1))
    instance["time_windows"][0] = torch.tensor([0.0, torch.inf])
    assert TimeWindows().reversible_on(instance).tolist() == [True, False]
    instance["backhaul"] = torch.zeros_like(instance["demand"])
    assert MaximumLoad().reversible_on(instance).all()
    assert not MaximumLoad(shipments=True).reversible_on(instance).any()
    assert turnable(problem("vrptw"), instance).tolist() == [True, False]


@pytest.mark.parametrize(
    ("plain", "field", "named"), [("cvrp", "split", "sdvrp"), ("mdvrptw", "trips", "mtvrptw")]
)
def test_trips_and_split_deliveries_are_said_by_the_instance(
    plain: str, field: str, named: str
) -> None:
    """A flag of the instance asks for the rules that before only the name of a problem meant."""
    one = PROBLEMS[plain].generator(5)(1, seeded(2))
    one[field] = torch.ones(1, dtype=torch.long)
    env, other = problem(plain, instance=one), problem(named)
    assert type(env.visits) is type(other.visits)
    assert [type(rule) for rule in env.constraints] == [type(rule) for rule in other.constraints]
    one[field][:] = 0
    same = [type(rule) for rule in problem(plain).constraints]
    assert [type(rule) for rule in problem(plain, instance=one).constraints] == same
