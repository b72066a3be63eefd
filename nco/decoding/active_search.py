"""Efficient active search: a few parameters of each instance learn while it is solved."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.decoding.rollout import OutOfTime, Rollouts, broken, replay, rollout
from nco.decoding.search import Search, Single
from nco.decoding.strategies import Sampling
from nco.envs import RoutingEnv
from nco.policies import Policy

Part = Literal["emb", "lay", "tab"]
RATES: dict[Part, float] = {"emb": 0.01, "lay": 0.003, "tab": 0.1}  # of learning
HIDDEN = 32  # channels of the layer that "lay" adds


@dataclass(frozen=True)
class Adapted:
    """
    Embeddings of which something can learn.

    Parameters
    ----------
    parameters
        Leaves, each with a first dimension B: no instance has a share in another's.
    embeddings
        The embeddings as they stand now; at first those of the policy.
    """

    parameters: tuple[Tensor, ...]
    embeddings: Callable[[], Any]


def adapt(embeddings: Any, part: Part, rng: torch.Generator) -> Adapted:
    """
    Makes a part of a pointer decoder's embeddings learnable, for each instance by itself.

    Parameters
    ----------
    embeddings
        What `Policy.encode` returned for instances ``[B]``: a `PointerCache` or alike.
    part
        Which, see `ActiveSearch`.
    rng
        Draws the weights of an added layer.

    Raises
    ------
    InputError
        The embeddings have no such part.
    """
    needed = {"emb": "logit_keys", "lay": "by_node", "tab": "log_distance"}[part]
    table = getattr(embeddings, needed, None)
    if not isinstance(table, Tensor):
        raise InputError(f"active search {part!r}: the policy's embeddings have no {needed}")
    if part == "emb":
        keys = table.detach().clone().requires_grad_()
        return Adapted((keys,), lambda: replace(embeddings, logit_keys=keys))
    if part == "tab":
        more = torch.zeros_like(table).requires_grad_()
        return Adapted((more,), lambda: replace(embeddings, log_distance=table + more))
    _, batch, _, dim = table.shape
    device = table.device
    inward = torch.randn(batch, dim, HIDDEN, generator=rng, device=rng.device).to(device)
    inward = (inward * dim**-0.5).requires_grad_()
    bias = torch.zeros(batch, 1, HIDDEN, device=device, requires_grad=True)
    outward = torch.zeros(batch, HIDDEN, dim, device=device, requires_grad=True)

    def layer() -> Any:
        hidden = (table @ inward + bias).relu()
        return replace(embeddings, by_node=table + hidden @ outward)

    return Adapted((inward, bias, outward), layer)


@dataclass(frozen=True)
class ActiveSearch(Search):
    """
    Efficient active search (EAS; Hottung et al. 2022): the policy adapts to each instance.

    In each iteration, solutions are sampled and scored in one teacher-forced pass
    (`Policy.evaluate`); REINFORCE raises the likelihood of those better than the instance's mean,
    imitation that of the best solution so far. Only the instance's own parameters learn, never the
    weights of the policy. Advantages are divided by their deviation, so that the step does not
    depend on the unit of the costs.

    Parameters
    ----------
    part
        What learns. ``emb``: the keys that the pointer looks up (EAS-Emb). ``lay``: a residual
        layer on the part of the query that tells where a vehicle is, which at first adds nothing
        (after EAS-Lay, whose layer is behind the glimpse). ``tab``: a table of leg preferences, one
        number for each pair of nodes, added to the decoder's minus log distances (after EAS-Tab,
        but learned by gradients).
    iterations
        Steps of the optimiser.
    samples
        Solutions of each instance in each iteration, 2 or more.
    learning_rate
        Of Adam; by default what suits the part, see `RATES`.
    imitation
        Weight of the imitation of the best solution (the paper's lambda).
    search
        Finds the first solutions to imitate.
    """

    part: Part = "lay"
    iterations: int = 50
    samples: int = 16
    learning_rate: float | None = None
    imitation: float = 1.0
    search: Search = field(default_factory=Single)

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise InputError(f"iterations: {self.iterations}, expected 1 or more")
        if self.samples < 2:
            raise InputError(f"samples: {self.samples}, expected 2 or more")
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise InputError(f"learning rate: {self.learning_rate}, expected more than 0")
        if self.imitation < 0:
            raise InputError(f"imitation: {self.imitation}, expected 0 or more")

    def __call__(
        self,
        env: RoutingEnv,
        policy: Policy,
        instance: TensorDict,
        rng: torch.Generator | None = None,
        deadline: float | None = None,
    ) -> Rollouts:
        """
        See `Search`; a deadline that passes after the start just ends the iterations.

        Returns
        -------
        Rollouts
            What it began with, and the best of all.
        """
        found = self.search(env, policy, instance, rng, deadline)
        begun, cost = found.best()
        rng = rng or torch.Generator(begun.device).manual_seed(0)
        best = _filled(begun, env.max_steps(instance))
        least = torch.where(found.solved, cost, torch.inf)
        with torch.no_grad():
            embeddings = policy.encode(env.features(instance))
        adapted = adapt(embeddings, self.part, rng)
        optimizer = Adam(adapted.parameters, self.learning_rate or RATES[self.part])
        took = 0.0
        try:
            for _ in range(self.iterations):
                began = time.perf_counter()
                if deadline is not None and began + took > deadline:
                    break
                best, least = self.step(
                    env, policy, instance, adapted, optimizer, (best, least), rng, deadline
                )
                took = time.perf_counter() - began
        except OutOfTime:
            pass  # the incumbents of the iteration before
        actions = torch.stack([_filled(begun, best.shape[-1]), best], 1)
        costs = torch.stack([cost, torch.where(least == torch.inf, cost, least)], 1)
        return Rollouts(actions, costs, broken=broken(env, instance, actions))

    def step(
        self,
        env: RoutingEnv,
        policy: Policy,
        instance: TensorDict,
        adapted: Adapted,
        optimizer: "Adam | torch.optim.Optimizer",
        incumbent: tuple[Tensor, Tensor],
        rng: torch.Generator,
        deadline: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        """
        One iteration: samples, and a step of the optimiser.

        Parameters
        ----------
        incumbent
            Actions ``[B, T]``, T the bound of the environment, and cost ``[B]`` of the best
            solutions so far.

        Returns
        -------
        tuple
            The incumbents after it.

        Raises
        ------
        OutOfTime
            The deadline passed while samples were drawn.
        """
        with torch.enable_grad():
            embeddings = adapted.embeddings()
            found = rollout(
                env,
                policy,
                instance,
                Sampling(),
                self.samples,
                rng=rng,
                embeddings=embeddings,
                record=True,
                deadline=deadline,
            )
            actions, least = incumbent
            new, cost = found.best()
            better = (cost < least) & found.solved
            actions = torch.where(better.unsqueeze(-1), _filled(new, actions.shape[-1]), actions)
            least = torch.where(better, cost, least)
            assert found.trajectory is not None
            advantage = found.cost - found.cost.mean(-1, keepdim=True)
            deviation = found.cost.std(-1, keepdim=True)
            advantage = advantage / torch.where(deviation > 0, deviation, 1)
            likelihood = policy.evaluate(embeddings, found.trajectory)
            loss = (advantage.to(likelihood.dtype) * likelihood).mean(-1)
            if self.imitation:
                seen = replay(env, instance, _trimmed(actions).unsqueeze(1))
                loss = loss - self.imitation * policy.evaluate(embeddings, seen).squeeze(-1)
            # A sum: each instance's gradient is its own, whatever the others are.
            gradients = torch.autograd.grad(loss.sum(), adapted.parameters)
        for parameter, gradient in zip(adapted.parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        return actions, least


class Adam:
    """
    Adam (Kingma and Ba 2015) as in `torch.optim.Adam`, of which the first one made loads
    PyTorch's compiler: a second that a search with a time limit does not have.

    Parameters
    ----------
    parameters
        Changed in place.
    learning_rate, betas, epsilon
        As in the paper.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ):
        self.parameters, self.learning_rate = parameters, learning_rate
        self.betas, self.epsilon, self.steps = betas, epsilon, 0
        self._means = [torch.zeros_like(parameter) for parameter in parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def step(self) -> None:
        """One step against the gradients of the parameters, ``grad``."""
        self.steps += 1
        first, second = (1 - beta**self.steps for beta in self.betas)
        for parameter, mean, square in zip(
            self.parameters, self._means, self._squares, strict=True
        ):
            gradient = parameter.grad
            assert gradient is not None
            mean.lerp_(gradient, 1 - self.betas[0])
            square.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
            scale = (square.sqrt() / second**0.5).add_(self.epsilon)
            parameter.addcdiv_(mean, scale, value=-self.learning_rate / first)


def _trimmed(actions: Tensor) -> Tensor:
    """Actions ``[B, T]`` up to the step from which on all of them only repeat."""
    moves = (actions != actions[:, -1:]).any(0).nonzero()
    return actions[:, : int(moves.max()) + 2] if len(moves) else actions[:, :1]


def _filled(actions: Tensor, length: int) -> Tensor:
    """Actions ``[B, T]`` whose last ones repeat up to a length."""
    missing = length - actions.shape[-1]
    return torch.cat([actions, actions[:, -1:].expand(-1, missing)], -1)
