"""An instance that lacks what its problem's rules read."""

import pytest
import torch

from nco.data.errors import InputError
from nco.envs import PROBLEMS, problem


@pytest.mark.parametrize("name", PROBLEMS)
def test_absent_attributes_are_named(name: str) -> None:
    """Every problem accepts its own generator's instances, and names what is taken from them."""
    env = problem(name)
    instance = PROBLEMS[name].generator(5)(1, torch.Generator().manual_seed(0))
    env.require(instance)
    for part in (*env.constraints, env.objective):
        for attribute in part.reads:
            rule = f"instance: {attribute} is absent, expected for the rule"
            with pytest.raises(InputError, match=rule):
                env.impossible(instance.exclude(attribute))
