"""The nearest customer first: a policy from outside, by registration alone."""

import torch

from nco.envs import problem
from nco.hub.released import Released
from nco.plugins import register
from nco.policies import Policy


class Nearest(Policy):
    """Prefers the nearest node that the mask allows."""

    def encode(self, features):
        return torch.cdist(features.coords, features.coords)

    def step(self, embeddings, context, memory=()):
        here = context.nodes[..., -1].clamp_min(0)
        rows = here.unsqueeze(-1).expand(-1, -1, embeddings.shape[-1])
        scores = (-10 * embeddings.gather(1, rows)).masked_fill(~context.mask, -torch.inf)
        return scores.log_softmax(-1), memory


register.policy("nearest", lambda: Released("nearest", Nearest(), problem("anyvrp")))
