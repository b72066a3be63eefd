"""The policy that weighs what moves would mean, against loops and plain numbers."""

import pytest
import torch

from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.decoding import Sampling, replay, rollout
from nco.envs import PROBLEMS, RoutingEnv, problem
from nco.envs.constraints import TimeWindows
from nco.hub.released import load_policy, save_policy
from nco.policies import ForesightPolicy
from nco.policies.attention import AttentionPolicy

SMALL = {"dim": 32, "heads": 2, "layers": 1, "hidden": 32}


def small(env: RoutingEnv, seed: int = 0) -> ForesightPolicy:
    torch.manual_seed(seed)
    return ForesightPolicy(env, dim=32, heads=2, layers=1, hidden=32).eval()


def test_dynamic_features_are_ways_waits_and_time_to_spare() -> None:
    """On every step they are what plain arithmetic with the current time says, for every node."""
    env = RoutingEnv(problem("vrptw").visits, [TimeWindows(ahead=True)])
    instance = PROBLEMS["vrptw"].generator(6)(3, seeded(1))
    state = env.reset(instance, 2)
    locs, windows = instance["locs"].double(), instance["time_windows"].double()
    service = instance["service_time"].double()
    time = torch.zeros(3, 2, dtype=torch.double)
    for step in range(5):
        seen = env.context(state).dynamic
        assert seen is not None
        for b in range(3):
            for r in range(2):
                here = int(state.current[b, r])
                for node in range(1, 7):
                    way = float((locs[b, here] - locs[b, node]).norm())
                    home = float((locs[b, 0] - locs[b, node]).norm())
                    arrival = float(time[b, r]) + way
                    wait = max(0.0, float(windows[b, node, 0]) - arrival)
                    last = min(
                        float(windows[b, node, 1]),
                        float(windows[b, 0, 1]) - home - float(service[b, node]),
                    )
                    spare = min(max(last - arrival, 0.0), 2.0)
                    expected = torch.tensor([way, wait, spare])
                    torch.testing.assert_close(seen[b, r, node], expected, atol=1e-5, rtol=0)
        action = env.mask(state).float().flatten(0, 1).multinomial(1, generator=seeded(step))
        action = action.view(3, 2)
        for b in range(3):
            for r in range(2):
                here, node = int(state.current[b, r]), int(action[b, r])
                arrival = float(time[b, r]) + float((locs[b, here] - locs[b, node]).norm())
                begin = max(arrival, float(windows[b, node, 0])) + float(service[b, node])
                time[b, r] = begin if node else 0.0
        state = env.step(state, action)


def test_scores_are_those_of_the_plain_decoder_and_a_loop() -> None:
    """Log-probabilities are the softmax of the plain decoder's logits plus, node by node, the
    weighted functions of its dynamic features."""
    env = problem("anyvrp")
    policy = small(env)
    instance = PROBLEMS["anyvrp"].generator(5)(2, seeded(3))
    driven = rollout(env, policy, instance, Sampling(), 3, rng=seeded(1), record=True)
    assert driven.trajectory is not None
    context = driven.trajectory.context
    features = env.features(instance)
    nodes = policy.encoder(features)
    cache = policy.encode(features)
    decoder = policy.decoder
    plain = super(type(decoder), decoder).forward(cache, context)
    found = policy.step(cache, context)[0]
    for b in range(2):
        tables = (nodes[b] @ decoder.opinion_tables.weight.T).chunk(2, -1)
        for k in range(context.nodes.shape[1]):
            weight = decoder.opinion_scalars(context.scalars[b, k])
            for place in range(2):
                node = int(context.nodes[b, k, place])
                weight = weight + (tables[place][node] if node >= 0 else decoder.no_opinion[place])
            logits = plain[b, k].clone()
            for node in range(logits.shape[0]):
                assert context.dynamic is not None
                meant = decoder.meanings(context.dynamic[b, k, node]).clamp_min(0)
                logits[node] += (meant * weight).sum()
            torch.testing.assert_close(found[b, k], logits.log_softmax(-1), rtol=1e-4, atol=1e-5)
            assert torch.equal(found[b, k].isfinite(), context.mask[b, k])


def test_evaluation_is_what_decoding_saw_and_has_gradients() -> None:
    """The likelihood of given rollouts is the sum of the scores step by step; every parameter that
    serves one customer or more gets a gradient."""
    env = problem("anyvrp")
    policy = small(env)
    instance = PROBLEMS["anyvrp"].generator(5)(2, seeded(4))
    driven = rollout(env, policy, instance, Sampling(), 2, rng=seeded(2), record=True)
    again = replay(env, instance, driven.actions)
    cache = policy.encode(env.features(instance))
    total = policy.evaluate(cache, again)
    scores = policy.log_probs(cache, again)
    chosen = scores.gather(-1, driven.actions.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(total, torch.where(again.free, chosen, 0).sum(-1))
    total.sum().backward()
    idle = [name for name, p in policy.named_parameters() if p.grad is None]
    assert idle == []


def test_released_and_loaded_it_decides_the_same(tmp_path) -> None:
    """The card names class and settings; what is loaded has the same scores."""
    env = problem("anyvrp")
    policy = small(env)
    card = {
        "env": {"class_path": "nco.envs.problem", "init_args": {"name": "anyvrp"}},
        "policy": {"class_path": "nco.policies.ForesightPolicy", "init_args": SMALL},
    }
    save_policy(tmp_path / "small", policy, card)
    loaded = load_policy(tmp_path / "small")
    instance = PROBLEMS["vrptw"].generator(6)(2, seeded(5))
    wide, there = loaded.adapt(problem("vrptw"), instance)
    context = wide.context(wide.reset(there))
    scores = [p.step(p.encode(wide.features(there)), context)[0] for p in (policy, loaded.policy)]
    assert torch.equal(*scores)
    with pytest.raises(InputError, match="LinehaulOnEachRoute"):
        loaded.require(problem("vrpb-strict"))


def test_other_policies_see_the_same_features() -> None:
    """An attention policy takes the dynamic features into its glimpse: it decodes the problem."""
    env = problem("anyvrp")
    policy = AttentionPolicy(env, dim=32, heads=2, layers=1, hidden=32).eval()
    instance = PROBLEMS["anyvrp"].generator(5)(2, seeded(6))
    driven = rollout(env, policy, instance, Sampling(), 2, rng=seeded(3))
    broken = env.broken  # limited fleets yield
    state = env.reset(instance, 2)
    for action in driven.actions.unbind(-1):
        state = env.step(state, action)
    for b in range(2):
        for r in range(2):
            one = instance[b : b + 1]
            routes = env.visits.routes(one, driven.actions[b, r].tolist())
            assert bool(env.check(one, routes)) == bool(broken(state)[b, r])
