"""What routing problems minimise, one a file."""

from nco.envs.objectives.distance import Distance

__all__ = ["Distance"]
