"""The problems: visits, constraints and objectives, and the environment that composes them."""

from nco.envs.checking.routes import Route, Violation
from nco.envs.constraint import Constraint
from nco.envs.env import RoutingEnv
from nco.envs.features import Context, Features, FeatureSpec
from nco.envs.native_rules import NativeRules, native_rules
from nco.envs.objective import Objective
from nco.envs.problems.problem import composed
from nco.envs.problems.table import PROBLEMS, Problem, problem, row_of
from nco.envs.state import State
from nco.envs.visits.base import Visits
from nco.envs.visits.depot_routes import DepotRoutes
from nco.envs.visits.fleet_routes import FleetRoutes
from nco.envs.visits.optional_tour import OptionalTour
from nco.envs.visits.split_routes import SplitRoutes
from nco.envs.visits.tour import Tour

__all__ = [
    "PROBLEMS",
    "Constraint",
    "Context",
    "DepotRoutes",
    "FeatureSpec",
    "Features",
    "FleetRoutes",
    "NativeRules",
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
    "composed",
    "native_rules",
    "problem",
    "row_of",
]
