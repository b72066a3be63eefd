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
from nco.training.ema import EMA
from nco.training.imitation import Imitation
from nco.training.logger import RunLogger
from nco.training.module import RoutingModule
from nco.training.reinforce import REINFORCE, Sampled
from nco.training.scales import CostScale, OwnMean, VariantMean
from nco.training.schedules import WarmupCosine
from nco.training.stream import Stream
from nco.training.throughput import Throughput
from nco.training.trainer import Trainer

__all__ = [
    "EMA",
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
    "Sampled",
    "Solved",
    "Stream",
    "Throughput",
    "Trainer",
    "VariantMean",
    "WarmupCosine",
]
