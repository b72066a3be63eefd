"""Lengths and times with shipments aboard: a route can only end after all their deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots, num_nodes
from nco.envs.constraints.pickup_delivery import deliveries
from nco.envs.resources.resource import Amounts, Move, Resource, to_one
from nco.envs.resources.travel import column, row, single
from nco.envs.state import State

NO_NODE = -1


@dataclass(frozen=True)
class Progress:
    """
    Partial routes: the amounts of every resource, and whether all was possible so far.

    Parameters
    ----------
    amounts
        One entry a resource, each ``[B, R, X or 1]``.
    fits
        ``[B, R, X]`` bool.
    """

    amounts: tuple[Amounts, ...]
    fits: Tensor

    def better(self, other: "Progress") -> "Progress":
        """Of two, the one that is possible, and the earlier one if both are."""
        mine, others = self.amounts[0][0], other.amounts[0][0]
        take = self.fits & ~(other.fits & (others < mine))
        amounts = tuple(
            tuple(torch.where(take, a, b) for a, b in zip(own, alien, strict=True))
            for own, alien in zip(self.amounts, other.amounts, strict=True)
        )
        return Progress(amounts, self.fits | other.fits)


class LookAhead:
    """
    Tests that the deliveries of all shipments aboard can be made in time, and then the way home.

    Whether some order of k deliveries keeps all windows is a travelling salesman problem. Every
    rollout keeps one order that does, its *plan*. A move is allowed if the rest of the plan is
    still possible after it: a delivery may be made out of its turn, a pickup needs a place in the
    plan for its own delivery. Following the plan is always possible, so no rollout gets stuck.

    Orders other than the plan's are tried by exchanging its first two deliveries if there are just
    two (left, in the case of a delivery). So with one bounded resource, and where distances or
    times obey the triangle inequality, nothing possible is forbidden as long as no more than three
    shipments are aboard; beyond, orders may be missed that need the plan to be reordered. Of two
    resources the first one settles which place in the plan is best.

    Parameters
    ----------
    resources
        What is bounded.
    aboard
        Shipments that may be aboard at the same time.
    """

    def __init__(self, resources: Sequence[Resource], aboard: int):
        self.resources, self.aboard = tuple(resources), aboard

    def tables(self, instance: TensorDict) -> dict[str, Tensor]:
        """``stops [B, C]``: the customers that are no deliveries, -1 behind the last."""
        depots = num_depots(instance)
        stop = ~deliveries(instance)
        stop[:, :depots] = False
        count = int(stop.sum(-1).amax()) if stop.numel() else 0  # once a reset, not once a step
        order = stop.int().argsort(dim=-1, descending=True, stable=True)[:, :count]
        return {"stops": torch.where(stop.gather(1, order), order, NO_NODE)}

    def reset(self, instance: TensorDict, rollouts: int) -> dict[str, Tensor]:
        """``plan [B, R, K]``: the deliveries to make, in order, -1 behind the last."""
        shape = (len(instance), rollouts, self._slots(instance))
        return {"plan": torch.full(shape, NO_NODE, device=instance["delivery"].device)}

    def _slots(self, instance: TensorDict) -> int:
        pairs = (num_nodes(instance) - num_depots(instance)) // 2
        light = instance.get("shipment", None)
        if light is not None and "capacity" in instance.keys():
            heavy = torch.where(light > 0, light, instance["capacity"].amax())
            pairs = min(pairs, int((instance["capacity"].amax() // heavy.amin()).clamp_min(1)))
        return max(1, min(self.aboard, pairs))

    def feasible(self, state: State) -> Tensor:
        """Nodes after which the route can still be ended, ``[B, R, N]`` bool."""
        plan = state.parts["plan"]
        fits = torch.zeros_like(state.visited)
        fits[..., : num_depots(state.instance)] = True
        due = self._deliveries(state, plan)
        fits = _mark(fits, plan, due)
        stops = state.tables["stops"].unsqueeze(1).expand(-1, plan.shape[1], -1)
        return _mark(fits, stops, self._stops(state, plan))

    def _deliveries(self, state: State, plan: Tensor) -> Tensor:
        """Which deliveries of the plan may be next, ``[B, R, K]`` bool."""
        slots = torch.arange(plan.shape[-1], device=plan.device)
        rest = slots[:-1] + (slots[:-1] >= slots.unsqueeze(-1))  # [K, K - 1]: the others in order
        orders = [torch.cat([slots.unsqueeze(-1), rest], -1)]
        if len(slots) == 3:
            orders.append(orders[0][:, [0, 2, 1]])
        elif len(slots) > 3:
            orders.append(orders[0][:, [0, 2, 1, *range(3, len(slots))]])
        planned = (plan >= 0).sum(-1, keepdim=True)
        fits = torch.zeros_like(plan, dtype=torch.bool)
        for number, order in enumerate(orders):
            sequence = plan[..., order]  # [B, R, K, K]
            possible = self._drive(state, self._now(state), state.current, sequence).fits
            # The exchange is one of deliveries, not of a delivery and nothing.
            fits = fits | (possible & (planned >= 3) if number else possible)
        return fits

    def _now(self, state: State) -> Progress:
        amounts = tuple(rule.now(state) for rule in self.resources)
        here = torch.ones_like(state.current, dtype=torch.bool).unsqueeze(-1)
        return Progress(amounts, here)

    def _drive(
        self, state: State, progress: Progress, origin: Tensor, sequence: Tensor
    ) -> Progress:
        """
        Drives from ``origin [B, R]`` through ``sequence [B, R, X, L]`` (-1: nothing) and home.
        """
        at = origin.unsqueeze(-1).expand(sequence.shape[:-1])
        for target in sequence.unbind(-1):
            there = target.clamp_min(0)
            after = self._extend(state, progress, _between(state, at, there))
            nothing = target < 0
            progress = _where(nothing, progress, after)
            at = torch.where(nothing, at, there)
        home = state.first.clamp_min(0).unsqueeze(-1).expand_as(at)
        return self._end(state, progress, _between(state, at, home))

    def _extend(self, state: State, progress: Progress, move: Move) -> Progress:
        fits, amounts = progress.fits, []
        for rule, before in zip(self.resources, progress.amounts, strict=True):
            after, possible = rule.extend(state, before, move)
            amounts.append(after)
            fits = fits & possible
        return Progress(tuple(amounts), fits)

    def _end(self, state: State, progress: Progress, move: Move) -> Progress:
        fits = progress.fits
        for rule, amounts in zip(self.resources, progress.amounts, strict=True):
            fits = fits & rule.may_end(state, amounts, move)
        return Progress(progress.amounts, fits)

    def _stops(self, state: State, plan: Tensor) -> Tensor:
        """Which customers that are no deliveries may be next, ``[B, R, C]`` bool."""
        stops = state.tables["stops"].clamp_min(0)
        reached = self._extend(state, self._now(state), _towards(state, state.current, stops))
        fits = self._insert(state, plan, stops, reached)
        if plan.shape[-1] > 1:
            swapped = plan[..., [1, 0]]
            both = (plan >= 0).sum(-1) == 2
            fits = fits | (self._insert(state, swapped, stops, reached) & both.unsqueeze(-1))
        full = (plan >= 0).all(-1).unsqueeze(-1)
        paired = (state.instance["delivery"].gather(1, stops) > 0).unsqueeze(1)
        return fits & ~(full & paired)

    def _insert(self, state: State, plan: Tensor, stops: Tensor, reached: Progress) -> Tensor:
        """
        Whether the plan is possible after each stop, its own delivery at the best place in it.

        ``stops [B, C]`` are the candidates, where `reached` ends; ``[B, R, C]`` bool. Two routes
        are followed through the plan at once: one where the delivery is still to come, and the
        best one where it was made.
        """
        own = state.instance["delivery"].gather(1, stops)
        paired = (own > 0).unsqueeze(1)
        home = state.first.clamp_min(0)
        without, done = reached, Progress(reached.amounts, torch.zeros_like(reached.fits))
        result = torch.zeros_like(reached.fits)
        length = (plan >= 0).sum(-1, keepdim=True)
        for i in range(plan.shape[-1] + 1):
            before = plan[..., i - 1].clamp_min(0) if i else None
            made = self._extend(state, without, _aside(state, before, stops, own))
            # Those whose plan ends here go home.
            from_plan = _onward(state, before, home, stops)
            ended = self._end(state, made, _back(state, own, home)).fits
            ended = ended | self._end(state, done, from_plan).fits
            plainly = self._end(state, without, from_plan).fits
            result = torch.where(length == i, torch.where(paired, ended, plainly), result)
            if i < plan.shape[-1]:
                target = plan[..., i].clamp_min(0)
                onward = _onward(state, before, target, stops)
                late = self._extend(state, made, _back(state, own, target))
                done = self._extend(state, done, onward).better(late)
                without = self._extend(state, without, onward)
        return result

    def update(self, state: State, action: Tensor) -> dict[str, Tensor]:
        """The plan after moving to ``action [B, R]``: the best of those that are possible."""
        plan = state.parts["plan"]
        slots = torch.arange(plan.shape[-1] + 1, device=plan.device)
        longer = torch.cat([plan, torch.full_like(plan[..., :1], NO_NODE)], -1)  # [B, R, K + 1]
        made = (longer == action.unsqueeze(-1)) & (longer >= 0)
        skip = (made.cumsum(-1) > 0).long()[..., :-1]
        rest = longer.gather(-1, slots[:-1] + skip)  # the plan without what is delivered now
        left = (rest >= 0).sum(-1, keepdim=True)
        own = state.instance["delivery"].gather(1, action)
        new = torch.where(own > 0, own, NO_NODE).unsqueeze(-1)
        # Places 0 ... K for the new delivery, in the plan and with its first two exchanged.
        places = torch.where(slots < slots.unsqueeze(-1), slots, slots - 1)  # [K + 1, K + 1]
        places = torch.where(slots == slots.unsqueeze(-1), len(slots) - 1, places)
        exchanged = rest[..., [1, 0, *range(2, len(slots) - 1)]] if len(slots) > 2 else rest
        orders = [torch.cat([value, new], -1)[..., places] for value in (rest, exchanged)]
        sequence = torch.cat(orders, -2)  # [B, R, 2 (K + 1), K + 1]
        allowed = slots <= left
        allowed = torch.where(new < 0, slots == left, allowed)  # nothing new: at the end
        allowed = torch.cat([allowed, allowed & (left >= 2)], -1)
        here = self._extend(state, self._now(state), to_one(state, state.current, action))
        driven = self._drive(state, here, action, sequence)
        end = driven.amounts[0][0]
        end = torch.where(driven.fits & allowed, end, torch.inf)
        best = end.argmin(-1)[..., None, None].expand(-1, -1, 1, len(slots))
        chosen = sequence.gather(-2, best).squeeze(-2)[..., :-1]
        ends = (action < num_depots(state.instance)).unsqueeze(-1)
        return {"plan": torch.where(ends, NO_NODE, chosen)}


def _where(condition: Tensor, yes: Progress, no: Progress) -> Progress:
    amounts = tuple(
        tuple(torch.where(condition, a, b) for a, b in zip(first, second, strict=True))
        for first, second in zip(yes.amounts, no.amounts, strict=True)
    )
    return Progress(amounts, torch.where(condition, yes.fits, no.fits))


def _mark(fits: Tensor, nodes: Tensor, values: Tensor) -> Tensor:
    """``fits [B, R, N]`` with the values of some nodes ``[B, R, X]`` (-1: none) put in."""
    width = fits.shape[-1]
    wider = torch.cat([fits, torch.zeros_like(fits[..., :1])], -1)
    return wider.scatter(-1, torch.where(nodes < 0, width, nodes), values)[..., :width]


def _at(nodes: Tensor, value: Tensor) -> Tensor:
    """Entries of ``value [B, N]`` at ``nodes [B, R, X]``."""
    return value.gather(1, nodes.flatten(1)).view(nodes.shape)


def _between(state: State, origin: Tensor, target: Tensor) -> Move:
    """Moves between single nodes, each ``[B, R, X]``."""
    return Move(lambda kind: single(state, kind, origin, target), lambda value: _at(target, value))


def _towards(state: State, origin: Tensor, stops: Tensor) -> Move:
    """From ``origin [B, R]`` to every stop ``[B, C]``."""
    return Move(
        lambda kind: _columns(row(state, kind, origin), stops),
        lambda value: value.gather(1, stops).unsqueeze(1),
    )


def _aside(state: State, before: Tensor | None, stops: Tensor, own: Tensor) -> Move:
    """From ``before [B, R]``, or from each stop itself, to the delivery of each stop ``[B, C]``."""
    if before is None:
        return Move(
            lambda kind: single(state, kind, stops, own).unsqueeze(1),
            lambda value: value.gather(1, own).unsqueeze(1),
        )
    return _towards(state, before, own)


def _onward(state: State, before: Tensor | None, target: Tensor, stops: Tensor) -> Move:
    """From ``before [B, R]``, or from each stop ``[B, C]``, to ``target [B, R]``."""
    if before is None:
        return _back(state, stops, target)
    return to_one(state, before, target)


def _back(state: State, origins: Tensor, target: Tensor) -> Move:
    """From each of ``origins [B, C]`` to ``target [B, R]``."""
    return Move(
        lambda kind: _columns(column(state, kind, target), origins),
        lambda value: value.gather(1, target).unsqueeze(-1),
    )


def _columns(value: Tensor, nodes: Tensor) -> Tensor:
    """Columns ``nodes [B, C]`` of ``value [B, R, N]``."""
    return value.gather(-1, nodes.unsqueeze(1).expand(-1, value.shape[1], -1))
