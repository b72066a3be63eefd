"""Baselines of REINFORCE: what a sampled cost is compared with. Chosen in YAML by class path."""

import copy
from abc import abstractmethod

import torch
from tensordict import TensorDict
from torch import Tensor, nn

from nco.data.errors import InputError
from nco.data.generators import InstanceGenerator
from nco.data.seeding import seeded
from nco.decoding import Greedy, rollout
from nco.envs import Features, RoutingEnv
from nco.policies import Policy
from nco.policies.encoder import Encoder, both
from nco.policies.layers import Norm, init_uniform


class Baseline(nn.Module):
    """
    Estimates the cost that a policy would have expected, from anything but the sample itself.

    Its state (averages, networks, stored costs) is in buffers and parameters, so that checkpoints
    resume it.
    """

    def attach(self, env: RoutingEnv, policy: Policy) -> None:
        """Called once, with the policy in training, before anything else."""

    @abstractmethod
    def forward(
        self, cost: Tensor, instance: TensorDict, features: Features
    ) -> tuple[Tensor, Tensor | float]:
        """
        Judges sampled costs.

        Parameters
        ----------
        cost
            ``[B, R]``.
        instance, features
            What the costs are of, and how the policy saw it.

        Returns
        -------
        tuple
            The baseline, broadcastable to ``[B, R]`` and without gradient, and a loss of its own to
            be added to the policy's (0 if it learns nothing).
        """

    def epoch_end(self, policy: Policy, epoch: int) -> dict[str, float]:
        """Called after every training epoch (counted from 0); returns what is worth logging."""
        return {}


class NoBaseline(Baseline):
    """Zero."""

    def forward(
        self, cost: Tensor, instance: TensorDict, features: Features
    ) -> tuple[Tensor, Tensor | float]:
        return torch.zeros_like(cost), 0.0


class Exponential(Baseline):
    """
    Exponential moving average of the mean cost (Kool et al. 2019, section 4).

    Parameters
    ----------
    beta
        Weight of the past, in [0, 1).
    """

    value: Tensor

    def __init__(self, beta: float = 0.8):
        super().__init__()
        if not 0 <= beta < 1:
            raise InputError(f"beta: {beta}, expected a value in [0, 1)")
        self.beta = beta
        self.register_buffer("value", torch.tensor(float("nan")))

    def forward(
        self, cost: Tensor, instance: TensorDict, features: Features
    ) -> tuple[Tensor, Tensor | float]:
        mean = cost.mean().to(self.value.dtype)
        average = self.beta * self.value + (1 - self.beta) * mean
        if self.training:
            self.value.copy_(torch.where(self.value.isnan(), mean, average))
        return self.value.expand_as(cost), 0.0


class RolloutMean(Baseline):
    """
    Mean over the rollouts of the same instance (POMO, Kwon et al. 2020).

    Raises
    ------
    InputError
        There is a single rollout, which is its own mean: nothing would be learned.
    """

    def forward(
        self, cost: Tensor, instance: TensorDict, features: Features
    ) -> tuple[Tensor, Tensor | float]:
        if cost.shape[-1] < 2:
            raise InputError("RolloutMean: 1 rollout, expected 2 or more: set samples or starts")
        return cost.mean(-1, keepdim=True), 0.0


class Critic(Baseline):
    """
    A learned estimate from the instance: an encoder of its own, mean over nodes, two layers.

    The critic of Kool et al. (2019, section 5.1): the policy's encoder architecture with own
    weights, trained on the squared error.

    Parameters
    ----------
    hidden
        Width of the head.
    """

    encoder: Encoder
    head: nn.Sequential

    def __init__(self, hidden: int = 128):
        super().__init__()
        self.hidden = hidden

    def attach(self, env: RoutingEnv, policy: Policy) -> None:
        encoder = getattr(policy, "encoder", None)
        if not isinstance(encoder, Encoder):
            raise InputError(
                f"Critic: {type(policy).__name__} has no encoder, expected one to copy"
            )
        norms = [part.kind for part in encoder.modules() if isinstance(part, Norm)]
        if norms and norms[-1] == "instance":
            # What it leaves has the same mean over the nodes for all instances.
            raise InputError("Critic: the encoder ends in instance norm, expected batch or layer")
        self.encoder = copy.deepcopy(encoder)
        init_uniform(self.encoder)
        dim = self.encoder.dim
        self.head = nn.Sequential(nn.Linear(dim, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 1))

    def forward(
        self, cost: Tensor, instance: TensorDict, features: Features
    ) -> tuple[Tensor, Tensor | float]:
        value = self.head(both(self.encoder(features))[0].mean(1))
        error = nn.functional.mse_loss(value.expand_as(cost).float(), cost.float())
        return value.detach().to(cost.dtype), error


