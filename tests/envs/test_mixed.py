"""A batch may mix variants: every row is ruled and priced as its own problem would."""

import pytest
import torch
from tensordict import TensorDict

from nco.data.neutral import join
from nco.envs import RoutingEnv, problem, row_of
from nco.envs.problems.compose import compose
from nco.envs.problems.naming import VARIANTS
from tests.envs.random_instances import rollout

SINGLE = [name for name in VARIANTS if VARIANTS[name].stated is not None]
ONE_DEPOT = [
    name
    for name in SINGLE
    if "vrp" in name and not {"depots", "penalty"} & (VARIANTS[name].stated or set())
]
SIMPLE = [name for name in ONE_DEPOT if not name.startswith("a") and "spd" not in name]
PLAIN = [name for name in SIMPLE if name != "dvrp"]
SEVERAL = [name for name in SINGLE if name.startswith("md") and name not in ("mdpdptw", "mdvrptwr")]


def drawn(names: list[str], size: int, seed: int) -> list[TensorDict]:
    rng = torch.Generator().manual_seed(seed)
    return [row_of(name).generator(size)(1, rng) for name in names]


def rows_are_as_alone(
    env: RoutingEnv, names: list[str], alone: list[TensorDict], mixed: TensorDict, seed: int
) -> None:
    """Random rollouts of the mixed batch meet the same masks and costs, row by row."""
    actions, states = rollout(env, mixed, 3, seed)
    costs = env.cost(mixed, actions)
    masks = [env.mask(state) for state in states]
    for row, (name, one) in enumerate(zip(names, alone, strict=True)):
        own = problem(name)
        state = own.reset(one, 3)
        for step, mask in enumerate(masks):
            if bool(own.done(state).all()):
                break
            assert torch.equal(own.mask(state)[0], mask[row]), (name, step)
            state = own.step(state, actions[row : row + 1, :, step])
        assert bool(own.done(state).all())
        assert torch.equal(own.cost(one, actions[row : row + 1])[0], costs[row]), name
        for r in range(3):
            routes = own.visits.routes(one, actions[row, r].tolist())
            assert bool(own.check(one, routes)) == bool(env.check(mixed[row : row + 1], routes))


@pytest.mark.parametrize("seed", range(2))
def test_single_depot_variants_mix(seed: int) -> None:
    """All 24 variants with one depot, in one batch of the problem ``mtvrp``."""
    assert len(set(PLAIN)) == 24
    alone = drawn(PLAIN, 9, seed)
    rows_are_as_alone(problem("mtvrp"), PLAIN, alone, join(alone), seed)


@pytest.mark.parametrize("seed", range(2))
def test_several_depot_variants_mix(seed: int) -> None:
    """All 24 variants with several depots, in one batch of the problem ``mdmtvrp``."""
    assert len(set(SEVERAL)) == 24
    alone = drawn(SEVERAL, 9, seed)
    rows_are_as_alone(problem("mdmtvrp"), SEVERAL, alone, join(alone), seed)


@pytest.mark.parametrize(
    "names",
    [
        ["cvrp", "vrpspd", "vrpspdtw", "pdp", "pdptw", "dvrp", "ovrpbltw", "vrpmbl"],
        ["mdcvrp", "hfvrp", "sdvrptw", "mdpdptw", "mdvrptwr", "mdovrpl", "mdvrpmbtw"],
        ["pcvrp", "pcvrptw"],
        ["acvrp", "avrptw"],
    ],
    ids=lambda names: names[0],
)
def test_families_mix(names: list[str]) -> None:
    """Whatever else a composition can say mixes too: shipments, fleets, zones, release times."""
    alone = drawn(names, 8, 0)
    stated = {name for problem_name in names for name in row_of(problem_name).stated or ()}
    rows_are_as_alone(compose(stated), names, alone, join(alone), 0)
