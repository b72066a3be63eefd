"""A fused path never changes what a model is: whatever is planted in one is computed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm

from nco.data.generators import CVRPGenerator
from nco.data.seeding import seeded
from nco.decoding import Greedy, Sampling, rollout
from nco.envs import RoutingEnv, native_rules, problem
from nco.envs.constraints.capacity import Capacity
from nco.envs.visits.depot_routes import DepotRoutes
from nco.policies import AttentionPolicy, NativeRollout, fused, native_rollout
from nco.policies.decoder import PointerDecoder
from nco.policies.layers import EncoderLayer, Norm, SelfAttention
from tests.kernels import BUILDS, without_kernels
from tests.policies.small import small_policy
from tests.policies.test_native import WIDE

pytestmark = [
    pytest.mark.parametrize("build", BUILDS[:1], indirect=True),
    pytest.mark.usefixtures("build"),
]
KINDS = {
    "pomo": {"norm": "instance", "graph_context": False, "project_logit_keys": False},
    "am": {"norm": "batch"},
    "reld": {"norm": "instance", "residual": True, "distance_bias": True},
}


def new_policy(kind: str) -> AttentionPolicy:
    return small_policy(problem("cvrp"), 3, 2.0, hidden=48, **WIDE | KINDS[kind])


def layer(policy: AttentionPolicy) -> EncoderLayer:
    found = policy.encoder.layers[0]
    assert isinstance(found, EncoderLayer)
    return found


def outcome(policy: AttentionPolicy) -> list[Tensor]:
    """Actions of greedy and drawn rollouts, the likelihood of the latter, and its gradient."""
    env, instance = problem("cvrp"), CVRPGenerator(14)(3, seeded(4))
    torch.manual_seed(5)  # of dropout
    greedy = rollout(env, policy, instance, Greedy(), 2)
    drawn = rollout(env, policy, instance, Sampling(), 3, rng=seeded(6), record=True)
    policy.zero_grad()
    torch.manual_seed(5)
    likelihood = policy.evaluate(policy.encode(env.features(instance)), drawn.trajectory)
    (likelihood * torch.tensor([1.0, -0.5, 0.25])).sum().backward()
    gradients = [p.grad for p in policy.parameters() if p.grad is not None]
    return [greedy.cost, drawn.cost, likelihood.detach(), *gradients]


def close(one: list[Tensor], other: list[Tensor]) -> bool:
    largest = max(float(g.abs().max()) for g in other[3:])
    pairs = list(zip(one, other, strict=True))
    return all(torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in pairs[:3]) and all(
        torch.allclose(a, b, rtol=1e-3, atol=1e-4 * largest) for a, b in pairs[3:]
    )


# Plants. ``_slope`` makes a function that changes what comes out.


def _slope(x: Tensor) -> Tensor:
    return x + 0.3 * x.sin()


def _bent(log_probs: Tensor) -> Tensor:
    return (log_probs + 0.5 * torch.arange(log_probs.shape[-1]).sin()).log_softmax(-1)


class OwnDecoder(PointerDecoder):
    calls = 0

    def forward(self, cache, context):  # type: ignore[no-untyped-def]
        OwnDecoder.calls += 1
        return _bent(PointerDecoder.forward(self, cache, context))


class OwnAttention(SelfAttention):
    def forward(self, x: Tensor) -> Tensor:
        return _slope(super().forward(x))


class OwnNorm(Norm):
    def forward(self, x: Tensor) -> Tensor:
        return _slope(super().forward(x))


class OwnLayer(EncoderLayer):
    def _weighted(self, sublayer: int, x: Tensor) -> Tensor:
        return 0.5 * x


class LowRank(nn.Module):
    """A linear map with one of low rank beside it (LoRA, Hu et al. 2022)."""

    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, 2, bias=False)
        self.up = nn.Linear(2, base.out_features, bias=False)
        with torch.no_grad():
            for weight in (self.down.weight, self.up.weight):
                weight.copy_(torch.randn(weight.shape, generator=seeded(7)))
        self.in_features, self.out_features = base.in_features, base.out_features

    @property
    def weight(self) -> Tensor:
        return self.base.weight

    @property
    def bias(self) -> Tensor | None:
        return self.base.bias

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.base(x) + 0.05 * self.up(self.down(x))
        return found


def own_decoder(policy: AttentionPolicy) -> None:
    policy.decoder.__class__ = OwnDecoder


def own_decoder_forward(policy: AttentionPolicy) -> None:
    policy.decoder.forward = MethodType(OwnDecoder.forward, policy.decoder)  # type: ignore[method-assign]


def own_attention(policy: AttentionPolicy) -> None:
    layer(policy).attention.__class__ = OwnAttention


def own_norm(policy: AttentionPolicy) -> None:
    layer(policy).norm_attention.__class__ = OwnNorm


def own_residual(policy: AttentionPolicy) -> None:
    layer(policy).__class__ = OwnLayer


def own_residual_method(policy: AttentionPolicy) -> None:
    layer(policy)._weighted = lambda _, x: 0.5 * x  # type: ignore[method-assign]


def gelu(policy: AttentionPolicy) -> None:
    layer(policy).feed_forward[1] = nn.GELU()


def dropout(policy: AttentionPolicy) -> None:
    policy.train()
    layer(policy).feed_forward.append(nn.Dropout(0.5))


def low_rank(path: str) -> Callable[[AttentionPolicy], None]:
    def plant(policy: AttentionPolicy) -> None:
        parent, _, name = path.rpartition(".")
        setattr(policy.get_submodule(parent), name, LowRank(policy.get_submodule(path)))

    return plant


def hook(path: str) -> Callable[[AttentionPolicy], None]:
    def plant(policy: AttentionPolicy) -> None:
        change = _bent if path == "decoder" else _slope
        policy.get_submodule(path).register_forward_hook(lambda _, __, out: change(out))

    return plant


def hook_before(policy: AttentionPolicy) -> None:
    layer(policy).attention.register_forward_pre_hook(lambda _, args: (_slope(args[0]),))


def hook_backward(path: str) -> Callable[[AttentionPolicy], None]:
    def plant(policy: AttentionPolicy) -> None:
        policy.get_submodule(path).register_full_backward_hook(lambda _, grads, __: (3 * grads[0],))

    return plant


def hook_before_backward(policy: AttentionPolicy) -> None:
    module = layer(policy).attention.out
    module.register_full_backward_pre_hook(lambda _, grads: (3 * grads[0],))


def weight_norm(path: str) -> Callable[[AttentionPolicy], None]:
    def plant(policy: AttentionPolicy) -> None:
        module = parametrizations.weight_norm(policy.get_submodule(path))
        with torch.no_grad():
            module.parametrizations.weight.original0.mul_(1.5)

    return plant


def old_spectral_norm(policy: AttentionPolicy) -> None:
    torch.manual_seed(8)
    spectral_norm(layer(policy).feed_forward[0])
    policy.eval()  # in training it changes at every call


class OwnPolicy(AttentionPolicy):
    def step(self, embeddings, context, memory=()):  # type: ignore[no-untyped-def]
        found, memory = super().step(embeddings, context, memory)
        return (2 * found).log_softmax(-1), memory


def own_step(policy: AttentionPolicy) -> None:
    policy.__class__ = OwnPolicy


LAYER = "encoder.layers.0"
PLANTS = {
    "subclass of the decoder": own_decoder,
    "forward of one decoder": own_decoder_forward,
    "subclass of the attention": own_attention,
    "subclass of the normalisation": own_norm,
    "subclass with another residual": own_residual,
    "residual of one layer": own_residual_method,
    "subclass of the policy": own_step,
    "GELU": gelu,
    "dropout": dropout,
    "hook before": hook_before,
    "hook before the gradient": hook_before_backward,
    "old spectral norm": old_spectral_norm,
    **{
        f"low rank in {path}": low_rank(path)
        for path in (
            f"{LAYER}.attention.qkv",
            f"{LAYER}.attention.out",
            f"{LAYER}.feed_forward.0",
            "decoder.out",
            "decoder.scalars",
            "decoder.node_tables",
        )
    },
    **{
        f"hook in {path}": hook(path)
        for path in (
            LAYER,
            f"{LAYER}.attention",
            f"{LAYER}.attention.qkv",
            f"{LAYER}.norm_feed_forward",
            f"{LAYER}.feed_forward",
            f"{LAYER}.feed_forward.1",
            "decoder",
            "decoder.out",
            "decoder.scalars",
        )
    },
    **{
        f"backward hook in {path}": hook_backward(path)
        for path in (f"{LAYER}.feed_forward.2", "decoder.out")
    },
    **{
        f"weight norm of {path}": weight_norm(path)
        for path in (f"{LAYER}.feed_forward.0", "decoder.out", "decoder.scalars")
    },
}
FOR_RESIDUAL = {
    "low rank": low_rank("decoder.feed_forward.2"),
    "GELU": lambda policy: policy.decoder.feed_forward.__setitem__(1, nn.GELU()),
    "hook": hook("decoder.feed_forward.0"),
    "low rank in the distance weight": low_rank("decoder.distance_weight"),
}


def compare(kind: str, plant: Callable[[AttentionPolicy], None], patch: pytest.MonkeyPatch) -> None:
    """What is planted changes the outcome, and in the same way with and without kernels."""
    planted, plain = new_policy(kind), new_policy(kind)
    if plant is not dropout:
        planted.train(), plain.train()
    plant(planted)
    plain.train(planted.training)
    mine, unchanged = outcome(planted), outcome(plain)
    without_kernels(patch)
    again = new_policy(kind).train(planted.training)
    plant(again)
    assert close(mine, outcome(again))
    alike = [t.shape for t in mine] == [t.shape for t in unchanged]
    assert not (alike and close(mine, unchanged))


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("kind", ["pomo", "am"])
def test_what_is_planted_is_computed(
    kind: str, plant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Costs, likelihoods and gradients are those of plain PyTorch with the same change."""
    compare(kind, PLANTS[plant], monkeypatch)


