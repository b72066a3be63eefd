"""An encoder may embed a node twice: as an origin and as a target."""

import torch
from torch import nn

from nco.envs import Features, FeatureSpec, problem
from nco.policies import AttentionPolicy
from nco.policies.encoder import Embedded, Encoder
from nco.training import REINFORCE, Critic
from tests.envs.random_instances import draw


class Rows(Encoder):
    """Embeds the rows and the columns of coordinates by own maps, or both by the first one."""

    def __init__(self, spec: FeatureSpec, dim: int = 8, two: bool = True, same: bool = False):
        super().__init__()
        self.dim, self.two, self.same = dim, two, same
        self.row, self.column = nn.Linear(2, dim), nn.Linear(2, dim)

    def forward(self, features: Features) -> Embedded:
        xy = features.nodes[..., :2]
        rows = self.row(xy)
        if not self.two:
            return rows
        return rows, (rows.clone() if self.same else self.column(xy))


def policy(two: bool, same: bool) -> AttentionPolicy:
    """A policy with such an encoder; the same weights every time."""
    torch.manual_seed(4)
    return AttentionPolicy(
        problem("tsp"), heads=2, encoder=lambda spec: Rows(spec, two=two, same=same)
    )


def test_equal_embeddings_are_one() -> None:
    """Two embeddings with the same values give the tables of a single one."""
    features = problem("tsp").features(draw(problem("tsp"), 2, 5, 1))
    one, two = (policy(two, same=True).encode(features) for two in (False, True))
    for name in ("keys", "values", "logit_keys", "by_node"):
        torch.testing.assert_close(getattr(one, name), getattr(two, name))


def test_origins_ask_and_targets_answer() -> None:
    """Queries are those of the rows alone, keys and values those of the columns alone."""
    features = problem("tsp").features(draw(problem("tsp"), 2, 5, 1))
    network = policy(two=True, same=False)
    rows, columns = network.encoder(features)
    found = network.encode(features)
    of_rows, of_columns = (network.decoder.precompute(part, features) for part in (rows, columns))
    torch.testing.assert_close(found.by_node, of_rows.by_node)
    for name in ("keys", "values", "logit_keys"):
        torch.testing.assert_close(getattr(found, name), getattr(of_columns, name))
    assert not torch.allclose(of_rows.keys, of_columns.keys)


def test_it_trains() -> None:
    """Both maps get a gradient, with a critic of the same architecture, too."""
    env = problem("tsp")
    module = REINFORCE(env, policy(two=True, same=False), samples=3, baseline=Critic(4))
    sampled = module.roll_out(draw(env, 4, 5, 2), 0)
    module.loss(sampled).backward()
    encoder = module.policy.encoder
    assert isinstance(encoder, Rows)
    for part in (encoder.row.weight, encoder.column.weight):
        assert part.grad is not None and part.grad.norm() > 0
