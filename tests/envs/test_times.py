"""Time windows, waiting, limits of length and duration, by hand and to the last moment."""

from typing import Any

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data import make_instance
from nco.data.metric import Metric
from nco.envs import DepotRoutes, FleetRoutes, Route, RoutingEnv
from nco.envs.constraint import Constraint
from nco.envs.constraints import DistanceLimit, DurationLimit, OpenRoutes, TimeWindows

# Depot in the origin, customers on the axes: 1, 2, 3, 4 at distances 3, 4, 3, 4 in turn, so that
# neighbours are 5 apart, 1 and 3 are 6 apart, and 2 and 4 are 8 apart.
CROSS = torch.tensor([[[0.0, 0.0], [3, 0], [0, 4], [-3, 0], [0, -4]]], dtype=torch.double)
INF = float("inf")


def cross(windows: dict[int, tuple[float, float]] | None = None, **fields: Any) -> TensorDict:
    """The cross, with windows of some nodes and whatever else."""
    rows = [(windows or {}).get(node, (0.0, INF)) for node in range(5)]
    tensors = {name: torch.as_tensor([value]) for name, value in fields.items()}
    times = torch.tensor([rows], dtype=torch.double)
    return make_instance(locs=CROSS, time_windows=times, **tensors)


def masks(rules: list[Constraint], one: TensorDict, actions: list[int]) -> list[list[int]]:
    """Which nodes may come next, at first and after each action."""
    env = RoutingEnv(DepotRoutes(), rules)
    state, found = env.reset(one), []
    found.append(env.mask(state)[0, 0].nonzero().flatten().tolist())
    for action in actions:
        state = env.step(state, torch.tensor([[action]]))
        found.append(env.mask(state)[0, 0].nonzero().flatten().tolist())
    return found


def flaws(rules: list[Constraint], one: TensorDict, *routes: Route) -> list[str]:
    found = RoutingEnv(DepotRoutes(), rules).check(one, routes)
    return [f"{v.rule}: {v.message}" for v in found if v.rule != "not visited"]


def test_the_last_moment_is_in_time() -> None:
    """Node 2 is reached over node 1 at 3 + 5 = 8: in time for a window to 8, late for 7.999."""
    rules: list[Constraint] = [TimeWindows()]
    assert masks(rules, cross({2: (0, 8)}), [1])[-1] == [0, 2, 3, 4]
    assert masks(rules, cross({2: (0, 7.999)}), [1])[-1] == [0, 3, 4]
    assert flaws(rules, cross({2: (0, 8)}), Route((1, 2))) == []
    late = flaws(rules, cross({2: (0, 7.999)}), Route((1, 2)))
    assert late == ["time window: node 2 at 8, window to 7.999"]


def test_who_comes_early_waits() -> None:
    """At node 1 by 3, served from 10 to 12, at node 2 by 17."""
    one = cross({1: (10, 20), 2: (0, 17)}, service_time=[0.0, 2, 0, 0, 0])
    assert masks([TimeWindows()], one, [1])[-1] == [0, 2, 3, 4]
    one = cross({1: (10, 20), 2: (0, 16.9)}, service_time=[0.0, 2, 0, 0, 0])
    assert masks([TimeWindows()], one, [1])[-1] == [0, 3, 4]
    assert flaws([TimeWindows()], one, Route((1, 2))) == [
        "time window: node 2 at 17, window to 16.9"
    ]


def test_the_way_home_is_tested_on_the_way_out() -> None:
    """
    The depot closes at 12: 0-1-2-0 takes 3 + 5 + 4, 0-1-3-0 takes 3 + 6 + 3, no third customer
    fits; at 11 no second one does. Served for 1 at node 4, one is back at 4 + 1 + 4 = 9.
    """
    assert masks([TimeWindows()], cross({0: (0, 12)}), [1, 2]) == [[1, 2, 3, 4], [0, 2, 3, 4], [0]]
    assert masks([TimeWindows()], cross({0: (0, 11)}), [1])[-1] == [0]
    served = cross({0: (0, 9)}, service_time=[0.0, 0, 0, 0, 1])
    assert 4 in masks([TimeWindows()], served, [])[0]
    served = cross({0: (0, 8.9)}, service_time=[0.0, 0, 0, 0, 1])
    assert 4 not in masks([TimeWindows()], served, [])[0]
    home = flaws([TimeWindows()], cross({0: (0, 11)}), Route((1, 2)))
    assert home == ["time window: node 0 at 12, window to 11"]


