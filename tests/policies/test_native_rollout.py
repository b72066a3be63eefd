"""Whole rollouts in one call against the loop over steps."""

import time

import pytest
import torch
from tensordict import TensorDict

from nco.data.generators import CVRPGenerator, TSPGenerator
from nco.data.seeding import seeded
from nco.decoding import Greedy, Rollouts, Sampling, Strategy, rollout
from nco.envs import PROBLEMS as PROBLEM_ROWS
from nco.envs import RoutingEnv, native_rules, problem
from nco.policies import AttentionPolicy, NativeRollout, OutOfTime, Plan, Policy, native
from tests.kernels import every_build, without_kernels
from tests.policies.small import small_policy
from tests.policies.test_native import GENERATORS, OPTIONS, WIDE, step_by_step

pytestmark = every_build
PROBLEMS = ["tsp", "cvrp"]


def both_ways(
    monkeypatch: pytest.MonkeyPatch, env: RoutingEnv, policy: Policy, instance: TensorDict,
    strategy: Strategy, rollouts: int, starts: bool = False,
) -> tuple[Rollouts, Rollouts]:  # fmt: skip
    """Rollouts in one call, and step by step, from the same random numbers."""
    first = env.starts(instance, rollouts) if starts else None
    found = []
    for _ in range(2):
        found.append(
            rollout(env, policy, instance, strategy, rollouts, first, seeded(8), record=True)
        )
        monkeypatch.setattr(type(policy), "drive", Policy.drive)
    monkeypatch.undo()
    return found[0], found[1]


def same(one: Rollouts, other: Rollouts) -> None:
    """The same actions; a rollout that has ended repeats its last node."""
    steps = min(one.actions.shape[-1], other.actions.shape[-1])
    assert torch.equal(one.actions[..., :steps], other.actions[..., :steps])
    torch.testing.assert_close(one.cost, other.cost)


