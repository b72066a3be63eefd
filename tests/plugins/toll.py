"""Every route pays a toll: an objective from outside, by registration alone."""

from nco.data.generators.attributes import Attribute, Demands
from nco.data.generators.base import uniform
from nco.data.generators.variants import VariantGenerator
from nco.data.instance import Field
from nco.envs import DepotRoutes, Objective, Problem, RoutingEnv
from nco.envs.constraints import Capacity
from nco.envs.objectives import Distance
from nco.envs.objectives.fleet_cost import departures
from nco.plugins import register


class Toll(Objective):
    """The distance, and ``toll [B]`` for each route."""

    reads = ("toll",)
    additive = True
    reversible = True

    def cost(self, instance, visits, actions):
        routes = departures(instance, visits.legs(instance, actions)).sum(-1)
        return Distance().cost(instance, visits, actions) + routes * instance["toll"].unsqueeze(-1)

    def routes_cost(self, instance, routes):
        used = sum(1 for route in routes if route.visits)
        return Distance().routes_cost(instance, routes) + used * float(instance["toll"][0])


class Tolls(Attribute):
    """Uniform in [0, 2)."""

    def __call__(self, instance, rng):
        return {"toll": uniform(0, 2, (len(instance),), rng)}


def costs(found, instance, objective, weight):
    """For OR-Tools and PyVRP: legs cost their length, and vehicles the toll."""
    found.distance += weight
    found.fixed += weight * float(instance["toll"][0])


register.field("toll", Field((), False, "price of each route", 0, role="reward"))
register.objective(Toll, costs)
register.problem(
    "toll",
    Problem(
        "the CVRP with a toll for each route",
        lambda: RoutingEnv(DepotRoutes(), [Capacity()], Toll()),
        lambda size: VariantGenerator(size, [Demands(12), Tolls()]),
    ),
)
