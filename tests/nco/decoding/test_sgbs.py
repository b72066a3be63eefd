"""Simulation-guided beam search: against a loop, against enumeration, and against greedy."""

import time
from itertools import permutations

import pytest
import torch
from tensordict import TensorDict

from nco.data.metric import Metric
from nco.decoding import Greedy, OutOfTime, SimulationGuided, rollout
from nco.envs import RoutingEnv, State, problem
from nco.policies import Policy
from tests.envs.random_instances import draw
from tests.every_problem import every_problem
from tests.nco.decoding.memory_policy import History
from tests.policies.small import small_policy

Partial = tuple[tuple[int, ...], State, tuple[torch.Tensor, ...]]


def simulated(
    env: RoutingEnv, policy: Policy, instance: TensorDict, embeddings, partial: Partial
) -> float:
    """Cost of the greedy completion."""
    actions, state, memory = partial
    while not env.done(state):
        log_probs, memory = policy.step(embeddings, env.context(state), memory)
        action = log_probs.argmax(-1)
        actions, state = (*actions, int(action)), env.step(state, action)
    return float(env.cost(instance, torch.tensor([[actions]])))


def by_hand(
    env: RoutingEnv, policy: Policy, instance: TensorDict, width: int, expansion: int
) -> list[float]:
    """Costs of the beam's simulations at every step, best first: a plain loop, one instance."""
    embeddings = policy.encode(env.features(instance))
    beam: list[Partial] = [((), env.reset(instance), ())]
    best = []
    while not all(bool(env.done(state)) for _, state, _ in beam):
        children: list[Partial] = []
        for actions, state, memory in beam:
            log_probs, after = policy.step(embeddings, env.context(state), memory)
            order = log_probs[0, 0].argsort(descending=True, stable=True)[:expansion].tolist()
            children += [
                ((*actions, node), env.step(state, torch.tensor([[node]])), after)
                for node in order
                if log_probs[0, 0, node] > -torch.inf
            ]
        scored = [
            (simulated(env, policy, instance, embeddings, child), child) for child in children
        ]
        scored.sort(key=lambda pair: pair[0])
        beam = [child for _, child in scored[:width]]
        best.append(scored[0][0])
    return best


@pytest.mark.parametrize(("width", "expansion"), [(2, 3), (3, 2)])
@pytest.mark.parametrize("name", ["tsp", "cvrp", "sdvrp"])
@torch.no_grad()
def test_equals_a_loop(name: str, width: int, expansion: int) -> None:
    """The best cost is that of a plain loop over lists, whose best simulation never gets worse and
    begins no worse than greedy."""
    env = problem(name)
    instance = draw(env, 2, 6, 1)
    # Whole numbers: where two solutions are equally good, both sums say so.
    instance["locs"] = (1000 * instance["locs"]).round()
    instance["metric"] = torch.full((2,), int(Metric.EUC_2D))
    policy = small_policy(env, 1, norm="instance").eval()
    found = SimulationGuided(width, expansion)(env, policy, instance)
    torch.testing.assert_close(found.cost, env.cost(instance, found.actions))
    for b in range(2):
        one = instance[b : b + 1]
        best = by_hand(env, policy, one, width, expansion)
        greedy = float(rollout(env, policy, one, Greedy()).cost)
        assert best == sorted(best, reverse=True) and best[0] <= greedy
        assert float(found.cost[b, 0]) == best[-1]


@every_problem
def test_never_worse_than_greedy(name: str) -> None:
    """All that is found is feasible and costs what it says, the best no more than greedy."""
    env = problem(name)
    instance = draw(env, 2, 6, 4)
    policy = small_policy(env, 4, scale=3).eval()
    found = SimulationGuided(2, 2)(env, policy, instance)
    greedy = rollout(env, policy, instance, Greedy())
    torch.testing.assert_close(found.cost, env.cost(instance, found.actions))
    for b in range(2):
        one = instance[b : b + 1]

        def feasible(actions: torch.Tensor, one: TensorDict = one) -> bool:
            return env.check(one, env.visits.routes(one, actions.tolist())) == []

        if feasible(greedy.actions[b, 0]):
            assert feasible(found.actions[b, 0])
            assert float(found.cost[b, 0]) <= float(greedy.cost[b, 0]) + 1e-6


@pytest.mark.parametrize("name", ["tsp", "cvrp"])
@torch.no_grad()
def test_memory_follows_its_beam(name: str) -> None:
    """A policy that remembers sees the past of its own partial solution."""
    env, policy = problem(name), History(6)
    instance = draw(env, 2, 6, 2)
    found = SimulationGuided(2, 2)(env, policy, instance).best()[1]
    for b in range(2):
        expected = by_hand(env, policy, instance[b : b + 1], 2, 2)[-1]
        assert float(found[b]) == pytest.approx(expected, rel=1e-6)


def test_a_wide_beam_finds_the_optimum() -> None:
    """A beam that holds every tour ends with the shortest one of all permutations."""
    env = problem("tsp")
    instance = draw(env, 2, 6, 3)
    found = SimulationGuided(720, 6)(env, small_policy(env, 3).eval(), instance).best()[1]
    every = torch.tensor(list(permutations(range(6)))).expand(2, -1, -1)
    torch.testing.assert_close(found, env.cost(instance, every).amin(-1))


def test_minds_its_deadline() -> None:
    """A search whose deadline has passed raises instead of returning half a solution."""
    env = problem("cvrp")
    with pytest.raises(OutOfTime):
        SimulationGuided()(
            env, small_policy(env), draw(env, 1, 16, 6), deadline=time.perf_counter() - 1
        )