@pytest.mark.parametrize("strategy", [Greedy(), Sampling(), Sampling(temperature=0.5)])
@pytest.mark.parametrize("options", OPTIONS[:3])
@pytest.mark.parametrize("name", PROBLEMS)
def test_rollouts_are_those_of_the_loop(
    name: str, options: dict, strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any number of rollouts, from any first moves, by the same draws."""
    env = problem(name)
    policy = small_policy(env, 1, 2.0, norm="instance", **WIDE | options).eval()
    instance = GENERATORS[name](21)(4, seeded(3))
    for rollouts, starts in ((1, False), (3, True), (11, False), (21, True)):
        one, loop = both_ways(monkeypatch, env, policy, instance, strategy, rollouts, starts)
        same(one, loop)
        if not (options.get("residual") or isinstance(strategy, Greedy)):
            assert isinstance(one.trajectory, NativeRollout)


@pytest.mark.parametrize("name", PROBLEMS)
def test_rollouts_of_one_instance_are_shared_by_threads(name: str) -> None:
    """Two threads with half of the rollouts each do what one does."""
    env = problem(name)
    policy = small_policy(env, 2, 2.0, **WIDE).eval()
    instance = GENERATORS[name](60)(1, seeded(5))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(rollout(env, policy, instance, Sampling(), 43, rng=seeded(1)))
    finally:
        torch.set_num_threads(before)
    same(*found)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("starts", [False, True])
@pytest.mark.parametrize("name", PROBLEMS)
def test_gradients_are_those_of_the_loop(name: str, starts: bool, temperature: float) -> None:
    """To 1e-4 for every weight, with imposed first moves and with other weights than drove."""
    env = problem(name)
    policy: AttentionPolicy = small_policy(env, 3, norm="instance", **WIDE)
    instance = GENERATORS[name](12)(3, seeded(4))
    first = env.starts(instance, 5) if starts else None
    found = rollout(env, policy, instance, Sampling(temperature), 5, first, seeded(5), record=True)
    assert isinstance(found.trajectory, NativeRollout)
    with torch.no_grad():
        policy.decoder.node_tables.weight.mul_(1.1)
    weight, parameters = torch.randn(3, 5, generator=seeded(2)), list(policy.parameters())
    likelihood = policy.evaluate(policy.encode(env.features(instance)), found.trajectory)
    mine = torch.autograd.grad((weight * likelihood).sum(), parameters, materialize_grads=True)
    expected = step_by_step(policy, env, instance, found.actions)
    if starts:  # the first move was no choice
        expected = expected - step_by_step(policy, env, instance, found.actions[..., :1])
    theirs = torch.autograd.grad((weight * expected).sum(), parameters, materialize_grads=True)
    torch.testing.assert_close(likelihood, expected, rtol=1e-4, atol=1e-4)
    largest = max(float(g.abs().max()) for g in theirs)
    for ours, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-4 * largest)


def test_a_deadline_ends_the_drive() -> None:
    """A deadline that has passed is an error, one that has not is none."""
    env = problem("tsp")
    policy, instance = small_policy(env, 1, **WIDE), TSPGenerator(30)(2, seeded(1))
    with pytest.raises(OutOfTime):
        rollout(env, policy, instance, Greedy(), 4, deadline=time.perf_counter())
    rollout(env, policy, instance, Greedy(), 4, deadline=time.perf_counter() + 60)


def test_a_customer_that_nobody_can_serve_ends_the_drive() -> None:
    """With a demand above the capacity, rollouts stop at the bound on their steps."""
    env = problem("cvrp")
    instance = CVRPGenerator(6)(1, seeded(1))
    instance["demand"][:, 3] = instance["capacity"] + 1
    found = rollout(env, small_policy(env, 1, **WIDE), instance, Greedy(), 2)
    assert found.actions.shape[-1] == env.max_steps(instance)


@pytest.mark.parametrize(
    ("name", "known"), [("tsp", True), ("cvrp", True), ("sdvrp", False), ("ovrp", False),
                        ("vrptw", False), ("op", False)],
)  # fmt: skip
def test_which_problems_a_loop_knows(name: str, known: bool) -> None:
    """Only compositions of rules that the loop obeys are handed to it."""
    env = problem(name)
    row = PROBLEM_ROWS[name]
    instance = row.generator(10)(2, seeded(1))
    assert (native_rules(env, instance) is not None) is known


def test_demands_beyond_single_precision_are_left_to_the_loop_over_steps() -> None:
    """They are compared exactly, so that sums have to be whole numbers of any size."""
    env, instance = problem("cvrp"), CVRPGenerator(5)(1, seeded(1))
    assert native_rules(env, instance) is not None
    assert native_rules(env, instance.copy().set("capacity", instance["capacity"] + 2**24)) is None


@pytest.mark.parametrize("rollouts", [1, 2, 8, 13])
@pytest.mark.parametrize("name", PROBLEMS)
def test_the_matrix_unit_is_near_single_precision(name: str, rollouts: int) -> None:
    """Along the same moves, likelihoods under autocast are those in single precision to 1 %."""
    if not native.has_tiles():
        pytest.skip("no matrix unit for bfloat16 in this build")
    env = problem(name)
    policy = small_policy(env, 4, norm="instance", **WIDE | OPTIONS[1] | {"dim": 64}).eval()
    instance = GENERATORS[name](15)(3, seeded(4))
    found = rollout(env, policy, instance, Sampling(), rollouts, rng=seeded(5), record=True)
    plan = Plan(native_rules(env, instance), rollouts, found.actions.shape[-1])
    driven = NativeRollout(found.actions, found.cost, plan, None)
    with torch.no_grad():
        embeddings = policy.encode(env.features(instance))
        exact = policy.evaluate(embeddings, driven)
        torch.testing.assert_close(exact, step_by_step(policy, env, instance, found.actions))
        with torch.autocast("cpu", torch.bfloat16):
            near = policy.evaluate(embeddings, driven)
    assert not torch.equal(near, exact)
    torch.testing.assert_close(near, exact, rtol=0.01, atol=0.05)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("weight", ["node_tables.weight", "out.weight", "feed_forward.0.bias"])
@pytest.mark.parametrize("strategy", [Greedy(), Sampling()])
@pytest.mark.parametrize("name", PROBLEMS)
def test_weights_without_numbers_are_told(
    name: str, strategy: Strategy, weight: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One weight that is NaN or infinite is an error that says where, with and without kernels."""
    env = problem(name)
    policy = small_policy(env, 1, norm="instance", **WIDE | OPTIONS[1]).eval()
    instance = GENERATORS[name](12)(3, seeded(4))
    with torch.no_grad():
        policy.decoder.get_parameter(weight).view(-1)[-1] = value
    told = []
    for _ in range(2):
        try:
            rollout(env, policy, instance, strategy, 3, rng=seeded(1))
            told.append("")
        except FloatingPointError as error:
            told.append(str(error))
        without_kernels(monkeypatch)
    assert told[0] == told[1]
    # A bounded function of something infinite may be a number.
    assert "logits are not finite (instance 0, step " in told[0] or value == torch.inf


def test_moves_that_are_no_nodes_are_errors() -> None:
    """Imposed first moves and given ones are looked at before they are used."""
    env = problem("cvrp")
    policy = small_policy(env, 1, norm="instance", **WIDE).eval()
    instance = GENERATORS["cvrp"](12)(1, seeded(4))
    with pytest.raises(IndexError):
        rollout(env, policy, instance, Greedy(), 2, torch.tensor([[1, 13]]))
    found = rollout(env, policy, instance, Greedy(), 2, record=True).trajectory
    assert isinstance(found, NativeRollout)
    found.actions[0, 1, 2] = -1
    with pytest.raises(IndexError):
        policy.evaluate(policy.encode(env.features(instance)), found)


def test_a_draw_at_any_temperature_is_a_node_that_may_come_next() -> None:
    """Even where every weight is the same: what is forbidden has none."""
    env = problem("cvrp")
    policy = small_policy(env, 1, norm="instance", **WIDE).eval()
    instance = GENERATORS["cvrp"](12)(2, seeded(4))
    found = rollout(env, policy, instance, Sampling(temperature=1e30), 50, rng=seeded(1))
    for b, row in enumerate(found.actions):
        one = instance[b : b + 1]
        assert all(not env.check(one, env.visits.routes(one, a.tolist())) for a in row)


def test_an_instance_without_a_move_is_no_way_out_of_memory() -> None:
    """Where no customer fits, rollouts wait at the depot, also when moves are drawn."""
    env, instance = problem("cvrp"), CVRPGenerator(6)(2, seeded(1))
    instance["demand"][0, 1:] = instance["capacity"][0] + 1
    found = rollout(env, small_policy(env, 1, **WIDE), instance, Sampling(), 9, rng=seeded(2))
    assert (found.actions[0] == 0).all() and found.actions[1].max() == 6
