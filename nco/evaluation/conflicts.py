"""Which customers and rules cannot hold together where an instance has no solution."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from tensordict import TensorDict

from nco.data.subinstance import selected
from nco.envs import RoutingEnv
from nco.envs.checking.view import InstanceView
from nco.envs.state import State

SECONDS = 5.0
STATES = 200_000  # partial solutions looked at before an exhaustive search gives up
FEW_STATES = 10_000  # the same on the way to a conflict
MAX_NODES = 20  # customers that are searched exhaustively
AT_ONCE = 2048

Finds = Callable[[RoutingEnv, TensorDict, float], bool]


@dataclass(frozen=True)
class Conflict:
    """
    Customers and rules of which no solution is known.

    Parameters
    ----------
    nodes
        Customers, as nodes of the instance: without any of them there is a solution, unless time
        ran out.
    rules
        Names of the rules' classes; without any of them there is a solution, unless time ran out.
    proved
        Whether it is certain that they cannot hold together; else no search found how.
    """

    nodes: tuple[int, ...]
    rules: tuple[str, ...]
    proved: bool

    def __str__(self) -> str:
        nodes = ", ".join(map(str, self.nodes[:10]))
        more = f" and {len(self.nodes) - 10} more" if len(self.nodes) > 10 else ""
        known = "cannot hold together" if self.proved else "were not found to hold together"
        return f"nodes {nodes}{more} and the rules {', '.join(self.rules) or 'of visits'} {known}"


def find_conflict(
    env: RoutingEnv,
    instance: TensorDict,
    finds: Finds | None = None,
    seconds: float = SECONDS,
) -> Conflict | None:
    """
    A small set of customers and rules without a solution, by leaving out one after the other.

    A deletion filter (Chinneck and Dravnieks 1991): what can be left out without a solution
    appearing is left out, customers by halves first.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).
    finds
        Whether a solver finds a solution of an instance within some seconds, for what is too large
        to be searched exhaustively; None for no such solver: then only proofs count.
    seconds
        Time limit; what is known by then is returned.

    Returns
    -------
    Conflict or None
        None where a solution was found, or nothing is known.
    """
    search = _Filter(env, instance, finds, time.perf_counter() + seconds)
    nodes, rules = list(InstanceView(instance).customers), list(range(len(env.constraints)))
    if not search.fails(nodes, rules):
        return None
    nodes = search.smallest(nodes, lambda kept: search.fails(kept, rules))
    rules = search.smallest(rules, lambda kept: search.fails(nodes, kept))
    names = tuple(type(env.constraints[k]).__name__ for k in rules)
    return Conflict(tuple(nodes), names, search.solvable(nodes, rules) is False)


class _Filter:
    def __init__(self, env: RoutingEnv, instance: TensorDict, finds: Finds | None, deadline: float):
        self.env, self.instance, self.finds, self.deadline = env, instance, finds, deadline
        self.plain = InstanceView(instance)

    def smallest(self, items: list[int], fails: Callable[[list[int]], bool]) -> list[int]:
        """What is left of items when none can go without `fails` becoming false."""
        size = max(1, len(items) // 2)
        while True:
            begin = 0
            while begin < len(items):
                fewer = items[:begin] + items[begin + size :]
                if time.perf_counter() > self.deadline:
                    return items
                if fails(fewer):
                    items = fewer
                else:
                    begin += size
            if size == 1:
                return items
            size = max(1, size // 2)

    def fails(self, nodes: list[int], rules: list[int]) -> bool:
        """Whether no solution is known of these customers under these rules."""
        known = self.solvable(nodes, rules, FEW_STATES)
        if known is not None or self.finds is None:
            return known is False
        left = self.deadline - time.perf_counter()
        return left > 0 and not self.finds(*self._part(nodes, rules), max(0.1, left / 8))

    def solvable(self, nodes: list[int], rules: list[int], states: int = STATES) -> bool | None:
        """Whether there is a solution, by proof; None if that takes too long."""
        whole = [node for node in nodes if set(self.plain.alone(node, 0).visits) <= set(nodes)]
        if len(whole) < len(nodes):
            return True  # half of a shipment is no instance: it stays whole
        if not nodes:
            return True
        env, part = self._part(nodes, rules)
        if env.impossible(part):
            return False
        return solvable(env, part, self.deadline, states) if len(nodes) <= MAX_NODES else None

    def _part(self, nodes: list[int], rules: list[int]) -> tuple[RoutingEnv, TensorDict]:
        env = RoutingEnv(
            self.env.visits, [self.env.constraints[k] for k in rules], self.env.objective
        )
        kept = [*range(self.plain.depots), *nodes]
        part = selected(self.instance, torch.tensor([0]), torch.tensor([kept]))
        if "delivery" in part.keys():
            number = {node: k for k, node in enumerate(kept)}
            targets = [number.get(int(node), 0) for node in part["delivery"][0]]
            part["delivery"] = torch.tensor([targets])
        return env, part


def solvable(
    env: RoutingEnv, instance: TensorDict, deadline: float, states: int = STATES
) -> bool | None:
    """
    Whether an instance (batch size 1) has a solution, by all moves that the mask allows.

    The mask forbids nothing that leads to a solution, so that none found is a proof; None where
    there are more than so many partial solutions, or no time is left.
    """
    waiting: list[State] = [env.reset(instance)]
    seen = 0
    while waiting:
        state = waiting.pop()
        done = env.done(state)
        if bool((done & ~env.broken(state)).any()):
            return True
        going = (~done & ~_lost(env, state))[0].nonzero().flatten()
        if not len(going):
            continue
        state = state.select(going.unsqueeze(0))
        rows, moves = env.mask(state)[0].nonzero(as_tuple=True)
        seen += len(rows)
        if seen > states or time.perf_counter() > deadline:
            return None
        for some, theirs in zip(rows.split(AT_ONCE), moves.split(AT_ONCE), strict=True):
            waiting.append(env.step(state.select(some.unsqueeze(0)), theirs.unsqueeze(0)))
    return False


def _lost(env: RoutingEnv, state: State) -> torch.Tensor:
    """Rollouts that have broken a bound for good, ``[B, R]``."""
    astray = state.parts.get("astray")
    return torch.zeros_like(env.done(state)) if astray is None else astray
