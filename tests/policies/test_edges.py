"""Features of ways: what encoders of matrices see, and other policies do not pay for."""

from dataclasses import replace

import pytest
import torch
from tensordict import TensorDict
from torch import Tensor, nn

from nco.data.seeding import seeded
from nco.decoding import MultiStart
from nco.envs import PROBLEMS, Context, Features, RoutingEnv, problem
from nco.envs.constraints import Capacity
from nco.envs.visits.depot_routes import DepotRoutes
from nco.policies import Policy
from tests.policies.small import small_policy


class Mixed(Policy):
    """Rows of the matrices, mixed by one layer: a MatNet-like encoder in one file."""

    def __init__(self, env: RoutingEnv, dim: int = 8):
        super().__init__()
        spec = env.spec
        self.node = nn.Linear(spec.node_dim, dim)
        self.weight = nn.Linear(spec.edge_dim, 1)
        self.score = nn.Linear(spec.edge_dim, 1)

    def encode(self, features: Features) -> tuple[Tensor, Tensor]:
        assert features.edges is not None
        mixed = self.weight(features.edges).squeeze(-1).softmax(-1) @ self.node(features.nodes)
        return mixed, self.score(features.edges).squeeze(-1)

    def step(
        self, embeddings: tuple[Tensor, Tensor], context: Context, memory: tuple[Tensor, ...] = ()
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        nodes, way = embeddings
        here = context.nodes[..., -1].clamp_min(0).unsqueeze(-1)
        query = nodes.gather(1, here.expand(-1, -1, nodes.shape[-1]))
        scores = query @ nodes.mT + way.gather(1, here.expand(-1, -1, way.shape[-1]))
        return scores.masked_fill(~context.mask, -torch.inf).log_softmax(-1), memory


@pytest.mark.parametrize("name", ["tsp", "atsp", "cvrp", "avrptw", "anyvrp"])
def test_ways_are_distances_and_times_in_the_unit_of_coordinates(name: str) -> None:
    """Of coordinates in the unit square they are the distances; sizes are what the spec says."""
    env = problem(name)
    instance = PROBLEMS[name].generator(6)(3, seeded(1))
    features = env.features(instance)
    edges = features.edges
    assert edges is not None and edges.dtype == torch.float32
    assert edges.shape == (3, *features.nodes.shape[1:2] * 2, env.spec.edge_dim)
    assert features.edges is edges  # computed once
    if features.distance is not None:
        torch.testing.assert_close(edges[..., 0], features.distance)
    else:
        torch.testing.assert_close(edges[..., 0], torch.cdist(features.coords, features.coords))
    torch.testing.assert_close(edges[..., 1], edges[..., 0])


def test_durations_are_seen_in_their_own_unit() -> None:
    """Times of half the distances, in another unit, look like the distances themselves."""
    instance = PROBLEMS["atsp"].generator(5)(2, seeded(2))
    instance["duration"] = 30 * instance["distance"]
    edges = problem("atsp").features(instance).edges
    assert edges is not None
    torch.testing.assert_close(edges[..., 1], edges[..., 0], rtol=1e-4, atol=1e-4)
    instance["duration"][:, 0, 1] = 0
    edges = problem("atsp").features(instance).edges
    assert edges is not None and (edges[:, 0, 1, 1] == 0).all()


class Steep(Capacity):
    """Adds what a way climbs."""

    edge_dim = 1

    def edge_features(self, instance: TensorDict) -> Tensor:
        height = instance["locs"][..., 1]
        return (height.unsqueeze(1) - height.unsqueeze(2)).unsqueeze(-1)


def test_a_rule_adds_to_them() -> None:
    """Its features come behind distance and time."""
    env = RoutingEnv(DepotRoutes(), [Steep()])
    instance = PROBLEMS["cvrp"].generator(4)(2, seeded(3))
    edges = env.features(instance).edges
    assert edges is not None and env.spec.edge_dim == edges.shape[-1] == 3
    assert edges[0, 1, 2, 2] == instance["locs"][0, 2, 1] - instance["locs"][0, 1, 1]


def test_who_does_not_ask_does_not_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attention policy computes no matrix; one in a single file decodes from it."""
    env = problem("cvrp")
    instance = PROBLEMS["cvrp"].generator(6)(2, seeded(4))
    torch.manual_seed(0)
    actions = MultiStart(3)(env, Mixed(env).eval(), instance).best()[0]
    for b in range(2):
        one = instance[b : b + 1]
        assert env.check(one, env.visits.routes(one, actions[b].tolist())) == []

    def refused(self: RoutingEnv, instance: TensorDict) -> Tensor:
        raise AssertionError("edges were asked for")

    monkeypatch.setattr(RoutingEnv, "_edges", refused)
    MultiStart(3)(env, small_policy(env).eval(), instance)
    assert replace(env.features(instance), make_edges=None).edges is None
