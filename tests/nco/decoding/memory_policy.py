"""A policy whose scores depend on the whole history, kept in its memory."""

import torch
from torch import Tensor, nn

from nco.envs import Context, Features
from nco.policies import Policy


class History(Policy):
    """
    Scores by current node, plus a fading trace of all nodes seen before.

    Parameters
    ----------
    nodes
        N, so that the tables can be drawn once.
    seed
        Of the tables.
    """

    recurrent = True

    def __init__(self, nodes: int, seed: int = 0):
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.table = nn.Parameter(torch.randn(nodes + 1, nodes, generator=rng))
        self.trace = nn.Parameter(2 * torch.randn(nodes, nodes, generator=rng))

    def encode(self, features: Features) -> Tensor:
        return features.nodes

    def step(
        self, embeddings: Tensor, context: Context, memory: tuple[Tensor, ...] = ()
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        current = context.nodes[..., -1]
        (seen,) = memory or (torch.zeros(context.mask.shape),)
        here = torch.arange(context.mask.shape[-1]) == current.unsqueeze(-1)
        seen = 0.5 * seen + here
        logits = self.table[current] + seen @ self.trace
        return logits.masked_fill(~context.mask, -torch.inf).log_softmax(-1), (seen,)
