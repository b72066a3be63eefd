"""The routing environment: visits, constraints and an objective, composed."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.envs.bounds import Bounds
from nco.envs.checking.infeasibility import (
    missing_ways,
    open_ways,
    too_much,
    unreachable,
    unservable_customers,
)
from nco.envs.checking.routes import Route, Violation
from nco.envs.constraint import Constraint
from nco.envs.features import Context, Features, FeatureSpec
from nco.envs.normalisation import coordinates, distances, lengths_seen, times_seen
from nco.envs.objective import Objective
from nco.envs.objectives import Distance
from nco.envs.resources.detours import shortest_reach
from nco.envs.resources.look_ahead import LookAhead
from nco.envs.resources.resource import Resource
from nco.envs.state import State
from nco.envs.visits.base import Visits

WAYS = (lengths_seen, times_seen)  # edge features of every environment


class RoutingEnv:
    """
    A routing problem, batched over B instances and R rollouts of each.

    Parameters
    ----------
    visits
        The shape of a solution.
    constraints
        The rules that it obeys.
    objective
        What is minimised; the distance by default.
    """

    def __init__(
        self,
        visits: Visits,
        constraints: Sequence[Constraint] = (),
        objective: Objective | None = None,
    ):
        self.visits = visits
        self.constraints = tuple(constraints)
        self.objective = objective or Distance()
        resources = [rule for rule in self.constraints if isinstance(rule, Resource)]
        aboard = max((rule.aboard for rule in self.constraints), default=0)
        trips = [type(rule).__name__ for rule in resources if rule.trips]
        if aboard and trips:
            raise ValueError(f"{trips[0]} and shipments: no look-ahead over several trips")
        # With shipments, the way home leads over their deliveries.
        self._look_ahead = LookAhead(resources, aboard) if resources and aboard else None
        self._bounds = Bounds(visits, resources)

    @property
    def _ruling(self) -> tuple[Constraint | LookAhead, ...]:
        """All that keeps a part of the state."""
        more = () if self._look_ahead is None else (self._look_ahead,)
        return (*self.constraints, *more)

    @property
    def components(self) -> tuple[Visits | Constraint | Objective, ...]:
        """All that it is composed of: visits, constraints, objective."""
        return (self.visits, *self.constraints, self.objective)

    @property
    def reads(self) -> frozenset[str]:
        """Attributes that some component cannot do without."""
        return frozenset(name for part in self.components for name in part.reads)

    @property
    def trips(self) -> bool:
        """Whether the routes of a depot node are trips of one vehicle, by a rule or the cost."""
        return self.objective.trips or any(rule.trips for rule in self.constraints)

    @property
    def spec(self) -> FeatureSpec:
        """The sizes from which a policy for this environment is built."""
        return FeatureSpec(
            node_dim=2 + sum(rule.node_dim for rule in self.constraints) + self.objective.node_dim,
            context_dim=sum(rule.context_dim for rule in self.constraints),
            context_nodes=self.visits.num_context_nodes,
            num_depots=self.visits.num_depots,
            dynamic_dim=sum(rule.dynamic_dim for rule in self.constraints),
            edge_dim=len(WAYS) + sum(rule.edge_dim for rule in self.constraints),
            vehicle_dim=self.visits.vehicle_dim + sum(r.vehicle_dim for r in self.constraints),
        )

    def reset(self, instance: TensorDict, rollouts: int = 1) -> State:
        """The state before the first action of ``rollouts`` rollouts of each instance ``[B]``."""
        tables: dict[str, Tensor] = {}
        for part in self._ruling:
            tables |= part.tables(instance)
        depots = self.visits.depots(instance)
        if (ways := open_ways(instance)) is not None:
            tables["ways"], tables["ways home"] = ways, shortest_reach(ways, depots)
        if self._look_ahead is not None and self._bounds.may_fail(tables):
            tables["detours"] = self._bounds.concerned(tables)
        if depots > 1:
            tables["startable"] = self._startable(instance, tables, depots)
        return self._begin(instance, rollouts, tables)

    def _begin(self, instance: TensorDict, rollouts: int, tables: dict[str, Tensor]) -> State:
        parts: dict[str, Tensor] = {}
        for part in self._ruling:
            parts |= part.reset(instance, rollouts)
        state = replace(self.visits.reset(instance, rollouts), parts=parts, tables=tables)
        if self._bounds.may_fail(tables):
            parts["astray"] = torch.zeros_like(state.current, dtype=torch.bool)
        return state

    def _startable(self, instance: TensorDict, tables: dict[str, Tensor], depots: int) -> Tensor:
        """Nodes that a route from each depot node may visit first, ``[B, V, N]``."""
        state = self._begin(instance, depots, tables)
        state = self.step(
            state, torch.arange(depots, device=state.current.device).expand_as(state.current)
        )
        return self._allowed(state)

    def mask(self, state: State) -> Tensor:
        """
        Nodes that may come next, ``[B, R, N]`` bool.

        Where the rules leave no move, those that yield are lifted: see `nco.envs.constraints`; and
        where a detour may be shorter than the direct way, then those that bound the way home too.
        """
        mask = self._lasting(state)
        if "astray" in state.parts:
            mask = _lifted(mask & self._within(state), mask)
        strict = mask
        for rule in self.constraints:
            if rule.yields:
                strict = strict & rule.feasible(state)
        return mask if strict is mask else _lifted(strict, mask)

    def _allowed(self, state: State) -> Tensor:
        """What everything but the rules that yield allows, ``[B, R, N]``."""
        mask = self._lasting(state)
        return mask & self._within(state) if "astray" in state.parts else mask

    def _within(self, state: State) -> Tensor:
        """
        What bounds allow in a batch where the direct way home is not the shortest everywhere.

        Instance by instance: deliveries aboard are looked ahead to where it is.
        """
        fits = self._bounds.within(state)
        if self._look_ahead is None:
            return fits
        detours = state.tables["detours"][:, None, None]
        return torch.where(detours, fits, self._look_ahead.feasible(state))

    def _lasting(self, state: State) -> Tensor:
        """What is never lifted, ``[B, R, N]``: the visits, and rules that leave a move always."""
        mask = self.visits.feasible(state)
        astray = "astray" in state.parts
        for rule in self.constraints:
            bounded = isinstance(rule, Resource) and (astray or self._look_ahead is not None)
            if not rule.yields and not bounded:
                mask &= rule.feasible(state)
        if self._look_ahead is None or astray:
            return mask
        return mask & self._look_ahead.feasible(state)

    def step(self, state: State, action: Tensor) -> State:
        """The state after moving to ``action [B, R]``, which the mask allows."""
        parts: dict[str, Tensor] = {}
        for part in self._ruling:
            parts |= part.update(state, action)
        if "astray" in state.parts:
            parts["astray"] = state.parts["astray"] | ~self._bounds.keeps(state, action)
        after = replace(self.visits.step(state, action), parts=parts)
        rests = [
            r for rule in self.constraints if (r := rule.unfinished(state, action)) is not None
        ]
        if not rests:
            return after
        served = ~torch.stack(rests).any(0)
        visited = after.visited.scatter(-1, action.unsqueeze(-1), served.unsqueeze(-1))
        return replace(after, visited=visited, count=None)

    def done(self, state: State) -> Tensor:
        """Which rollouts are complete, ``[B, R]`` bool."""
        return self.visits.done(state)

    def broken(self, state: State) -> Tensor:
        """
        Which complete rollouts the checker would refuse, ``[B, R]`` bool.

        Only those that had no move until a rule was lifted: see `mask`.
        """
        broken = state.parts.get("astray")
        broken = torch.zeros_like(self.done(state)) if broken is None else broken
        for rule in self.constraints:
            if (flaw := rule.broken(state)) is not None:
                broken = broken | flaw
        return broken

    def may_break(self, instance: TensorDict) -> bool:
        """Whether a complete rollout of the instances can be `broken`."""
        yields = any(type(rule).broken is not Constraint.broken for rule in self.constraints)
        return yields or "astray" in self.reset(instance).parts

    def max_steps(self, instance: TensorDict) -> int:
        """A bound on the number of actions of any rollout."""
        return self.visits.max_steps(instance)

    def cost(self, instance: TensorDict, actions: Tensor) -> Tensor:
        """Cost ``[B, R]`` of complete rollouts ``actions [B, R, T]``, from the instance alone."""
        return self.objective.cost(instance, self.visits, actions)

    def num_customers(self, instance: TensorDict) -> int:
        """Nodes that are no depots."""
        return num_nodes(instance) - self.visits.depots(instance)

    def starts(self, instance: TensorDict, count: int) -> Tensor:
        """
        First actions ``[B, count]`` for a multi-start, spread evenly over all feasible customers.

        Where there are fewer than ``count``, some come more than once; where there is none, the
        depot is the only move.
        """
        mask = self.mask(self.reset(instance)).squeeze(1)
        customers = mask.clone()
        customers[:, : self.visits.depots(instance)] = (
            False  # an optional tour may end before it began
        )
        mask = torch.where(customers.any(-1, keepdim=True), customers, mask)
        feasible_first = mask.int().argsort(dim=-1, descending=True, stable=True)
        number = mask.sum(-1, keepdim=True)
        pick = torch.arange(count, device=mask.device) * number // count
        return feasible_first.gather(1, torch.where(number < count, pick % number, pick))

    def features(self, instance: TensorDict) -> Features:
        """What a policy's encoder sees."""
        coords = coordinates(instance)
        parts: tuple[Constraint | Objective, ...] = (*self.constraints, self.objective)
        columns = [f for part in parts if (f := part.node_features(instance)) is not None]
        sources: tuple[Visits | Constraint, ...] = (self.visits, *self.constraints)
        vehicles = [v for part in sources if (v := part.vehicle_features(instance)) is not None]
        return Features(
            nodes=torch.cat([coords, *columns], dim=-1),
            coords=coords,
            distance=distances(instance),
            num_depots=self.visits.depots(instance),
            vehicles=torch.cat(vehicles, dim=-1) if vehicles else None,
            make_edges=partial(self._edges, instance),
        )

    def _edges(self, instance: TensorDict) -> Tensor:
        """See `Features.edges`."""
        columns = [way(instance).unsqueeze(-1) for way in WAYS]
        columns += [
            e for rule in self.constraints if (e := rule.edge_features(instance)) is not None
        ]
        return torch.cat(columns, dim=-1)

    def context(self, state: State) -> Context:
        """What a policy's decoder sees."""
        nodes = self.visits.context_nodes(state)
        columns = [c for rule in self.constraints if (c := rule.context(state)) is not None]
        scalars = torch.cat(columns, -1) if columns else nodes.new_zeros((*nodes.shape[:2], 0))
        changing = [d for rule in self.constraints if (d := rule.dynamic(state)) is not None]
        return Context(
            nodes=nodes,
            scalars=scalars.float(),
            mask=self.mask(state),
            dynamic=torch.cat(changing, -1) if changing else None,
        )

    def check(
        self, instance: TensorDict, routes: Sequence[Route | Sequence[int]]
    ) -> list[Violation]:
        """
        Every broken rule of finished routes; none means feasible.

        Walks plain routes with plain numbers and shares no code with the mask. ``instance`` has
        batch size 1; routes may be lists of nodes, see `Visits.as_routes`.
        """
        routes = self.visits.as_routes(instance, routes)
        found = self.visits.violations(instance, routes)
        for rule in self.constraints:
            found += rule.violations(instance, routes)
        return found + missing_ways(instance, routes)

    def require(self, instance: TensorDict) -> None:
        """
        Whether instances have all the attributes that the problem's rules read.

        Raises
        ------
        InputError
            One is absent.
        """
        for part in self.components:
            for name in part.reads:
                if name not in instance.keys():
                    rule = type(part).__name__
                    raise InputError(f"instance: {name} is absent, expected for the rule {rule}")

    def impossible(self, instance: TensorDict) -> list[Violation]:
        """
        Why an instance (batch size 1) has no solution, by rule and node, before any solver.

        Raises
        ------
        InputError
            An attribute is absent, see `require`.
        """
        self.require(instance)
        found = [reason for rule in self.constraints for reason in rule.impossible(instance)]
        # A customer that no vehicle can serve is no obstacle where it may be left out.
        if not self.visits.optional and not found:
            found = unreachable(instance, self.visits.num_depots and self.visits.depots(instance))
            found = found or unservable_customers(instance, self.constraints)
            found = found or too_much(instance, self.constraints)
        return found

    def routes_cost(self, instance: TensorDict, routes: Sequence[Route | Sequence[int]]) -> float:
        """Cost of finished routes in double precision; ``instance`` has batch size 1."""
        routes = self.visits.as_routes(instance, routes)
        return self.objective.routes_cost(instance, routes)


def _lifted(strict: Tensor, mask: Tensor) -> Tensor:
    """The stricter mask, where it leaves a move."""
    return torch.where(strict.any(-1, keepdim=True), strict, mask)
