"""Training: Lightning modules, baselines and data for `nco fit`."""

from nco.training.data import Generated, Solved
from nco.training.imitation import Imitation
from nco.training.module import RoutingModule
from nco.training.stream import Stream

__all__ = ["Generated", "Imitation", "RoutingModule", "Solved", "Stream"]
