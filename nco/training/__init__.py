"""Training: Lightning modules, baselines and data for `nco fit`."""

from nco.training.baselines import (
    Baseline,
    Critic,
    Exponential,
    GreedyRollout,
    NoBaseline,
    RolloutMean,
)
from nco.training.checkpoints import Checkpoints
from nco.training.data import Generated, Solved
from nco.training.imitation import Imitation
from nco.training.logger import RunLogger
from nco.training.module import RoutingModule
from nco.training.reinforce import REINFORCE
from nco.training.scales import CostScale, OwnMean, VariantMean
from nco.training.stream import Stream
from nco.training.throughput import Throughput
from nco.training.trainer import Trainer

__all__ = [
    "REINFORCE",
    "Baseline",
    "Checkpoints",
    "CostScale",
    "Critic",
    "Exponential",
    "Generated",
    "GreedyRollout",
    "Imitation",
    "NoBaseline",
    "OwnMean",
    "RolloutMean",
    "RoutingModule",
    "RunLogger",
    "Solved",
    "Stream",
    "Throughput",
    "Trainer",
    "VariantMean",
]
