"""Imitation: losses against enumerated answers, ways of driving, and that it learns."""

from collections import Counter
from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path

import lightning as L
import pytest
import torch
from scipy.stats import chisquare
from tensordict import TensorDict
from torch import Tensor

from nco.data import make_instance
from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.envs import RoutingEnv, problem
from nco.envs.symmetry import answers, shuffled, turnable
from nco.training import Imitation, Solved
from nco.training.imitation import random_view
from tests.envs.random_instances import draw, rollout
from tests.nco.training.solved import write_routes, write_tours
from tests.policies.small import SMALL, small_policy

Actions = tuple[int, ...]


def directions(instance: TensorDict) -> tuple[int, ...]:
    """1 for forwards, and -1 for backwards where legs are as long both ways; one instance."""
    if "distance" not in instance.keys():
        return (1, -1)
    matrix = instance["distance"][0].tolist()
    nodes = range(len(matrix))
    symmetric = all(matrix[i][j] == matrix[j][i] for i in nodes for j in nodes)
    return (1, -1) if symmetric else (1,)


def ways(env: RoutingEnv, instance: TensorDict, actions: Actions) -> set[Actions]:
    """Every sequence that drives the same routes: all orders, directions and starting points."""
    if env.visits.num_depots == 0:
        turns = [actions[k:] + actions[:k] for k in range(len(actions))]
        return {turn[::sign] for turn in turns for sign in directions(instance)}
    return set(driven(instance, actions))


def driven(instance: TensorDict, actions: Actions) -> Iterator[Actions]:
    """Every order and direction of the routes between the zeros, padded to the same length."""
    routes: list[Actions] = [()]
    for action in actions:
        routes[-1] += (action,) if action else ()
        routes += [] if action else [()]
    routes = [route for route in routes if route]
    for order in permutations(routes):
        for signs in product(directions(instance), repeat=len(order)):
            flat: Actions = ()
            for route, sign in zip(order, signs, strict=True):
                flat += (*route[::sign], 0)
            yield flat + (0,) * (len(actions) - len(flat))


def solved(name: str, nodes: int, batch: int, seed: int) -> tuple[TensorDict, Tensor]:
    """Instances with some solution ``[B, T]`` of each, of different lengths."""
    env = problem(name)
    instance = draw(env, batch, nodes, seed)
    actions, _ = rollout(env, instance, 1, seed)
    return instance, actions[:, 0]


@pytest.mark.parametrize("name", ["tsp", "cvrp"])
@pytest.mark.parametrize("seed", range(4))
def test_answers_are_the_next_nodes_of_all_ways(name: str, seed: int) -> None:
    """At every step the answers are the nodes with which some way of driving the same routes goes
    on from what has been driven."""
    env = problem(name)
    instance, actions = solved(name, 6, 3, seed)
    right = answers(env, instance, actions.unsqueeze(1))
    for b, row in enumerate(map(tuple, actions.tolist())):
        others = ways(env, instance[b : b + 1], row)
        assert row in others
        for step in range(len(row)):
            expected = {way[step] for way in others if way[:step] == row[:step]}
            assert set(right[b, 0, step].nonzero().flatten().tolist()) == expected


