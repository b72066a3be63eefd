"""The Pointer Network: against plain loops, one pass against steps, learning, and refusals."""

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.generators import CVRPGenerator, TSPGenerator
from nco.data.seeding import seeded
from nco.decoding import Beam, Greedy, MultiStart, Sampling, replay, rollout
from nco.envs import RoutingEnv, problem
from nco.envs.symmetry import shuffled
from nco.policies import PointerNetwork
from nco.policies.pointer_network import AdditiveScore, DotScore
from nco.training import REINFORCE, Critic, Imitation
from tests.policies.small import randomise

GENERATORS = {"tsp": TSPGenerator, "cvrp": CVRPGenerator}
OPTIONS = [
    {"glimpses": 0, "tanh_clipping": 0.0, "residual": False},  # Vinyals et al. 2015
    {"glimpses": 1, "tanh_clipping": 10.0, "residual": False},  # Bello et al. 2016
    {"glimpses": 2, "tanh_clipping": 10.0, "residual": True},
    {"glimpses": 1, "tanh_clipping": 10.0, "residual": True, "score": "dot"},
]


def network(env: RoutingEnv, **options) -> PointerNetwork:
    with torch.random.fork_rng():
        policy = PointerNetwork(env, dim=8, **options)
    randomise(policy, seed=3, scale=2.0)
    return policy.eval()


def score(part: AdditiveScore | DotScore, key: Tensor, query: Tensor) -> Tensor:
    """How one query meets one projected key, ``[1]``."""
    if isinstance(part, DotScore):
        return (part.query(query) * key).sum(-1, keepdim=True) / math.sqrt(len(key))
    return part.score((key + part.query(query)).tanh())