def test_open_routes_need_not_return_in_time() -> None:
    """A depot that closes early is no bound where the way home is free, and limits end before."""
    rules: list[Constraint] = [TimeWindows(), DistanceLimit(), DurationLimit(), OpenRoutes()]
    one = cross({0: (0, 5)}, distance_limit=8.0, duration_limit=8.0, open_route=1)
    assert masks(rules, one, [1, 2]) == [[1, 2, 3, 4], [0, 2, 4], [0]]
    assert flaws(rules, one, Route((1, 2), end=None)) == []
    env = RoutingEnv(DepotRoutes(), rules)
    assert env.routes_cost(one, [Route((1, 2), end=None)]) == 8
    assert env.cost(one, torch.tensor([[[1, 2, 0, 3, 0, 4, 0]]])).item() == 8 + 3 + 4
    assert flaws(rules, one, Route((1, 2)))[0].startswith(
        "depot: from 0 to 0, expected depot 0 and"
    )


def test_a_late_opening_depot_delays_its_routes() -> None:
    """Who leaves at 5 is at node 1 by 8."""
    assert 1 in masks([TimeWindows()], cross({0: (5, 99), 1: (0, 8)}), [])[0]
    assert 1 not in masks([TimeWindows()], cross({0: (5, 99), 1: (0, 7.9)}), [])[0]


def test_tenths_add_up_exactly() -> None:
    """
    With distances in tenths, 0.1 + 0.2 is in time for 0.3 and within a limit of 0.6 for there and
    back (0.30000000000000004 is not, in floating point); 0.29 and 0.59 are missed.
    """
    locs = torch.tensor([[[0.0, 0.0], [0.1, 0.0], [0.1, 0.2]]], dtype=torch.double)
    assert 0.1 + 0.2 > 0.3
    for end, limit, fits in ((0.3, 0.5, True), (0.29, 0.5, False), (0.3, 0.49, False)):
        one = make_instance(
            locs=locs,
            metric=torch.tensor([int(Metric.DECIMAL)]),
            time_windows=torch.tensor([[[0, INF], [0, INF], [0, end]]], dtype=torch.double),
            distance_limit=torch.tensor([limit], dtype=torch.double),
            duration_limit=torch.tensor([limit], dtype=torch.double),
        )
        for rules in ([TimeWindows(), DistanceLimit()], [TimeWindows(), DurationLimit()]):
            assert (2 in masks(list(rules), one, [1])[-1]) == fits
            assert (flaws(list(rules), one, Route((1, 2))) == []) == fits


def matrix(value: list[list[float]]) -> Tensor:
    return torch.tensor([value], dtype=torch.double)


def test_durations_are_not_distances() -> None:
    """
    There and back to node 1 takes 2 + 7, though it is 1 + 1 long: the window of the depot and a
    limit of the duration see the one, the cost and a limit of the length the other.
    """
    one = make_instance(
        distance=matrix([[0, 1], [1, 0]]),
        duration=matrix([[0, 2], [7, 0]]),
        time_windows=torch.tensor([[[0, 9], [0, 3]]], dtype=torch.double),
        distance_limit=torch.tensor([2.0]),
        duration_limit=torch.tensor([9.0]),
    )
    rules: list[Constraint] = [TimeWindows(), DurationLimit(), DistanceLimit()]
    env = RoutingEnv(DepotRoutes(), rules)
    assert env.impossible(one) == [] and flaws(rules, one, Route((1,))) == []
    assert masks(rules, one, []) == [[1]]
    assert env.routes_cost(one, [Route((1,))]) == 2
    for name, rule in (
        ("time_windows", "time window"),
        ("duration_limit", "duration limit"),
        ("distance_limit", "distance limit"),
    ):
        tight = one.clone()
        tight[name] = (tight[name] - 0.1).clamp_min(0)
        assert {v.rule for v in env.impossible(tight)} == {rule}
        assert {v.rule for v in env.check(tight, [Route((1,))])} == {rule}