@pytest.mark.parametrize("name", ["tsp", "cvrp"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_loss_equals_a_loop_over_answers(name: str, symmetric: bool) -> None:
    """The loss is the mean over all steps before the end of minus log the summed probability of the
    right nodes, found by enumerating ways; without symmetry, of the node that was taken."""
    env = problem(name)
    instance, actions = solved(name, 6, 3, 7)
    policy = small_policy(env, 7, norm="instance", residual=True, distance_bias=True)
    module = Imitation(env, policy, symmetric=symmetric)
    driven_ways = shuffled(env, instance, actions.unsqueeze(1).expand(-1, 2, -1), torch.Generator())
    losses = []
    for b in range(3):
        one = instance[b : b + 1]
        embeddings = policy.encode(env.features(one))
        for r in range(2):
            row = tuple(driven_ways[b, r].tolist())
            state = env.reset(one)
            for step, action in enumerate(row):
                if env.done(state):
                    break
                probs = policy.step(embeddings, env.context(state))[0][0, 0].exp()
                right = {w[step] for w in ways(env, one, row) if w[:step] == row[:step]}
                answers = right if symmetric else {action}
                losses.append(-sum(probs[node] for node in answers).log())
                state = env.step(state, torch.tensor([[action]]))
    expected = torch.stack(losses).mean()
    loss = module.loss(instance, driven_ways)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    parameters = list(policy.parameters())
    mine, theirs = (
        torch.autograd.grad(x, parameters, materialize_grads=True) for x in (loss, expected)
    )
    for found, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(found, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["tsp", "cvrp"])
@pytest.mark.parametrize("seed", range(3))
def test_shuffled_reaches_every_way_equally_often(name: str, seed: int) -> None:
    """Every order and direction of the routes comes up, equally often, and nothing else; all are
    feasible and cost the same."""
    env = problem(name)
    instance, actions = solved(name, 5, 2, seed)
    count = 6000
    many = shuffled(
        env,
        instance,
        actions.unsqueeze(1).expand(-1, count, -1),
        torch.Generator().manual_seed(seed),
    )
    cost = env.cost(instance, actions.unsqueeze(1))
    torch.testing.assert_close(env.cost(instance, many), cost.expand(-1, count))
    for b in range(2):
        one, found = instance[b : b + 1], Counter(map(tuple, many[b].tolist()))
        expected = ways(env, one, tuple(actions[b].tolist()))
        assert set(found) == expected
        for way in expected:
            assert env.check(one, env.visits.routes(one, list(way))) == []
        # A route of one customer is the same in both directions: ways are drawn as often as
        # routes, directions and starts produce them.
        drawn = Counter(
            driven(one, tuple(actions[b].tolist())) if env.visits.num_depots else expected
        )
        weights = torch.tensor([float(drawn[way]) for way in found])
        frequencies = list(found.values())
        assert chisquare(frequencies, (count * weights / weights.sum()).numpy()).pvalue > 1e-3


@pytest.mark.parametrize("name", ["vrptw", "ovrp", "vrpb", "pdp"])
def test_routes_keep_their_direction_where_rules_see_it(name: str) -> None:
    """With windows, open ends, pickups or pairs only the order of the routes is free; an instance
    that states none of them may be driven backwards."""
    env = problem(name)
    instance, actions = solved(name, 6, 3, 1)
    turns = turnable(env, instance).tolist()
    assert not all(turns)
    many = shuffled(env, instance, actions.unsqueeze(1).expand(-1, 50, -1), seeded(1))
    for b in range(3):
        one, given = instance[b : b + 1], actions[b].tolist()
        visits = [route.visits for route in env.visits.routes(one, given)]
        routes = {min(v, v[::-1]) if turns[b] else v for v in visits}
        for way in many[b].tolist():
            found = [route.visits for route in env.visits.routes(one, way)]
            assert {min(v, v[::-1]) if turns[b] else v for v in found} == routes
            assert env.check(one, env.visits.routes(one, way)) == []
    cost = env.cost(instance, actions.unsqueeze(1))
    torch.testing.assert_close(env.cost(instance, many), cost.expand(-1, 50))


@pytest.mark.parametrize("name", ["sdvrp", "op", "pctsp"])
def test_solutions_without_freedom_stay_as_they_are(name: str) -> None:
    """Where order decides what a visit serves, or no freedom is known, the given way is the only
    one: it is not shuffled, and its own nodes are the answers."""
    env = problem(name)
    instance, actions = solved(name, 6, 3, 1)
    rows = actions.unsqueeze(1).expand(-1, 4, -1)
    assert torch.equal(shuffled(env, instance, rows, torch.Generator()), rows)
    right = answers(env, instance, rows)
    assert torch.equal(right, torch.nn.functional.one_hot(rows, 6).bool())


def test_a_tour_of_one_node_has_answers() -> None:
    """A single node is its own tour, and its answer."""
    env = problem("tsp")
    instance = make_instance(locs=torch.rand(2, 1, 2))
    actions = torch.zeros(2, 1, 1, dtype=torch.long)
    assert answers(env, instance, actions).all()
    assert torch.equal(shuffled(env, instance, actions, torch.Generator()), actions)


def test_random_views_keep_distances_and_cover_the_square() -> None:
    """Every instance is seen under each of the eight symmetries, and its costs stay."""
    env = problem("tsp")
    one = draw(env, 1, 5, 0)
    instance = one.repeat(400)
    seen = random_view(instance, torch.Generator().manual_seed(0))
    assert "view" not in instance.keys() and torch.equal(seen["locs"], instance["locs"])
    views = seen["view"]
    torch.testing.assert_close(
        torch.cdist(views, views), torch.cdist(instance["locs"], instance["locs"])
    )
    counts = Counter(tuple(view.flatten().tolist()) for view in views)
    assert len(counts) == 8 and chisquare(list(counts.values())).pvalue > 1e-3


class Record(L.Callback):
    """Collects losses and validation gaps."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.gaps: list[float] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.losses.append(float(outputs["loss"]))

    def on_validation_epoch_end(self, trainer, pl_module) -> None:
        self.gaps.append(float(trainer.callback_metrics["val/gap"]))


@pytest.mark.parametrize(
    ("name", "write", "size"),
    [
        ("tsp", lambda path: write_tours(path, (7,) * 12), 7),
        ("cvrp", lambda path: write_routes(path, 12), 5),
    ],
    ids=["tsp", "cvrp"],
)
def test_twenty_steps_learn(tmp_path: Path, name: str, write, size: int) -> None:
    """In twenty steps on a dozen solved instances the loss falls by a quarter and the greedy gap to
    their optimal costs by half."""
    env = problem(name)
    path = write(tmp_path / "labels.npz")
    data = Solved(
        [str(path)], 64, 10, [str(tmp_path / "*.npz")], val_size=size, reference_size=size
    )
    policy = small_policy(env, 2, **SMALL | {"dim": 16}, norm="instance", distance_bias=True)
    record = Record()
    module = Imitation(env, policy, lambda p: torch.optim.Adam(p, lr=0.02))
    trainer = L.Trainer(
        max_epochs=2,
        callbacks=[record],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.validate(module, data, verbose=False)
    trainer.fit(module, data)
    assert len(record.losses) == 20
    assert sum(record.losses[-3:]) < 0.75 * sum(record.losses[:3])
    assert 0 <= record.gaps[-1] < 0.5 * record.gaps[0]


def test_no_way_of_driving_is_refused() -> None:
    """Fewer than one way of driving each solution is the user's error."""
    env = problem("tsp")
    with pytest.raises(InputError, match="rollouts: 0, expected 1 or more"):
        Imitation(env, small_policy(env), rollouts=0)