def lstm_cell(lstm: torch.nn.LSTM, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step of one sequence, gate by gate (Hochreiter & Schmidhuber 1997)."""
    gates = lstm.weight_ih_l0 @ x + lstm.bias_ih_l0 + lstm.weight_hh_l0 @ h + lstm.bias_hh_l0
    into, forget, candidate, out = gates.chunk(4)
    c = forget.sigmoid() * c + into.sigmoid() * candidate.tanh()
    return out.sigmoid() * c.tanh(), c


def scores_by_loops(policy: PointerNetwork, env: RoutingEnv, instance, actions) -> list[Tensor]:
    """Log-probabilities of every step of one rollout of one instance, node by node."""
    features = env.features(instance)
    embedding = policy.encoder.embedding
    depots = env.spec.num_depots
    inputs, nodes = [], []
    h = c = torch.zeros(policy.encoder.dim)
    for i, x in enumerate(features.nodes[0]):
        e = embedding.depot(x[:2]) if i < depots else embedding.customer(x)
        h, c = lstm_cell(policy.encoder.lstm, e, h, c)
        inputs.append(e)
        nodes.append(e + h if policy.residual else h)
    found = []
    state = env.reset(instance)
    for action in actions:
        context = env.context(state)
        current = int(context.nodes[0, 0, -1])
        x = policy.start[0] if current < 0 else inputs[current]
        if policy.scalars is not None:
            x = x + policy.scalars(context.scalars[0, 0])
        h, c = lstm_cell(policy.lstm, x, h, c)
        query = x + h if policy.residual else h
        allowed = [i for i in range(len(nodes)) if context.mask[0, 0, i]]
        for _ in range(policy.glimpses):
            part = policy.glimpse
            keys = [part.key(node) for node in nodes]
            weights = torch.cat([score(part, keys[i], query) for i in allowed]).softmax(0)
            glimpse = sum(w * keys[i] for w, i in zip(weights, allowed, strict=True))
            query = query + glimpse if policy.residual else glimpse
        part = policy.pointer
        u = [score(part, part.key(nodes[i]), query) for i in allowed]
        logits = torch.cat(u)
        if policy.tanh_clipping:
            logits = policy.tanh_clipping * logits.tanh()
        row = torch.full((len(nodes),), -math.inf)
        row[allowed] = logits.log_softmax(0)
        found.append(row)
        state = env.step(state, torch.tensor([[int(action)]]))
    return found


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", GENERATORS)
def test_scores_equal_loops(name: str, options: dict) -> None:
    """Every log-probability equals that of LSTM cells, glimpses and pointer written as loops."""
    env = problem(name)
    policy = network(env, **options)
    instance = GENERATORS[name](6)(1, seeded(1))
    with torch.no_grad():
        driven = rollout(env, policy, instance, Sampling(), rng=seeded(2), record=True)
        assert driven.trajectory is not None
        scores = policy.log_probs(policy.encode(env.features(instance)), driven.trajectory)
        expected = scores_by_loops(policy, env, instance, driven.actions[0, 0])
    torch.testing.assert_close(scores[0, 0], torch.stack(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("imposed", [False, True])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", GENERATORS)
def test_one_pass_equals_steps(name: str, options: dict, imposed: bool) -> None:
    """Teacher-forced scores equal those of the steps that drove the rollouts, to 1e-5."""
    env = problem(name)
    policy = network(env, **options)
    instance = GENERATORS[name](9)(3, seeded(1))
    first = env.starts(instance, 4) if imposed else None
    seen: list[Tensor] = []

    class Spy(Greedy):
        def __call__(self, log_probs: Tensor, rng: torch.Generator | None = None) -> Tensor:
            seen.append(log_probs)
            return Sampling()(log_probs, rng)

    driven = rollout(env, policy, instance, Spy(), 4, first, seeded(5), record=True)
    assert driven.trajectory is not None
    with torch.no_grad():
        scores = policy.log_probs(policy.encode(env.features(instance)), driven.trajectory)
    steps = scores.unbind(2)[int(imposed) :]
    assert len(seen) == len(steps) > 5
    for one_pass, step in zip(steps, seen, strict=True):
        torch.testing.assert_close(one_pass, step, atol=1e-5, rtol=1e-5)
    assert scores[:, :, 3].std(1)[scores[:, :, 3].isfinite().all(1)].max() > 1e-3  # memory matters


def test_beam_of_full_width_finds_the_most_probable_tour() -> None:
    """A beam that drops nothing ends with the most probable of all tours: memories follow it."""
    env = problem("tsp")
    policy = network(env)
    instance = TSPGenerator(4)(2, seeded(4))
    tours = torch.tensor(list(permutations(range(4)))).expand(2, -1, -1)
    with torch.no_grad():
        embeddings = policy.encode(env.features(instance))
        likelihood = policy.evaluate(embeddings, replay(env, instance, tours))
    best = tours[0, likelihood.argmax(-1)]
    found = Beam(24)(env, policy, instance)
    torch.testing.assert_close(found.actions[:, 1], best)


@pytest.mark.parametrize("name", GENERATORS)
def test_multi_start_solutions_are_feasible(name: str) -> None:
    """Solutions of an untrained network pass the independent checker."""
    env = problem(name)
    instance = GENERATORS[name](12)(2, seeded(6))
    actions, _ = MultiStart()(env, network(env), instance).best()
    for row in range(2):
        one = instance[row : row + 1]
        assert env.check(one, env.visits.routes(one, actions[row].tolist())) == []


def test_imitation_learns_small_tours() -> None:
    """Cross-entropy on optimal tours of six nodes falls far below that of guessing."""
    env = problem("tsp")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        policy = PointerNetwork(env, dim=32, glimpses=0)
    module = Imitation(env, policy)
    instance = TSPGenerator(6)(64, seeded(1))
    tours = torch.tensor([(0, *p) for p in permutations(range(1, 6))])
    costs = env.cost(instance, tours.expand(64, -1, -1))
    best = tours[costs.argmin(-1)].unsqueeze(1)
    optimizer = torch.optim.Adam(policy.parameters(), 3e-3)
    rng = seeded(2)
    first = loss = torch.tensor(0.0)
    for step in range(60):
        loss = module.loss(instance, shuffled(env, instance, best, rng))
        first = loss.detach() if step == 0 else first
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # Guessing: one of 5 with two right, then one of 4, 3, 2: log(5/2 * 4 * 3 * 2) / 6 = 0.68.
    assert first > 0.6
    assert loss < 0.35


def test_critic_reads_the_encoder() -> None:
    """The critic baseline is built from the policy's encoder, and both get gradients."""
    env = problem("cvrp")
    with torch.random.fork_rng():
        policy = PointerNetwork(env, dim=8)
        module = REINFORCE(env, policy, baseline=Critic(hidden=8))
    instance = CVRPGenerator(5)(3, seeded(1))
    module.loss(module.roll_out(instance, 0)).backward()
    for name in ("policy.encoder.lstm", "policy.lstm", "baseline.encoder.lstm"):
        assert module.get_submodule(name).weight_ih_l0.grad.abs().sum() > 0


def test_changing_features_are_refused() -> None:
    """A problem whose node features change on the way is refused, naming the rule."""
    with pytest.raises(InputError, match="SplitCapacity"):
        PointerNetwork(problem("sdvrp"))
