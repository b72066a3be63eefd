"""Random re-construction of parts of a solution."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.subinstance import excerpt, in_double, zoomed
from nco.decoding.rollout import OutOfTime, Rollouts, broken, complete
from nco.decoding.search import Search, Single, dihedral
from nco.decoding.strategies import Greedy, Sampling, Strategy
from nco.decoding.subproblems import Cut, Piece, Routes, find_cut
from nco.envs import RoutingEnv
from nco.envs.normalisation import coordinates
from nco.envs.resources.resource import Resource
from nco.policies import Policy

WORK = 60_000  # rollouts times nodes of the pieces that are decoded at once
REMEMBERED = 5  # batches of which the quickest tells how long the next one takes at least
UNLIKE = 1.6  # pieces that are decoded at once differ in size by this factor at most


@dataclass(frozen=True)
class Rebuilder:
    """
    Solves pieces of solutions with a policy.

    Parameters
    ----------
    env, policy, instance
        The problem, the network in evaluation mode, and instances ``[B]``.
    starts
        Rollouts of each view of a piece, from its most probable first moves.
    sampled
        The share of rounds in which they are sampled from there on, not greedy.
    enough
        Rollouts that a few pieces are worth at least: up to eight views of each make them up. (A
        step of decoding takes about as long for one rollout as for a hundred.)
    """

    env: RoutingEnv
    policy: Policy
    instance: TensorDict
    starts: int = 8
    sampled: float = 0.1
    enough: int = 192
    coords: Tensor = field(init=False)
    _paces: list[float] = field(init=False, default_factory=list)  # seconds a node, of each batch

    def __post_init__(self) -> None:
        object.__setattr__(self, "coords", coordinates(self.instance))

    def __call__(
        self, pieces: Sequence[Piece], rng: torch.Generator, deadline: float | None = None
    ) -> Iterator[tuple[Piece, Routes]]:
        """
        The pieces that are no worse when they are solved anew, with their new routes.

        Costs are those of the instance's own metric, compared in double precision.

        Raises
        ------
        OutOfTime
            The deadline passed, or will before the next pieces can be expected.
        """
        draw = float(torch.rand((), generator=rng, device=rng.device))
        strategy = Sampling() if draw < self.sampled else Greedy()
        for batch in _alike(sorted(pieces, key=lambda piece: len(piece.nodes)), self.starts):
            began, size = time.perf_counter(), sum(len(piece.nodes) for piece in batch)
            pace = min(self._paces[-REMEMBERED:], default=0.0)
            if deadline is not None and began + pace * size > deadline:
                raise OutOfTime
            found = list(self._solve(batch, strategy, rng, deadline))
            self._paces.append((time.perf_counter() - began) / size)
            yield from found

    def _solve(
        self,
        pieces: Sequence[Piece],
        strategy: Strategy,
        rng: torch.Generator,
        deadline: float | None,
    ) -> Iterator[tuple[Piece, Routes]]:
        env, device = self.env, self.coords.device
        rows = torch.tensor([piece.row for piece in pieces], device=device)
        nodes, shown = self._padded(pieces)
        part = excerpt(self.instance, rows, nodes)
        if "vehicle_count" in part.keys() and all(piece.routes for piece in pieces):
            used = [piece.vehicles(env.visits.depots(part)) for piece in pieces]
            part["vehicle_count"] = torch.tensor(used, device=device)
        views = min(8, max(1, self.enough // (self.starts * len(pieces))))
        part = part.repeat(views)
        coords = self._seen(part, rows.repeat(views), nodes.repeat(views, 1), views, rng)
        embeddings = self.policy.encode(env.features(part.copy().set("view", coords)))
        state = env.reset(part)
        visited = state.visited | shown.repeat(views, 1).unsqueeze(1)
        count = None if state.count is None else visited.sum(-1)
        state = replace(state, visited=visited, count=count)
        prefix = torch.tensor([piece.prefix for piece in pieces], dtype=torch.long, device=device)
        prefix = prefix.repeat(views, 1)
        memory: tuple[Tensor, ...] = ()
        for move in prefix.unbind(-1):
            if self.policy.recurrent:
                _, memory = self.policy.step(embeddings, env.context(state), memory)
            state = env.step(state, move.unsqueeze(-1))
        scores, memory = self.policy.step(embeddings, env.context(state), memory)
        best = scores.squeeze(1).topk(min(self.starts, scores.shape[-1]), dim=-1)
        first = torch.where(best.values > -torch.inf, best.indices, best.indices[:, :1])
        same = torch.zeros_like(first)
        state = env.step(state.select(same), first)
        memory = tuple(
            value[:, :1].expand(-1, first.shape[1], *value.shape[2:]) for value in memory
        )
        moves, state = complete(
            env,
            self.policy,
            embeddings,
            state,
            env.max_steps(part),
            memory,
            strategy,
            rng,
            deadline,
        )
        begun = prefix.unsqueeze(1).expand(-1, first.shape[1], -1)
        actions = torch.cat([begun, first.unsqueeze(-1), moves], -1)[..., : env.max_steps(part)]
        exact = in_double(part)
        cost = env.cost(exact, actions).double().masked_fill(env.broken(state), torch.inf)
        # Views of a piece are rows that lie len(pieces) apart; here they are rollouts of it.
        cost = cost.unflatten(0, (views, -1)).transpose(0, 1).flatten(1)
        actions = actions.unflatten(0, (views, -1)).transpose(0, 1).flatten(1, 2)
        cost, index = cost.min(-1)
        chosen = actions[torch.arange(len(index), device=device), index]
        better = (cost <= self._known(pieces, exact[: len(pieces)])).tolist()
        for k, (piece, row) in enumerate(zip(pieces, chosen.tolist(), strict=True)):
            if better[k]:
                yield piece, env.visits.routes(part[k : k + 1], row)

    def _known(self, pieces: Sequence[Piece], part: TensorDict) -> Tensor:
        """Costs of the pieces as they are, ``[S]``; infinite where they are not solved yet."""
        if not all(piece.routes for piece in pieces):
            return torch.full((len(pieces),), torch.inf, dtype=torch.double, device=part.device)
        driven = [
            self.env.visits.actions(part[k : k + 1], piece.routes) for k, piece in enumerate(pieces)
        ]
        actions = _of_one_length(driven).to(self.coords.device)
        return self.env.cost(part, actions).squeeze(1).double()

    def _padded(self, pieces: Sequence[Piece]) -> tuple[Tensor, Tensor]:
        """
        Nodes ``[S, L]`` of pieces of different sizes, and which of them only fill up.

        They are the customers nearest to the piece, and count as served: to the policy, that is
        what an instance looks like on the way.
        """
        device = self.coords.device
        longest = max(len(piece.nodes) for piece in pieces)
        nodes = torch.zeros(len(pieces), longest, dtype=torch.long, device=device)
        shown = torch.zeros(len(pieces), longest, dtype=torch.bool, device=device)
        depots = self.env.visits.depots(self.instance)
        for k, piece in enumerate(pieces):
            size = len(piece.nodes)
            nodes[k, :size] = torch.tensor(piece.nodes, device=device)
            if size < longest:
                coords = self.coords[piece.row]
                apart = (coords - coords[nodes[k, depots:size]].mean(0)).norm(dim=-1)
                apart[:depots] = torch.inf
                apart[nodes[k, :size]] = torch.inf
                nodes[k, size:] = apart.topk(longest - size, largest=False).indices
                shown[k, size:] = True
        return nodes, shown

    def _seen(
        self, part: TensorDict, rows: Tensor, nodes: Tensor, views: int, rng: torch.Generator
    ) -> Tensor:
        """
        Coordinates of the parts as the policy sees them, filling the unit square.

        Several views of a piece are different symmetries of the square, the first one drawn.
        """
        if any(isinstance(rule, Resource) for rule in self.env.constraints):
            coords = coordinates(part)  # features of lengths and times are in the unit of these
        else:
            coords = zoomed(self.coords[rows.unsqueeze(-1), nodes])
        count = len(rows) // views
        first = torch.randint(8, (count,), generator=rng, device=rng.device).to(coords.device)
        more = torch.arange(views, device=coords.device).unsqueeze(-1)
        side = ((first + more) % 8).flatten()
        return dihedral(coords)[side, torch.arange(len(rows), device=coords.device)]


def _alike(pieces: Sequence[Piece], starts: int) -> Iterator[Sequence[Piece]]:
    """Batches of pieces, given in the order of their size, that are of similar size."""
    batch: list[Piece] = []
    for piece in pieces:
        size = len(piece.nodes)
        full = (len(batch) + 1) * starts * size > WORK
        if batch and (full or size > UNLIKE * len(batch[0].nodes) or not _fits(batch[0], piece)):
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


def _fits(one: Piece, other: Piece) -> bool:
    """Whether two pieces can be decoded at once: with imposed moves, only at one length."""
    return not one.prefix or len(one.nodes) == len(other.nodes)


def rebuild(
    rebuilder: Rebuilder,
    cut: Cut,
    solutions: Sequence[Routes],
    size: int,
    rng: torch.Generator,
    deadline: float | None = None,
) -> tuple[list[Routes], bool]:
    """
    One round: cuts every solution at random and solves all pieces anew.

    Parameters
    ----------
    rebuilder, cut
        What solves the pieces, and what cuts.
    solutions
        One for each instance ``[B]``.
    size
        Customers of a piece, about.
    rng, deadline
        See `Search`.

    Returns
    -------
    tuple
        Solutions that are no worse, and whether the round was completed; a deadline ends it
        between two batches of pieces, and what was found by then counts.
    """
    env, instance = rebuilder.env, rebuilder.instance
    depots = env.visits.depots(instance)
    written, pieces = [], list[Piece]()
    for row, routes in enumerate(solutions):
        same, parts = cut.cut(routes, rebuilder.coords[row], depots, row, size, rng)
        written.append(same)
        pieces += parts
    found: list[list[tuple[Piece, Routes]]] = [[] for _ in solutions]
    completed = True
    try:
        for piece, new in rebuilder(pieces, rng, deadline):
            found[piece.row].append((piece, new))
    except OutOfTime:
        completed = False
    pasted = [cut.paste(routes, new) for routes, new in zip(written, found, strict=True)]
    return pasted, completed


@dataclass(frozen=True)
class Reconstruction(Search):
    """
    Random re-construction: pieces of a solution are solved anew, again and again (RRC).

    Luo et al. (2023, LEHD, section 3.3) re-construct random consecutive parts of solutions. Here
    all of a solution is cut into disjoint parts at random (`nco.decoding.subproblems`), which are
    one batch of small instances for the policy: seen from a random side each, with several starts.
    A part is replaced where the new one is no worse.

    Parameters
    ----------
    search
        Finds the solutions to begin with; only the best of each instance goes on.
    rounds
        How often all is cut.
    size
        Customers of a piece, about: drawn anew in each round, from half of it to one and a half.
    starts
        Rollouts of each view of a piece.
    sampled
        The share of rounds that sample, see `Rebuilder`.
    """

    search: Search = field(default_factory=Single)
    rounds: int = 20
    size: int = 50
    starts: int = 8
    sampled: float = 0.1

    def __post_init__(self) -> None:
        for name in ("rounds", "size", "starts"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)}, expected 1 or more")
        if not 0 <= self.sampled <= 1:
            raise InputError(f"sampled: {self.sampled}, expected a share from 0 to 1")

    @torch.no_grad()
    def __call__(
        self,
        env: RoutingEnv,
        policy: Policy,
        instance: TensorDict,
        rng: torch.Generator | None = None,
        deadline: float | None = None,
    ) -> Rollouts:
        """See `Search`; a deadline that passes after the start just ends the rounds."""
        cut = find_cut(env)
        begun, cost = self.search(env, policy, instance, rng, deadline).best()
        rng = rng or torch.Generator(begun.device).manual_seed(0)
        solutions = [
            env.visits.routes(instance[b : b + 1], actions)
            for b, actions in enumerate(begun.tolist())
        ]
        rebuilder = Rebuilder(env, policy, instance, self.starts, self.sampled)
        for _ in range(self.rounds):
            size = draw_size(self.size, rng)
            solutions, completed = rebuild(rebuilder, cut, solutions, size, rng, deadline)
            if not completed or (deadline is not None and time.perf_counter() > deadline):
                break
        found = to_actions(env, instance, solutions, begun.shape[-1]).to(begun.device)
        # What it began with is there too: sums in single precision may differ in their last digit.
        after = env.cost(instance, found)
        actions = torch.stack([_longer(begun, found.shape[-1]), found.squeeze(1)], 1)
        costs = torch.cat([cost.unsqueeze(1), after], 1)
        return Rollouts(actions, costs, broken=broken(env, instance, actions))


def draw_size(size: int, rng: torch.Generator) -> int:
    """A size from half of ``size`` to one and a half, but no smaller than a piece can be."""
    drawn = torch.randint(size // 2, size + size // 2 + 1, (), generator=rng, device=rng.device)
    return max(4, int(drawn))


def to_actions(
    env: RoutingEnv, instance: TensorDict, solutions: Sequence[Routes], length: int
) -> Tensor:
    """Actions ``[B, 1, T]`` that drive solutions, T at least ``length``; the last one repeats."""
    driven = [env.visits.actions(instance[b : b + 1], routes) for b, routes in enumerate(solutions)]
    return _of_one_length(driven, length)


def _of_one_length(driven: Sequence[list[int]], length: int = 0) -> Tensor:
    """Actions ``[B, 1, T]``, T at least ``length``; the last one repeats."""
    length = max(length, *map(len, driven))
    return torch.tensor([row + row[-1:] * (length - len(row)) for row in driven]).unsqueeze(1)


def _longer(actions: Tensor, length: int) -> Tensor:
    """Actions ``[B, T]`` whose last ones repeat up to a length."""
    return torch.cat([actions, actions[:, -1:].expand(-1, length - actions.shape[1])], -1)
