"""A route visits at most so many customers: a rule from outside, by registration alone."""

from nco.data.generators.attributes import Attribute, Demands
from nco.data.generators.base import integers
from nco.data.instance import Field, num_depots
from nco.envs import Constraint, Violation, composed
from nco.envs.checking.view import InstanceView
from nco.envs.constraint import always
from nco.envs.resources.travel import at_depot, of_vehicle
from nco.plugins import register


class StopLimit(Constraint):
    """
    A route visits at most ``stop_limit [B]`` or ``[B, V]`` customers.

    State: ``stops [B, R]``, visits since the depot. Feature: the share of visits left.
    """

    reads = stated_by = ("stop_limit",)
    scope = "route"
    context_dim = 1

    def reversible_on(self, instance):
        return always(instance)

    def reset(self, instance, rollouts):
        return {"stops": instance["stop_limit"].new_zeros(len(instance), rollouts)}

    def feasible(self, state):
        room = state.parts["stops"] < of_vehicle(state, "stop_limit")
        fits = room.unsqueeze(-1).repeat(1, 1, state.visited.shape[-1])
        fits[..., : num_depots(state.instance)] = True
        return fits

    def update(self, state, action):
        return {"stops": (state.parts["stops"] + 1).masked_fill(at_depot(state, action), 0)}

    def context(self, state):
        limit = of_vehicle(state, "stop_limit").clamp_min(1)
        return (1 - state.parts["stops"] / limit).unsqueeze(-1).float()

    def violations(self, instance, routes):
        plain, found = InstanceView(instance), []
        for k, route in plain.known(routes):
            stops, limit = len(route.visits), plain.of_vehicle("stop_limit", route.vehicle)
            if stops > limit:
                found.append(Violation("stop limit", f"{stops} stops, limit {limit}", route=k))
        return found

    def refuses(self, plain, route):
        stops, limit = len(route.visits), plain.of_vehicle("stop_limit", route.vehicle)
        return Violation("stop limit", f"{stops} stops, limit {limit}") if stops > limit else None


class StopLimits(Attribute):
    """One limit for each instance, uniform in 2..5."""

    def __call__(self, instance, rng):
        return {"stop_limit": integers(2, 5, (len(instance),), rng)}


def terms(given, rule):
    """For OR-Tools and PyVRP: every customer is a load of one."""
    each = [int(node in given.shape.customers) for node in range(len(given.distance))]
    yield given.load("stops", each, given.of_vehicles("stop_limit"))


register.field(
    "stop_limit",
    Field((), True, "customers that a route may visit", 2**24, per_vehicle=True, vroom="max_tasks"),
)
register.rule(StopLimit, ortools=terms, pyvrp=terms)
stated = {"demand", "capacity", "stop_limit"}
register.problem("stops", composed("CVRP with few stops", stated, Demands(), StopLimits()))
