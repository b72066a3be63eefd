"""The rules of routing problems, one a file."""

from nco.envs.constraints.capacity import Capacity

__all__ = ["Capacity"]