@pytest.mark.parametrize("plant", FOR_RESIDUAL)
def test_what_is_planted_behind_the_glimpse_is_computed(
    plant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The feed-forward of the decoder, and the weight of distances."""
    compare("reld", FOR_RESIDUAL[plant], monkeypatch)


def test_a_subclass_of_the_decoder_is_called_at_every_step() -> None:
    """It was never called, and its tours were those of its base class."""
    policy = new_policy("pomo").eval()
    own_decoder(policy)
    OwnDecoder.calls = 0
    env, instance = problem("cvrp"), CVRPGenerator(14)(2, seeded(4))
    found = rollout(env, policy, instance, Greedy())
    assert OwnDecoder.calls >= found.actions.shape[-1]


@contextmanager
def global_hook() -> Iterator[None]:
    def change(module: nn.Module, _: object, out: object) -> object:
        return _slope(out) if isinstance(module, nn.ReLU) and isinstance(out, Tensor) else None

    handle = nn.modules.module.register_module_forward_hook(change)
    try:
        yield
    finally:
        handle.remove()


def test_global_hooks_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that PyTorch calls for every module there is."""
    plain = outcome(new_policy("pomo"))
    with global_hook():
        mine = outcome(new_policy("pomo"))
        without_kernels(monkeypatch)
        assert close(mine, outcome(new_policy("pomo")))
    assert not close(mine, plain)


def test_what_is_known_goes_the_fast_way() -> None:
    """Else nothing above would be tested: without a plant the kernels do drive."""
    env, instance = problem("cvrp"), CVRPGenerator(14)(2, seeded(4))
    for kind in KINDS:
        policy = new_policy(kind)
        plan = native_rollout.Plan(native_rules(env, instance), 2, 40)
        assert policy.drive(policy.encode(env.features(instance)), plan, None) is not None
        assert layer(policy)._is_plain() and fused.fits(layer(policy), torch.zeros(2, 5, 32))
    found = rollout(env, new_policy("pomo"), instance, Greedy(), record=True)
    assert isinstance(found.trajectory, NativeRollout)


class Spare(Capacity):
    """Vehicles keep a fifth of their room."""

    def feasible(self, state):  # type: ignore[no-untyped-def]
        taken = state.parts["load"].unsqueeze(-1) + state.instance["demand"].unsqueeze(1)
        return super().feasible(state) & (
            5 * taken <= 4 * state.instance["capacity"][:, None, None]
        )


class Ordered(DepotRoutes):
    """Customers of a route have rising numbers."""

    def feasible(self, state):  # type: ignore[no-untyped-def]
        later = torch.arange(state.visited.shape[-1]) > state.current.unsqueeze(-1)
        later[..., 0] = True
        return super().feasible(state) & later


class Careful(RoutingEnv):
    """As `Ordered`, by the whole mask."""

    def mask(self, state):  # type: ignore[no-untyped-def]
        later = torch.arange(state.visited.shape[-1]) > state.current.unsqueeze(-1)
        later[..., 0] = True
        return super().mask(state) & later


ENVIRONMENTS: dict[str, Callable[[], RoutingEnv]] = {
    "rule": lambda: RoutingEnv(DepotRoutes(), [Spare()]),
    "visits": lambda: RoutingEnv(Ordered(), [Capacity()]),
    "environment": lambda: Careful(DepotRoutes(), [Capacity()]),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_rules_of_others_are_obeyed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Subclasses of a rule, of the visits and of the environment decide where rollouts may go."""
    env, instance = ENVIRONMENTS[name](), CVRPGenerator(14)(3, seeded(4))
    assert native_rules(env, instance) is None
    policy = new_policy("pomo").eval()

    def cost(env: RoutingEnv) -> Tensor:
        return rollout(env, policy, instance, Sampling(), 3, rng=seeded(5)).cost

    mine, usual = cost(env), cost(problem("cvrp"))
    without_kernels(monkeypatch)
    torch.testing.assert_close(mine, cost(env))
    assert not torch.allclose(mine, usual)


def test_a_method_of_one_rule_is_obeyed() -> None:
    """Replaced on the object, not in a class."""
    env, instance = problem("cvrp"), CVRPGenerator(14)(3, seeded(4))
    assert native_rules(env, instance) is not None
    (rule,) = env.constraints
    rule.feasible = Capacity.feasible.__get__(rule)  # type: ignore[method-assign]
    assert native_rules(env, instance) is None


class Worst(Greedy):
    """The least probable node."""

    def __call__(self, log_probs: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return log_probs.masked_fill(log_probs.isinf(), 1).min(-1).indices


def test_a_subclass_of_a_strategy_picks() -> None:
    """What it inherits says nothing of how it picks."""
    env, instance = problem("cvrp"), CVRPGenerator(14)(3, seeded(4))
    policy = new_policy("pomo").eval()
    best, worst = (rollout(env, policy, instance, s).actions for s in (Greedy(), Worst()))
    assert best.shape != worst.shape or not torch.equal(best, worst)
