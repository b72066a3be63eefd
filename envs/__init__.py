"""The problems: visits, constraints and objectives, and the environment that composes them."""

from nco.envs.base import (
    Constraint,
    Context,
    Features,
    FeatureSpec,
    Objective,
    State,
    Visits,
)
from nco.envs.env import RoutingEnv
from nco.envs.fleet_routes import FleetRoutes
from nco.envs.optional_tour import OptionalTour
from nco.envs.problems import PROBLEMS, Problem, problem, row_of
from nco.envs.routes import Route, Violation
from nco.envs.split_routes import SplitRoutes
from nco.envs.visits import DepotRoutes, Tour
from nco.envs.walk import Walk, walk

__all__ = [
    "PROBLEMS",
    "Constraint",
    "Context",
    "DepotRoutes",
    "FeatureSpec",
    "Features",
    "FleetRoutes",
    "Objective",
    "OptionalTour",
    "Problem",
    "Route",
    "RoutingEnv",
    "SplitRoutes",
    "State",
    "Tour",
    "Violation",
    "Visits",
    "Walk",
    "problem",
    "row_of",
    "walk",
]
