"""
The published variant sets (Zhou et al. 2024), as they are read.

That every published route is feasible at its stated cost is tested on these instances, read by
other code, in ``tests/envs/test_published_routes.py``. Here: our reader sees the same instances,
under names whose rules are the ones that are tested there; and some routes once more.
"""

from collections.abc import Sequence

import pytest
import torch

from nco.data.dataset import load_instances, read_costs
from nco.data.metric import pairwise
from nco.data.unpickle import unpickle
from nco.envs import problem
from nco.envs.checking.routes import Route
from nco.evaluation.evaluate import refuse_impossible
from tests.benchmark_data import benchmark_data
from tests.envs.published import published_instances
from tests.envs.test_published_routes import ENVS, with_slack

# Folder, name under which it is read.
NAMES = [
    *((name, name.lower()) for name in ("CVRP", "OVRP", "VRPL", "VRPTW", "OVRPTW")),
    *(("VRPB", "1pdvrp"), ("VRPBLTW", "1pdvrpltw")),
]


@pytest.mark.parametrize(("folder", "name"), NAMES)
def test_sets_are_read(folder: str, name: str) -> None:
    """All 1,000 instances to the last bit, with the rules that the published routes obey."""
    path = benchmark_data("vrp_variants_50", folder, f"{folder.lower()}50_uniform.pkl")
    instances, expected = load_instances(path, problem=name), published_instances(folder)
    assert set(instances.keys()) == set(expected.keys())
    for key in expected.keys():
        assert torch.equal(instances[key], expected[key]), key
    env = problem(name, instance=instances)
    parts = [[type(rule) for rule in each.constraints] for each in (env, ENVS[folder])]
    assert parts[0] == parts[1] and type(env.visits) is type(ENVS[folder].visits)
    refuse_impossible(env, instances[:50], str(path))  # none is


def routes_of(tour: Sequence[int], is_open: bool) -> list[Route]:
    """The routes of a giant tour with 0 between them."""
    routes: list[list[int]] = [[]]
    for node in tour:
        if node:
            routes[-1].append(node)
        else:
            routes.append([])
    return [Route(tuple(visits), end=None if is_open else 0) for visits in routes if visits]


@pytest.mark.parametrize(("folder", "name"), NAMES)
def test_some_published_solutions(folder: str, name: str) -> None:
    """OR-Tools' first routes of every set are feasible and cost what is stated."""
    suffix = f"{folder.lower()}50_uniform.pkl"
    place = benchmark_data("vrp_variants_50", folder)
    instances = with_slack(load_instances(place / suffix, slice(20), name))
    env = problem(name, instance=instances)
    for k, (cost, tour) in enumerate(unpickle(place / f"or_tools_200s_{suffix}")[:20]):
        routes = routes_of(tour, folder.startswith("O"))
        assert env.check(instances[k : k + 1], routes) == []
        assert env.routes_cost(instances[k : k + 1], routes) == pytest.approx(cost, abs=1e-9)


@pytest.mark.parametrize(("folder", "name"), NAMES[-2:])
def test_one_commodity_can_be_solved(folder: str, name: str) -> None:
    """Going to the nearest node that the mask allows solves every instance, at no lower cost."""
    suffix = f"{folder.lower()}50_uniform.pkl"
    place = benchmark_data("vrp_variants_50", folder)
    instances = load_instances(place / suffix, slice(50), name)
    env, distance = problem(name, instance=instances), pairwise(instances)
    state, actions = env.reset(instances), []
    while not bool(env.done(state).all()):
        ways = distance.gather(1, state.current.unsqueeze(-1).expand(-1, -1, 51))
        ways[..., 0] += 10  # home where there is no other way
        action = ways.masked_fill(~env.mask(state), torch.inf).argmin(-1)
        actions.append(action)
        state = env.step(state, action)
    driven = torch.stack(actions, -1)
    best = read_costs(place / f"or_tools_200s_{suffix}")[:50]
    found = env.cost(instances, driven).squeeze(1)
    assert bool((found > 0.999 * best).all()) and bool((found < 2 * best).all())
    for k in range(50):
        routes = env.visits.routes(instances[k : k + 1], driven[k, 0].tolist())
        assert env.check(instances[k : k + 1], routes) == []


def test_rules_that_published_routes_with_pickups_break() -> None:
    """Hardly any published VRPB route obeys the usual rule of pickups after deliveries."""
    place = benchmark_data("vrp_variants_50", "VRPB")
    instances = load_instances(place / "vrpb50_uniform.pkl", slice(50), "vrpb")
    env = problem("vrpb", instance=instances)
    tours = unpickle(place / "or_tools_200s_vrpb50_uniform.pkl")[:50]
    broken = [
        {v.rule for v in env.check(instances[k : k + 1], routes_of(tour, False))}
        for k, (_, tour) in enumerate(tours)
    ]
    assert sum("linehaul first" in rules for rules in broken) >= 48
