"""The shipped policy `vrp` on the variants that it is for."""

from pathlib import Path

import pytest
import torch

from nco.data.seeding import seeded
from nco.envs import PROBLEMS, problem
from nco.hub.released import CARD, load_policy, shipped, shipped_policy
from nco.solvers.policy.solver import PolicySolver
from nco.solvers.pyvrp import PyVRP


@pytest.mark.parametrize("name", ["ovrp", "vrptw", "ovrpltw", "vrpb", "mdvrpl"])
def test_it_is_close_to_a_good_solver(name: str) -> None:
    """With 20 customers its solutions are feasible and cost at most a tenth more than PyVRP's, in
    the mean of some instances."""
    env = problem(name)
    instances = PROBLEMS[name].generator(20)(4, seeded(8))
    solver, ratios = PolicySolver("vrp"), []
    for k in range(len(instances)):
        one = instances[k : k + 1]
        found = solver.solve(env, one)
        assert found.feasible and env.check(one, found.vehicle_routes) == []
        ratios.append(found.cost / PyVRP(iterations=200).solve(env, one, 5.0).cost)
    assert sum(ratios) / len(ratios) < 1.1


def test_one_commodity_routes_are_shorter_than_usual_ones() -> None:
    """Told that goods are exchanged, the same policy finds routes that the usual rule forbids, and
    that are shorter."""
    instances = PROBLEMS["1pdvrp"].generator(20)(4, seeded(9))
    exchanged, usual = problem("1pdvrp"), problem("vrpmb")
    solver, costs, forbidden = PolicySolver("vrp"), [], 0
    for k in range(len(instances)):
        one = instances[k : k + 1]
        free, strict = solver.solve(exchanged, one), solver.solve(usual, one)
        assert (
            exchanged.check(one, free.vehicle_routes) == []
            and usual.check(one, strict.vehicle_routes) == []
        )
        forbidden += bool(usual.check(one, free.vehicle_routes))
        costs.append(free.cost - strict.cost)
    assert sum(costs) < 0 and forbidden > 0


@pytest.mark.parametrize("name", shipped())
def test_shipped_policies_are_small_and_say_where_they_are_from(name: str) -> None:
    """Less than 8 MB each, with what they were trained on and how good they are; half precision
    holds the very weights that decode."""
    import nco

    folder = Path(nco.__file__).parent / "shipped" / name
    assert sum(part.stat().st_size for part in folder.iterdir()) < 8e6
    card = shipped_policy(name).card
    assert card["training"] and card["measured"] and (folder / CARD).exists()
    for value in load_policy(name).policy.state_dict().values():
        assert not value.is_floating_point() or torch.equal(value.half().float(), value)
