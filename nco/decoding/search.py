"""Ways of decoding: each returns complete rollouts for a batch of instances."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.decoding.rollout import Rollouts, rollout
from nco.decoding.strategies import Greedy, Strategy
from nco.envs import RoutingEnv
from nco.envs.normalisation import coordinates
from nco.policies import Policy


class Search(ABC):
    """Turns a policy into solutions."""

    @abstractmethod
    def __call__(
        self,
        env: RoutingEnv,
        policy: Policy,
        instance: TensorDict,
        rng: torch.Generator | None = None,
        deadline: float | None = None,
    ) -> Rollouts:
        """
        Solves each instance of the batch; `Rollouts.best` picks among what comes back.

        Parameters
        ----------
        env, policy, instance
            The problem, the network in evaluation mode, and instances ``[B]``.
        rng
            Source of randomness.
        deadline
            Value of `time.perf_counter` at which to give up.

        Raises
        ------
        OutOfTime
            The deadline passed.
        """


@dataclass(frozen=True)
class Single(Search):
    """
    Independent rollouts from the start.

    Parameters
    ----------
    strategy
        Picks the next node: greedy by default.
    samples
        Rollouts of each instance; more than one makes sense with sampling only.
    """

    strategy: Strategy = field(default_factory=Greedy)
    samples: int = 1

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise InputError(f"samples: {self.samples}, expected 1 or more")

    def __call__(
        self,
        env: RoutingEnv,
        policy: Policy,
        instance: TensorDict,
        rng: torch.Generator | None = None,
        deadline: float | None = None,
    ) -> Rollouts:
        return rollout(
            env, policy, instance, self.strategy, self.samples, rng=rng, deadline=deadline
        )


@dataclass(frozen=True)
class MultiStart(Search):
    """
    One rollout from each of several imposed first moves (POMO, Kwon et al. 2020).

    The plain greedy rollout is among them, so that the best is never worse than greedy.

    Parameters
    ----------
    starts
        Number of first moves, spread evenly over all feasible ones; 0 means one per customer.
    strategy
        Picks the moves after the first.
    """

    starts: int = 0
    strategy: Strategy = field(default_factory=Greedy)

    def __post_init__(self) -> None:
        if self.starts < 0:
            raise InputError(f"starts: {self.starts}, expected 0 or more")

    def __call__(
        self,
        env: RoutingEnv,
        policy: Policy,
        instance: TensorDict,
        rng: torch.Generator | None = None,
        deadline: float | None = None,
    ) -> Rollouts:
        with torch.no_grad():
            embeddings = policy.encode(env.features(instance))
            log_probs, _ = policy.step(embeddings, env.context(env.reset(instance)))
        greedy = log_probs.argmax(-1)
        count = self.starts or env.num_customers(instance)
        first = env.starts(instance, count)
        missing = (first != greedy).all(-1, keepdim=True)
        first[:, :1] = torch.where(missing, greedy, first[:, :1])
        return rollout(
            env, policy, instance, self.strategy, count, first, rng, embeddings, deadline=deadline
        )


@dataclass(frozen=True)
class Augment(Search):
    """
    Another search on several views of each instance under the symmetries of the square.

    Parameters
    ----------
    search
        What runs on every view.
    views
        Number of views, 1 to 8; the first is the instance as it is (POMO, section 4.3).
    """

    search: Search = field(default_factory=Single)
    views: int = 8

    def __post_init__(self) -> None:
        if not 1 <= self.views <= 8:
            raise InputError(f"views: {self.views}, expected 1 to 8")

    def __call__(
        self,
        env: RoutingEnv,
        policy: Policy,
        instance: TensorDict,
        rng: torch.Generator | None = None,
        deadline: float | None = None,
    ) -> Rollouts:
        batch = instance.batch_size[0]
        seen = dihedral(coordinates(instance))[: self.views]
        repeated = instance.repeat(self.views).set("view", seen.flatten(0, 1))
        found = self.search(env, policy, repeated, rng, deadline)

        def by_instance(value: Tensor) -> Tensor:
            return value.unflatten(0, (self.views, batch)).transpose(0, 1).flatten(1, 2)

        broken = None if found.broken is None else by_instance(found.broken)
        return Rollouts(by_instance(found.actions), by_instance(found.cost), broken=broken)


def dihedral(coords: Tensor) -> Tensor:
    """The eight symmetries of the unit square on coordinates ``[..., 2]``: ``[8, ..., 2]``."""
    x, y = coords.unbind(-1)
    pairs = [(x, y), (y, x), (x, 1 - y), (y, 1 - x), (1 - x, y), (1 - y, x)]
    pairs += [(1 - x, 1 - y), (1 - y, 1 - x)]
    return torch.stack([torch.stack(pair, dim=-1) for pair in pairs])
