"""Networks small enough to be computed by hand, with weights drawn from a generator."""

import torch
from torch import nn

from nco.envs import RoutingEnv
from nco.policies import AttentionPolicy, Policy

SMALL = {"dim": 8, "heads": 2, "layers": 2, "hidden": 12}


def small_policy(env: RoutingEnv, seed: int = 0, scale: float = 1.0, **options) -> AttentionPolicy:
    """
    An attention policy of 8 channels.

    Parameters
    ----------
    seed
        Of all its weights and running averages, biases and gates included.
    scale
        Factor on the weights: a larger one gives more decided policies.
    options
        Settings of `AttentionPolicy` other than those of `SMALL`.
    """
    with torch.random.fork_rng():
        policy = AttentionPolicy(env, **SMALL | options)
    randomise(policy, seed, scale)
    return policy


def randomise(policy: Policy, seed: int, scale: float = 1.0) -> None:
    """Draws every parameter and every running average anew."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            bound = scale * parameter.shape[-1] ** -0.5
            parameter.copy_(bound * (2 * torch.rand(parameter.shape, generator=rng) - 1))
        for module in policy.modules():
            if isinstance(module, nn.BatchNorm1d):
                assert module.running_mean is not None and module.running_var is not None
                module.weight.add_(1)
                module.running_mean.copy_(torch.rand(module.running_mean.shape, generator=rng))
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=rng) + 0.5)
