"""Graph encoders: the graph against loops, layers against loops, and their place in a policy."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nco.data.generators import CVRPGenerator, TSPGenerator
from nco.data.seeding import seeded
from nco.decoding import MultiStart
from nco.envs import Features, problem
from nco.hub.building import build
from nco.policies import AttentionPolicy
from nco.policies.encoder import Encoder
from nco.policies.graph import GatedGCN, GATv2, GraphTransformer, near_graph
from nco.policies.graph.gated_gcn import GatedGCNLayer
from nco.policies.graph.neighbours import nearest, nearest_by_rows, nearest_points
from tests.policies.small import randomise

ENCODERS = {
    "gatv2": lambda spec: GATv2(spec, dim=8, heads=2, layers=2, hidden=12, neighbours=4),
    "gated": lambda spec: GatedGCN(spec, dim=8, layers=2, neighbours=4),
    "transformer": lambda spec: GraphTransformer(
        spec, dim=8, heads=2, layers=2, hidden=12, neighbours=4
    ),
}


def features_of(batch: int, nodes: int, seed: int) -> Features:
    coords = torch.rand(batch, nodes, 2, generator=seeded(seed))
    return Features(nodes=coords, coords=coords)


def with_matrix(features: Features, seed: int) -> Features:
    """Asymmetric distances in place of coordinates."""
    batch, nodes, _ = features.nodes.shape
    return replace(features, distance=torch.rand(batch, nodes, nodes, generator=seeded(seed)))


def edges_by_loops(features: Features, k: int, depots: int) -> dict[tuple[int, int], list[float]]:
    """Edges of the batch with both lengths, from sorted lists."""
    found = {}
    batch, n, _ = features.nodes.shape
    for b in range(batch):

        def length(i: int, j: int, b: int = b) -> float:
            if features.distance is not None:
                return float(features.distance[b, i, j])
            return float((features.coords[b, i] - features.coords[b, j]).norm())

        pairs = {(d, i) for d in range(depots) for i in range(n) if i != d}
        pairs |= {(i, d) for d, i in pairs}
        for i in range(depots, n):
            others = [j for j in range(depots, n) if j != i]
            pairs |= {(j, i) for j in sorted(others, key=lambda j, i=i: length(i, j))[:k]}
        for i, j in pairs:
            found[b * n + i, b * n + j] = [length(i, j), length(j, i)]
    return found


@given(
    st.integers(1, 3),
    st.integers(3, 9),
    st.integers(1, 10),
    st.integers(0, 2),
    st.booleans(),
    st.integers(0, 999),
)
def test_graph_equals_loops(
    batch: int, nodes: int, k: int, depots: int, matrix: bool, seed: int
) -> None:
    """Edges and their lengths are those of sorted lists, each edge once, for any sizes."""
    features = features_of(batch, nodes, seed)
    if matrix:
        features = with_matrix(features, seed + 1)
    graph = near_graph(features, k, depots)
    expected = edges_by_loops(features, k, depots)
    keys = [tuple(edge) for edge in graph.edges.T.tolist()]
    assert sorted(keys) == sorted(expected)
    lengths = torch.tensor([expected[key] for key in keys]).view(-1, 2)
    torch.testing.assert_close(graph.lengths, lengths)


def test_chunks_do_not_matter() -> None:
    """Neighbours found a few rows at a time are those found at once, and those of a tree."""
    features = features_of(2, 1200, 1)
    whole = nearest_by_rows(features, 5, 1, 2**24)
    torch.testing.assert_close(nearest_by_rows(features, 5, 1, 2**14), whole)
    torch.testing.assert_close(nearest(features, 5, 1), whole)
    features = features_of(2, 40, 1)
    whole = nearest(features, 5, 1)
    torch.testing.assert_close(nearest(features, 5, 1, block=200), whole)


@given(st.integers(4, 60), st.integers(1, 3), st.integers(1, 5), st.integers(0, 999))
def test_tree_and_brute_force_agree(nodes: int, count: int, grid: int, seed: int) -> None:
    """Both find the same distances, also where many points lie on the same spot."""
    spots = torch.randint(grid + 1, (2, nodes, 2), generator=seeded(seed)).double() / grid
    features = Features(nodes=spots, coords=spots)
    lengths = torch.cdist(spots, spots)
    found = [
        nearest_points(spots, count),
        nearest_by_rows(features, count, 0, 4096),
    ]
    for order in found:
        assert (order != torch.arange(nodes).unsqueeze(-1)).all()
        assert all(len(set(row)) == count for row in order.flatten(0, 1).tolist())
    torch.testing.assert_close(lengths.gather(-1, found[0]), lengths.gather(-1, found[1]))


def gated_by_loops(layer: GatedGCNLayer, x: Tensor, e: Tensor, edges: Tensor) -> Tensor:
    """Nodes after one layer without normalisation, edge by edge (Joshi et al. 2019)."""
    own, message, heard, sent = layer.node(x).chunk(4, dim=-1)
    total, weight = torch.zeros_like(x), torch.zeros_like(x)
    for k, (source, target) in enumerate(edges.T.tolist()):
        gate = (layer.edge(e[k]) + heard[target] + sent[source]).sigmoid()
        total[target] += gate * message[source]
        weight[target] += gate
    return x + (own + total / (weight + 1e-6)).relu()


def test_gated_layer_equals_loops() -> None:
    """The gated layer's nodes are those of a loop over edges."""
    layer = GatedGCNLayer(6, "none")
    rng = seeded(1)
    x, e = torch.randn(1, 5, 6, generator=rng), torch.randn(1, 9, 6, generator=rng)
    edges = torch.randint(5, (2, 9), generator=rng)
    with torch.no_grad():
        found, _ = layer(x, e, edges)
        expected = gated_by_loops(layer, x[0], e[0], edges)
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_relabelled_nodes_get_the_same_embeddings(name: str) -> None:
    """Another order of the customers is another order of the embeddings, nothing else."""
    env = problem("cvrp")
    instance = CVRPGenerator(9)(2, seeded(1))
    encoder = small(name, env)
    order = torch.cat(
        [torch.zeros(1, dtype=torch.long), 1 + torch.randperm(9, generator=seeded(2))]
    )
    other = instance.clone()
    other["locs"], other["demand"] = instance["locs"][:, order], instance["demand"][:, order]
    with torch.no_grad():
        plain, relabelled = encoder(env.features(instance)), encoder(env.features(other))
    torch.testing.assert_close(relabelled, plain[:, order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_batch_of_one_equals_its_row(name: str) -> None:
    """In evaluation mode an instance's embeddings do not depend on its batch."""
    env = problem("cvrp")
    instance = CVRPGenerator(9)(3, seeded(1))
    encoder = small(name, env)
    with torch.no_grad():
        together = encoder(env.features(instance))
        alone = encoder(env.features(instance[1:2]))
    torch.testing.assert_close(alone[0], together[1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_messages_come_from_neighbours_only(name: str) -> None:
    """After two layers a node of a TSP has heard from those two edges away, and from no other."""
    env = problem("tsp")
    instance = TSPGenerator(60)(1, seeded(3))
    encoder = small(name, env)
    features = env.features(instance)
    graph = near_graph(features, 4, 0)
    reach = torch.eye(60)
    adjacency = torch.eye(60)
    adjacency[graph.edges[1], graph.edges[0]] = 1
    for _ in range(2):
        reach = adjacency @ reach
    nodes = features.nodes.clone().requires_grad_()
    out = encoder(replace(features, nodes=nodes))
    (gradient,) = torch.autograd.grad(out[0, 7].square().sum(), nodes)
    heard = gradient[0].abs().sum(-1) > 0
    assert not (heard & (reach[7] == 0)).any()
    assert 3 < int(heard.sum()) <= int((reach[7] > 0).sum()) < 40


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("kind", ["tsp", "cvrp"])
def test_any_decoder_takes_the_encoder(kind: str, name: str, precision: torch.dtype) -> None:
    """With a graph encoder the attention policy finds feasible solutions and learns."""
    env = problem(kind)
    instance = (TSPGenerator if kind == "tsp" else CVRPGenerator)(7)(2, seeded(1))
    with torch.random.fork_rng():
        policy = AttentionPolicy(env, heads=2, encoder=ENCODERS[name])
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        actions, _ = MultiStart(3)(env, policy, instance).best()
        policy.encode(env.features(instance)).logit_keys.float().square().sum().backward()
    one = instance[:1]
    assert env.check(one, env.visits.routes(one, actions[0].tolist())) == []
    assert all(p.grad is not None for p in policy.encoder.embedding.parameters())


@pytest.mark.parametrize("encoder", ["GATv2", "GatedGCN", "GraphTransformer"])
def test_encoder_is_chosen_in_yaml(encoder: str) -> None:
    """A class path and settings name the encoder; the sizes of the features come from the env."""
    settings = {"layers": 2, "neighbours": 5, "dim": 16}
    card = {
        "env": {"class_path": "nco.envs.problem", "init_args": {"name": "cvrp"}},
        "policy": {
            "class_path": "nco.policies.AttentionPolicy",
            "init_args": {
                "encoder": {"class_path": f"nco.policies.graph.{encoder}", "init_args": settings}
            },
        },
    }
    _, policy = build(card, Path("card"), {})
    assert type(policy.encoder).__name__ == encoder
    assert len(policy.encoder.layers) == 2
    assert policy.decoder.no_node.shape == (1, 16)


def small(name: str, env) -> Encoder:
    with torch.random.fork_rng():
        encoder = ENCODERS[name](env.spec)
    randomise(encoder, seed=4)
    return encoder.eval()
