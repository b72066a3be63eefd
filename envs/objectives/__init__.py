"""What routing problems minimise, one a file."""

from nco.envs.objectives.distance import Distance
from nco.envs.objectives.duration import Duration, Makespan
from nco.envs.objectives.fleet_cost import FleetCost
from nco.envs.objectives.penalty import Penalty
from nco.envs.objectives.preference import Preference
from nco.envs.objectives.prize import Prize
from nco.envs.objectives.total import Total
from nco.envs.objectives.vehicles_first import VehiclesFirst

__all__ = [
    "Distance",
    "Duration",
    "FleetCost",
    "Makespan",
    "Penalty",
    "Preference",
    "Prize",
    "Total",
    "VehiclesFirst",
]
