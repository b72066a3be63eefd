"""What routing problems minimise, one a file."""

from nco.envs.objectives.distance import Distance
from nco.envs.objectives.penalty import Penalty
from nco.envs.objectives.prize import Prize
from nco.envs.objectives.total import Total

__all__ = ["Distance", "Penalty", "Prize", "Total"]
