"""A policy of many rules on problems that have only some of them."""

import re
from dataclasses import replace

import pytest
import torch

from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.decoding import Sampling, rollout
from nco.envs import PROBLEMS, problem
from nco.envs.problems.naming import VARIANTS
from nco.hub.coverage import obstacles, widen
from nco.hub.released import Released
from nco.solvers.policy.solver import PolicySolver
from tests.policies.small import small_policy

WIDE = "mdmtvrp"
NAMES = [name for name in VARIANTS if re.fullmatch("(md)?o?c?vrp(m?b)?l?(tw)?", name)]
SINGLE = [name for name in NAMES if not name.startswith("md")]


@pytest.mark.parametrize("name", NAMES)
def test_all_variants_are_covered_by_the_mixed_problem(name: str) -> None:
    """Rollouts in the wide environment are feasible in the narrow one, at the same cost."""
    wide, env = problem(WIDE), problem(name)
    assert len(NAMES) == 48 and obstacles(wide, env) == []
    instance = PROBLEMS[name].generator(6)(2, seeded(3))
    there = widen(wide, env, instance)
    driven = rollout(wide, small_policy(wide), there, Sampling(), 3, rng=seeded(4))
    for b in range(2):
        for r in range(3):
            row, wider = instance[b : b + 1], there[b : b + 1]
            routes = wide.visits.routes(wider, driven.actions[b, r].tolist())
            assert env.check(row, routes) == []
            assert env.routes_cost(row, routes) == pytest.approx(float(driven.cost[b, r]))


@pytest.mark.parametrize("name", SINGLE)
def test_neutral_rules_change_no_mask(name: str) -> None:
    """With one depot, the mixed problem of one depot allows exactly the moves of the variant."""
    wide, env = problem("mtvrp"), problem(name)
    instance = PROBLEMS[name].generator(5)(3, seeded(5))
    there = widen(wide, env, instance)
    here, beyond = env.reset(instance, 4), wide.reset(there, 4)
    for step in range(env.max_steps(instance)):
        mask = env.mask(here)
        assert torch.equal(mask, wide.mask(beyond))
        action = mask.float().flatten(0, 1).multinomial(1, generator=seeded(step)).view(3, 4)
        here, beyond = env.step(here, action), wide.step(beyond, action)


@pytest.mark.parametrize("name", [*NAMES, "1pdvrp", "1pdvrpltw"])
def test_the_widest_problem_covers_all_variants(name: str) -> None:
    """The one that policies of all variants are trained on allows, with neutral values or with the
    flag of one commodity, what the variant allows: its rollouts are feasible there."""
    wide, env = problem("anyvrp"), problem(name)
    instance = PROBLEMS[name].generator(6)(2, seeded(3))
    there = widen(wide, env, instance)
    assert there["one_commodity"].tolist() == [int(name.startswith("1"))] * 2
    driven = rollout(wide, small_policy(wide), there, Sampling(), 3, rng=seeded(4))
    for b in range(2):
        for r in range(3):
            row, wider = instance[b : b + 1], there[b : b + 1]
            routes = wide.visits.routes(wider, driven.actions[b, r].tolist())
            assert env.check(row, routes) == []
            assert env.routes_cost(row, routes) == pytest.approx(float(driven.cost[b, r]))


@pytest.mark.parametrize("name", [*SINGLE, "1pdvrp", "1pdvrpltw"])
def test_the_widest_problem_allows_just_the_moves_of_the_variant(name: str) -> None:
    """With one depot, its masks are those of the variant at every step."""
    wide, env = problem("anyvrp"), problem(name)
    instance = PROBLEMS[name].generator(5)(3, seeded(5))
    there = widen(wide, env, instance)
    here, beyond = env.reset(instance, 4), wide.reset(there, 4)
    for step in range(env.max_steps(instance)):
        mask = env.mask(here)
        assert torch.equal(mask, wide.mask(beyond))
        action = mask.float().flatten(0, 1).multinomial(1, generator=seeded(step)).view(3, 4)
        here, beyond = env.step(here, action), wide.step(beyond, action)


def test_what_a_policy_does_not_know_is_in_the_way() -> None:
    """Rules beyond the policy's, other objectives, and rules that cannot rest are named."""
    assert obstacles(problem("cvrp"), problem("vrptw")) == ["TimeWindows"]
    assert obstacles(problem("mtvrp"), problem("mdvrp")) == ["DepotRoutes", "FleetRoutes"]
    assert "Makespan" in obstacles(problem(WIDE), problem("mtsp-minmax"))
    assert obstacles(problem("pdp"), problem("cvrp")) != []
    with pytest.raises(InputError, match="the rules differ in TimeWindows"):
        widen(problem("cvrp"), problem("vrptw"), PROBLEMS["vrptw"].generator(4)(1, seeded(0)))


def test_the_solver_decodes_covered_problems() -> None:
    """The policy solver returns checked solutions of a variant, from a policy for all of them."""
    wide, env = problem(WIDE), problem("ovrptw")
    released = Released("wide", small_policy(wide).eval(), wide)
    instance = PROBLEMS["ovrptw"].generator(8)(1, seeded(1))
    found = PolicySolver(released).solve(env, instance)
    assert found.feasible and env.check(instance, found.vehicle_routes) == []
    narrow = replace(released, env=problem("cvrp"), policy=small_policy(problem("cvrp")))
    with pytest.raises(InputError, match=r"does not support this problem: .*OpenRoutes"):
        PolicySolver(narrow).solve(env, instance)
