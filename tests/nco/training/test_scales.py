"""Units of cost by variant, against a plain dictionary of averages."""

import pytest
import torch

from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.envs import PROBLEMS
from nco.training import OwnMean, VariantMean
from nco.training.scales import variant_codes

RULES = ("backhaul", "linehaul_first", "distance_limit", "time_windows", "open_route")

SIZE = 9


def test_averages_move_as_in_a_dictionary() -> None:
    """Each variant has its own moving average, whatever the batch mixes; others stand still."""
    scale, weight = VariantMean(weight=0.25), 0.25
    expected: dict[int, float] = {}
    for seed in range(4):
        instance = PROBLEMS["mtvrp"].generator(SIZE)(12, seeded(seed))
        cost = torch.rand(12, 5, generator=seeded(seed)) + 1
        codes = variant_codes(instance, RULES).tolist()
        found = scale(cost, instance)
        for code in set(codes):
            rows = [row for row, c in enumerate(codes) if c == code]
            mean = float(cost[rows].mean())
            old = expected.get(code, mean)
            expected[code] = old + weight * (mean - old)
        torch.testing.assert_close(found[:, 0], torch.tensor([expected[c] for c in codes]))
    assert len(expected) > 8


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("cvrp", set()),
        ("ovrp", {"open_route"}),
        ("vrpmb", {"backhaul"}),
        ("vrpb", {"backhaul", "linehaul_first"}),
        ("ovrpltw", {"open_route", "distance_limit", "time_windows"}),
    ],
)
def test_codes_tell_what_an_instance_is(name: str, rules: set[str]) -> None:
    """The code's bits are the attributes that say something."""
    instance = PROBLEMS[name].generator(SIZE)(3, seeded(0))
    expected = sum(1 << RULES.index(rule) for rule in rules)
    assert variant_codes(instance, RULES).tolist() == [expected] * 3


def test_nothing_moves_in_evaluation() -> None:
    """Outside training the averages stay, and what is unknown is not scaled."""
    scale = VariantMean().eval()
    instance = PROBLEMS["cvrp"].generator(SIZE)(2, seeded(0))
    assert scale(torch.full((2, 3), 7.0), instance).tolist() == [[1.0], [1.0]]


def test_the_unit_of_an_instance_changes_nothing() -> None:
    """Divided by the mean of their own rollouts, costs in metres are those in kilometres; prizes,
    which count negatively, keep their order, and costs of nothing stay."""
    cost = torch.tensor([[1.0, 2.0, 6.0], [1000.0, 2000.0, 6000.0], [-1.0, -3.0, 1.0], [0, 0, 0]])
    instance = PROBLEMS["cvrp"].generator(SIZE)(4, seeded(0))
    unit = OwnMean()(cost, instance)
    assert unit.tolist() == [[3.0], [3000.0], [1.0], [1.0]]
    relative = (cost - cost.mean(-1, keepdim=True)) / unit
    assert torch.equal(relative[0], relative[1])
    assert relative[2].argsort().tolist() == cost[2].argsort().tolist()


def test_bad_settings_are_named() -> None:
    """Unknown attributes, attributes that are always there, and useless weights are refused."""
    for settings, match in (
        ({"attributes": ["colour"]}, "'colour'"),
        ({"attributes": ["locs"]}, "'locs'"),
        ({"weight": 0.0}, "weight: 0.0"),
    ):
        with pytest.raises(InputError, match=match):
            VariantMean(**settings)
