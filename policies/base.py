"""The contract between a network and everything that decodes or trains it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nco.envs import Context, Features, NativeRules
from nco.policies.recorded import Recorded


class OutOfTime(Exception):
    """A deadline passed before the rollouts were complete."""


def not_finite(instance: int, step: int) -> FloatingPointError:
    """The error for logits that are NaN or infinite; both numbers count from 0."""
    return FloatingPointError(
        f"the policy's logits are not finite (instance {instance}, step {step})"
    )


@dataclass(frozen=True)
class Trajectory:
    """
    Complete rollouts with all that a policy saw on the way, for scoring them in one pass.

    Parameters
    ----------
    context
        The decoder's view of every step, rollouts and steps in one dimension: ``[B, R * T, ...]``,
        step the faster one.
    actions
        Nodes that were chosen, ``[B, R, T]``.
    free
        Where the policy had a choice, ``[B, R, T]`` bool: not an imposed first move, not a step
        after the end.
    """

    context: Context
    actions: Tensor
    free: Tensor


@dataclass(frozen=True)
class Plan:
    """
    What to drive.

    Parameters
    ----------
    walk
        Where rollouts may go.
    rollouts, steps
        Rollouts R of each instance, and a bound T on their actions.
    temperature
        Divides the log-probabilities before a draw; 0 takes the most probable node.
    first
        Imposed first moves ``[B, R]``.
    deadline
        Value of `time.perf_counter` at which to give up.
    """

    native_rules: NativeRules
    rollouts: int
    steps: int
    temperature: float = 0.0
    first: Tensor | None = None
    deadline: float | None = None


@dataclass(frozen=True)
class NativeRollout:
    """
    Complete rollouts of a policy that drives by itself.

    Parameters
    ----------
    actions
        ``[B, R, T]``.
    likelihood
        Log-likelihood of all moves that were chosen, ``[B, R]``, by the given temperature.
    plan
        What was asked for.
    embeddings
        With which the policy drove.
    differentiable
        Whether `Policy.evaluate` takes it; else it wants a `Trajectory` of the same actions.
    """

    actions: Tensor
    likelihood: Tensor
    plan: Plan
    embeddings: Any
    differentiable: bool = True


class Policy(Recorded, nn.Module, ABC):
    """
    Scores the next node of a partial solution.

    Built from an environment's `FeatureSpec` and for every composition that has the same one.
    Embeddings are what `encode` returns and `step` reads, and private to the policy. A policy with
    recurrent decoding keeps its hidden state in ``memory``: tensors ``[B, R, ...]``.

    Attributes
    ----------
    recurrent
        Whether a step reads the memory of the steps before: then imposed moves are steps too.
    """

    recurrent: bool = False

    @abstractmethod
    def encode(self, features: Features) -> Any:
        """Embeds instances, once for all rollouts and steps."""

    @abstractmethod
    def step(
        self, embeddings: Any, context: Context, memory: tuple[Tensor, ...] = ()
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """
        One decoding step.

        Returns
        -------
        tuple
            Log-probabilities ``[B, R, N]`` (minus infinity where the mask forbids) in float32, and
            the memory for the next step.
        """

    def drive(
        self, embeddings: Any, plan: Plan, rng: torch.Generator | None
    ) -> NativeRollout | None:
        """
        Whole rollouts in one call, where there is a faster way than step by step; else None.

        Without gradients. Draws follow the same numbers of ``rng`` as those of every step would.

        Raises
        ------
        OutOfTime
            The deadline of the plan passed.
        FloatingPointError
            Logits are not finite.
        """
        return None

    def log_probs(self, embeddings: Any, trajectory: Trajectory) -> Tensor:
        """
        Log-probabilities ``[B, R, T, N]`` of every node at every step of given rollouts.

        Teacher-forced. Without recurrence the steps do not depend on one another, so all of them
        are one call of `step`.
        """
        shape = trajectory.actions.shape
        return self.step(embeddings, trajectory.context)[0].view(*shape, -1)

    def evaluate(self, embeddings: Any, trajectory: Trajectory | NativeRollout) -> Tensor:
        """
        Log-likelihood ``[B, R]`` of the actions of given rollouts, in one parallel pass.

        What is `NativeRollout` goes only to the policy that drove it.
        """
        assert isinstance(trajectory, Trajectory)
        scores = self.log_probs(embeddings, trajectory)
        chosen = scores.gather(-1, trajectory.actions.unsqueeze(-1)).squeeze(-1)
        return torch.where(trajectory.free, chosen, 0).sum(-1)