def test_faster_vehicles_are_sooner_there() -> None:
    """Of two vehicles at one place, only the one of speed 2 is at node 2, 3 away, by 1.5."""
    one = make_instance(
        locs=torch.tensor([[[0.0, 0], [0, 0], [3, 0]]]),
        depots=torch.tensor([[0, 0]]),
        speed=torch.tensor([[1.0, 2.0]]),
        time_windows=torch.tensor([[[0, INF], [0, INF], [0, 1.5]]]),
    )
    env = RoutingEnv(FleetRoutes(), [TimeWindows()])
    assert env.mask(env.reset(one))[0, 0].tolist() == [False, True, False]
    assert env.impossible(one) == []
    assert env.check(one, [Route((2,), 1, 1, 1)]) == []
    (late,) = env.check(one, [Route((2,), 0, 0, 0)])
    assert late.message == "node 2 at 3, window to 1.5"


def test_nobody_leaves_before_the_goods_are_there() -> None:
    """
    The goods of node 1 come at 5, those of node 2 at 6: together they leave at 6, and are at node 1
    by 9. On its own node 1 is served by 8.
    """
    release = [0.0, 5, 6, 0, 0]
    for end, fits in ((9, True), (8.9, False)):
        one = cross({1: (0, end)}, release_time=release)
        rules: list[Constraint] = [TimeWindows(release=True)]
        assert (2 in masks(rules, one, [1])[-1]) == fits
        assert (flaws(rules, one, Route((1, 2))) == []) == fits
        assert flaws(rules, one, Route((1,))) == []
    one = cross({1: (0, 7.9)}, release_time=release)
    assert [v.node for v in RoutingEnv(DepotRoutes(), [TimeWindows(True)]).impossible(one)] == [1]
    assert flaws([TimeWindows()], one, Route((1, 2))) == []


def test_durations_are_the_least_possible() -> None:
    """
    Node 1 opens at 10: who leaves at 7 need not wait, and takes 6. Node 2 opens at 30, and node 1
    closes at 20: the least is from 17 to 30 + 4, of which 5 are spent waiting.
    """
    one = cross({1: (10, 20)}, duration_limit=6.0)
    assert 1 in masks([TimeWindows(), DurationLimit()], one, [])[0]
    assert flaws([TimeWindows(), DurationLimit()], one, Route((1,))) == []
    for limit, fits in ((17.0, True), (16.9, False)):
        one = cross({1: (10, 20), 2: (30, 40)}, duration_limit=limit)
        assert (2 in masks([TimeWindows(), DurationLimit()], one, [1])[-1]) == fits
        found = flaws([TimeWindows(), DurationLimit()], one, Route((1, 2)))
        assert [f.split(",")[0] for f in found] == ([] if fits else ["duration limit: duration 17"])


def test_limits_may_differ_by_vehicle() -> None:
    """There and back to node 2 is 6 long and takes as long: for the second vehicle only."""
    for name, rule in (("distance_limit", DistanceLimit()), ("duration_limit", DurationLimit())):
        one = make_instance(
            locs=torch.tensor([[[0.0, 0], [0, 0], [3, 0]]]),
            depots=torch.tensor([[0, 0]]),
            **{name: torch.tensor([[5.9, 6.0]], dtype=torch.double)},
        )
        env = RoutingEnv(FleetRoutes(), [rule])
        assert env.mask(env.reset(one))[0, 0].tolist() == [False, True, False]
        assert [len(env.check(one, [Route((2,), v, v, v)])) for v in (0, 1)] == [1, 0]


@pytest.mark.parametrize("rule", [TimeWindows(), TimeWindows(True), DurationLimit()])
def test_an_unlimited_clock_forbids_nothing(rule: Constraint) -> None:
    """Neutral values leave every customer free."""
    one = cross(duration_limit=INF, release_time=[0.0] * 5)
    assert masks([rule], one, [1, 2, 0, 3]) == [
        [1, 2, 3, 4],
        [0, 2, 3, 4],
        [0, 3, 4],
        [3, 4],
        [0, 4],
    ]
