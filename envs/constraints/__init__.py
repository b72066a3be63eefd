"""The rules of routing problems, one a file."""

from nco.envs.constraints.capacity import Capacity
from nco.envs.constraints.distance_limit import DistanceLimit
from nco.envs.constraints.minimum_prize import MinimumPrize
from nco.envs.constraints.single_precision import (
    SinglePrecisionCapacity,
    SinglePrecisionSplitCapacity,
)
from nco.envs.constraints.split_capacity import SplitCapacity

__all__ = [
    "Capacity",
    "DistanceLimit",
    "MinimumPrize",
    "SinglePrecisionCapacity",
    "SinglePrecisionSplitCapacity",
    "SplitCapacity",
]