class GreedyRollout(Baseline):
    """
    Greedy cost of the best policy so far (Kool et al. 2019, section 4 and algorithm 1).

    During the first epochs an exponential average takes its place (warm-up), mixed in
    proportion to the epoch. After every epoch the policy in training challenges the baseline policy
    on a set of fresh instances; if it is better and a one-sided paired t-test says so at level
    ``alpha``, it takes its place, and a new set is drawn.

    Parameters
    ----------
    generator
        Draws the challenge instances.
    count
        Challenge instances.
    batch_size
        Instances decoded at once.
    alpha
        Level of significance.
    warmup_epochs
        Epochs until the rollout alone is the baseline.
    beta
        Of the exponential average.
    seed
        Seed of the challenge instances.
    """

    epoch: Tensor
    draws: Tensor
    _champion: Tensor | None

    def __init__(
        self,
        generator: InstanceGenerator,
        count: int = 10000,
        batch_size: int = 1024,
        alpha: float = 0.05,
        warmup_epochs: int = 1,
        beta: float = 0.8,
        seed: int = 1234,
    ):
        super().__init__()
        if not 0 < alpha < 1:
            raise InputError(f"alpha: {alpha}, expected a value in (0, 1)")
        if count < 2:
            raise InputError(f"count: {count}, expected 2 or more instances to compare on")
        self.generator = generator
        self.count = count
        self.batch_size = batch_size
        self.alpha = alpha
        self.warmup_epochs = warmup_epochs
        self.seed = seed
        self.warmup = Exponential(beta)
        self.register_buffer("epoch", torch.tensor(0))
        self.register_buffer("draws", torch.tensor(0))
        self._restore()
        self.register_load_state_dict_post_hook(lambda module, keys: module._restore())

    def _restore(self) -> None:
        """What follows from the buffers, on the host: to ask them at every step would wait."""
        self._epochs, self._champion = int(self.epoch), None

    def attach(self, env: RoutingEnv, policy: Policy) -> None:
        self.env = env
        self.policy = copy.deepcopy(policy).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "GreedyRollout":
        """The baseline policy never trains: its normalisation stays as it was when copied."""
        super().train(mode)
        if hasattr(self, "policy"):
            self.policy.eval()
        return self

    def forward(
        self, cost: Tensor, instance: TensorDict, features: Features
    ) -> tuple[Tensor, Tensor | float]:
        share = 1.0 if self.warmup_epochs == 0 else min(1.0, self._epochs / self.warmup_epochs)
        value = torch.zeros_like(cost)
        if share < 1:
            value = value + (1 - share) * self.warmup(cost, instance, features)[0]
        if share > 0:
            value = value + share * rollout(self.env, self.policy, instance, Greedy()).cost
        return value, 0.0

    def epoch_end(self, policy: Policy, epoch: int) -> dict[str, float]:
        from scipy.stats import ttest_rel  # here: more than a second, for this test alone

        self.epoch.fill_(epoch + 1)
        self._epochs = epoch + 1
        if self._champion is None:  # it is decoded once for each set of instances
            self._champion = self._costs(self.policy).double().cpu()
        challenger, champion = self._costs(policy).double().cpu(), self._champion
        test = ttest_rel(challenger, champion, alternative="less")
        p = _agreed(torch.tensor(float(test.pvalue), device=self.draws.device))
        better = p < self.alpha  # not a number where every pair is equal: no better then
        if better:
            self.policy.load_state_dict(policy.state_dict())
            self.draws += 1
            self._champion = None
        return {"baseline/p": p, "baseline/replaced": float(better)}

    @torch.no_grad()
    def _costs(self, policy: Policy) -> Tensor:
        """Greedy costs of a policy on the challenge set of the day; its mode is restored."""
        was_training = policy.training
        policy.eval()
        rng = seeded(self.seed, int(self.draws))
        costs = []
        for begin in range(0, self.count, self.batch_size):
            instance = self.generator(min(self.batch_size, self.count - begin), rng)
            costs.append(rollout(self.env, policy, instance.to(self.draws.device), Greedy()).cost)
        policy.train(was_training)
        return torch.cat(costs).squeeze(-1)


def _agreed(value: Tensor) -> float:
    """The value of the first process: others may differ by their running normalisation."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.broadcast(value, src=0)
    return float(value)
