"""Simulation-guided beam search."""

from dataclasses import dataclass

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.decoding.rollout import CHECK_EVERY, Rollouts, broken, complete, finished, pick_rollouts
from nco.decoding.search import Search
from nco.envs import RoutingEnv, State
from nco.policies import Policy


@dataclass(frozen=True)
class SimulationGuided(Search):
    """
    Beam search that keeps what simulates best, not what is most probable (Choo et al. 2022, SGBS).

    At every step each partial solution of the beam is expanded by its most probable moves, each
    child is completed greedily (the simulation, section 3.2), and the children of least cost stay.
    Since the greedy child of a partial solution is among them, the best simulation never gets
    worse; the first one is the greedy rollout.

    Parameters
    ----------
    width
        Partial solutions kept (the paper's beta).
    expansion
        Moves tried from each (the paper's gamma).
    """

    width: int = 4
    expansion: int = 4

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"beam width: {self.width}, expected 1 or more")
        if self.expansion < 1:
            raise InputError(f"expansion: {self.expansion}, expected 1 or more")

    @torch.no_grad()
    def __call__(
        self,
        env: RoutingEnv,
        policy: Policy,
        instance: TensorDict,
        rng: torch.Generator | None = None,
        deadline: float | None = None,
    ) -> Rollouts:
        """
        See `Search`.

        Returns
        -------
        Rollouts
            The best simulation of all, then the beam's own solutions.
        """
        embeddings = policy.encode(env.features(instance))
        state = env.reset(instance)
        memory: tuple[Tensor, ...] = ()
        bound = env.max_steps(instance)
        batch, device = instance.batch_size[0], state.current.device
        moves = torch.zeros(batch, 1, 0, dtype=torch.long, device=device)
        # Cost of the simulation from each partial solution; infinite where there is none.
        cost = torch.zeros(batch, 1, dtype=torch.double, device=device)
        best = torch.zeros(batch, 1, bound, dtype=torch.long, device=device)
        least = torch.full((batch, 1), torch.inf, dtype=torch.double, device=device)
        for step in range(bound):
            log_probs, memory = policy.step(embeddings, env.context(state), memory)
            log_probs = log_probs.masked_fill((cost == torch.inf).unsqueeze(-1), -torch.inf)
            parent, action, alive = _children(log_probs, self.expansion)
            children = env.step(state.select(parent), action)
            past = torch.cat([pick_rollouts(moves, parent), action.unsqueeze(-1)], -1)
            memory = tuple(pick_rollouts(part, parent) for part in memory)
            actions, final = past, children
            if step + 1 < bound:
                rest, final = complete(
                    env, policy, embeddings, children, bound - step - 1, memory, deadline=deadline
                )
                actions = torch.cat([past, rest], -1)
            cost = _cost(env, instance, actions, final).masked_fill(~alive, torch.inf)
            leader = cost.argmin(-1, keepdim=True)
            found = cost.gather(1, leader)
            filled = _filled(pick_rollouts(actions, leader), bound)
            best = torch.where((found < least).unsqueeze(-1), filled, best)
            least = torch.minimum(least, found)
            kept = cost.argsort(dim=-1, stable=True)[:, : self.width]
            cost, moves = cost.gather(1, kept), pick_rollouts(past, kept)
            state = children.select(kept)
            memory = tuple(pick_rollouts(part, kept) for part in memory)
            # To look costs nothing on a CPU, and a wait elsewhere.
            due = device.type == "cpu" or step % CHECK_EVERY == CHECK_EVERY - 1
            if due and finished(env, state, deadline):
                break
        # Slots that no partial solution filled repeat the best.
        own = torch.where((cost == torch.inf).unsqueeze(-1), best, _filled(moves, bound))
        solutions = torch.cat([best, own], 1)
        costs = env.cost(instance, solutions)
        return Rollouts(solutions, costs, broken=broken(env, instance, solutions))


def _children(log_probs: Tensor, expansion: int) -> tuple[Tensor, Tensor, Tensor]:
    """
    Parent, move and "is there one" of each child, ``[B, R * expansion]``.

    Where a partial solution has fewer moves, it repeats its most probable one, marked as none.
    """
    batch, beams, nodes = log_probs.shape
    top = log_probs.topk(min(expansion, nodes), dim=-1)
    alive = top.values > -torch.inf
    # A partial solution that is none follows one that is: any legal move will do.
    some = log_probs.amax(-1).argmax(-1, keepdim=True)
    dead = ~alive.any(-1)
    parent = torch.arange(beams, device=log_probs.device).expand(batch, -1)
    parent = torch.where(dead, some, parent)
    move = torch.where(alive, top.indices, top.indices[..., :1])
    move = torch.where(dead.unsqueeze(-1), move.gather(1, some.unsqueeze(-1).expand_as(move)), move)
    return parent.repeat_interleave(move.shape[-1], dim=1), move.flatten(1), alive.flatten(1)


def _cost(env: RoutingEnv, instance: TensorDict, actions: Tensor, final: State) -> Tensor:
    """Costs ``[B, R]`` in double precision; rollouts that break a yielding rule come last."""
    cost = env.cost(instance, actions).double()
    # A number, so that a beam of nothing but such rollouts still goes on.
    return torch.where(env.broken(final), 1e100 + cost, cost)


def _filled(actions: Tensor, length: int) -> Tensor:
    """Actions ``[B, R, T]`` whose last ones repeat up to a length."""
    missing = length - actions.shape[-1]
    return torch.cat([actions, actions[..., -1:].expand(*actions.shape[:2], missing)], -1)
