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
from nco.envs.problems import PROBLEMS, Problem, problem
from nco.envs.routes import Route, Violation
from nco.envs.visits import DepotRoutes, Tour

__all__ = [
    "PROBLEMS",
    "Constraint",
    "Context",
    "DepotRoutes",
    "FeatureSpec",
    "Features",
    "Objective",
    "Problem",
    "Route",
    "RoutingEnv",
    "State",
    "Tour",
    "Violation",
    "Visits",
    "problem",
]
