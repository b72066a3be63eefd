"""In how many ways routes can be driven, in batches that mix problems."""

from collections import Counter
from collections.abc import Iterator
from itertools import permutations, product

import pytest
import torch
from scipy.stats import chisquare
from tensordict import TensorDict
from torch import Tensor

from nco.data.generators.attributes import (
    Backhauls,
    Demands,
    LengthLimits,
    OneGood,
    OpenEnds,
    Sometimes,
    WideWindows,
)
from nco.data.generators.fleets import VehicleCounts
from nco.data.generators.variants import VariantGenerator
from nco.data.neutral import complete
from nco.data.seeding import seeded
from nco.envs import PROBLEMS, Route, RoutingEnv, problem
from nco.envs.symmetry import answers, shuffled, turnable
from tests.envs.random_instances import rollout

Actions = tuple[int, ...]


def mixed(size: int, batch: int, depots: int, seed: int) -> TensorDict:
    """Instances of all kinds, a few of which say nothing about directions."""
    draw = VariantGenerator(
        size,
        [
            Demands(12),
            Sometimes(Backhauls(mixed=None, share=0.4)),
            Sometimes(OneGood(), 0.4),
            Sometimes(LengthLimits()),
            Sometimes(WideWindows(), 0.3),
            Sometimes(OpenEnds(), 0.3),
            VehicleCounts(size),
        ],
        depots,
    )
    env = problem("anyvrp")
    reads = [name for rule in env.constraints for name in rule.reads]
    return complete(draw(batch, seeded(seed)), reads)


def sees_directions(one: TensorDict) -> bool:
    """Whether some rule of a single instance does, in plain words."""
    pickups = bool(one["backhaul"].any())
    return bool(
        one["open_route"].any()
        or one["time_windows"][..., 1].isfinite().any()
        or (pickups and not one["one_commodity"].any())
        or one["linehaul_first"].any()
    )


def ways(env: RoutingEnv, one: TensorDict, actions: Actions) -> Iterator[Actions]:
    """Every sequence that drives the same routes, of the same length as what is given."""
    routes = env.visits.routes(one, actions)
    for order in permutations(routes):
        signs = (1,) if sees_directions(one) else (1, -1)
        for turn in product(signs, repeat=len(order)):
            driven = [
                Route(route.visits[::sign], route.start, route.end, route.vehicle)
                for route, sign in zip(order, turn, strict=True)
            ]
            flat = tuple(env.visits.actions(one, driven))
            yield flat + flat[-1:] * (len(actions) - len(flat))


def solved(depots: int, size: int, batch: int, seed: int) -> tuple[RoutingEnv, TensorDict, Tensor]:
    env, instance = problem("anyvrp"), mixed(size, batch, depots, seed)
    actions, _ = rollout(env, instance, 1, seed)
    return env, instance, actions[:, 0]


@pytest.mark.parametrize("depots", [1, 3])
def test_instances_turn_where_no_rule_of_theirs_sees_it(depots: int) -> None:
    """In one batch some are turnable and others are not, each by what it states itself."""
    env, instance, _ = solved(depots, 4, 60, 1)
    expected = [not sees_directions(instance[k : k + 1]) for k in range(60)]
    assert turnable(env, instance).tolist() == expected
    assert 5 < sum(expected) < 55


@pytest.mark.parametrize("depots", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_answers_are_the_next_nodes_of_all_ways(depots: int, seed: int) -> None:
    """At every step the answers are the nodes with which some way of driving the same routes goes
    on, each of them allowed by the mask."""
    env, instance, actions = solved(depots, 5, 8, seed)
    right = answers(env, instance, actions.unsqueeze(1))
    state = env.reset(instance)
    for step in range(actions.shape[1]):
        done, mask = env.done(state)[:, 0], env.mask(state)[:, 0]
        assert (mask | ~right[:, 0, step])[~done].all()
        state = env.step(state, actions[:, step : step + 1])
    for b, row in enumerate(map(tuple, actions.tolist())):
        one = instance[b : b + 1]
        others = set(ways(env, one, row))
        assert row in others
        for step in range(len(row)):
            expected = {way[step] for way in others if way[:step] == row[:step]}
            assert set(right[b, 0, step].nonzero().flatten().tolist()) == expected


@pytest.mark.parametrize("depots", [1, 3])
@pytest.mark.parametrize("seed", range(2))
def test_shuffled_reaches_every_way_equally_often(depots: int, seed: int) -> None:
    """Every way comes up, equally often, and nothing else: all feasible and of the same cost."""
    env, instance, actions = solved(depots, 4, 6, seed)
    count = 3000
    rows = actions.unsqueeze(1).expand(-1, count, -1)
    many = shuffled(env, instance, rows, seeded(seed))
    cost = env.cost(instance, actions.unsqueeze(1))
    torch.testing.assert_close(env.cost(instance, many), cost.expand(-1, count))
    for b in range(len(instance)):
        one, found = instance[b : b + 1], Counter(map(tuple, many[b].tolist()))
        drawn = Counter(ways(env, one, tuple(actions[b].tolist())))
        assert set(found) == set(drawn)
        for way in found:
            assert env.check(one, env.visits.routes(one, way)) == []
        weights = torch.tensor([float(drawn[way]) for way in found])
        expected = (count * weights / weights.sum()).numpy()
        assert len(found) == 1 or chisquare(list(found.values()), expected).pvalue > 1e-4


def test_one_commodity_routes_may_be_turned() -> None:
    """What the checker says of a one-commodity route, it says of the route driven backwards."""
    env = problem("1pdvrp")
    instance = PROBLEMS["1pdvrp"].generator(6)(1, seeded(2))
    instance["demand"] = torch.tensor([[0, 5, 0, 4, 0, 6, 0]])
    instance["backhaul"] = torch.tensor([[0, 0, 5, 0, 4, 0, 3]])
    instance["capacity"][:] = 9
    verdicts = []
    for visits in permutations(range(1, 7)):
        there, back = Route(visits), Route(visits[::-1])
        verdict = [v.rule for v in env.check(instance, [there])]
        assert verdict == [v.rule for v in env.check(instance, [back])]
        verdicts.append(bool(verdict))
    assert 0 < sum(verdicts) < len(verdicts)
    assert turnable(env, instance).all()


@pytest.mark.parametrize("name", ["mtvrptw", "pcvrp"])
def test_trips_and_customers_left_out_are_not_shuffled(name: str) -> None:
    """Where the order of routes counts, or they are not all, the given way is the only one."""
    env = problem(name)
    instance = PROBLEMS[name].generator(5)(3, seeded(3))
    actions, _ = rollout(env, instance, 4, 3)
    assert torch.equal(shuffled(env, instance, actions, seeded(1)), actions)
    nodes = instance["locs"].shape[1]
    same = torch.nn.functional.one_hot(actions, nodes).bool()
    assert torch.equal(answers(env, instance, actions), same)
