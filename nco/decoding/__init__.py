"""Decoding: strategies pick nodes, rollouts drive environments, searches find solutions."""

from nco.decoding.beam import Beam
from nco.decoding.rollout import Rollouts, replay, rollout
from nco.decoding.search import Augment, MultiStart, Search, Single, dihedral
from nco.decoding.strategies import Greedy, Sampling, Strategy

__all__ = [
    "Augment",
    "Beam",
    "Greedy",
    "MultiStart",
    "Rollouts",
    "Sampling",
    "Search",
    "Single",
    "Strategy",
    "dihedral",
    "replay",
    "rollout",
]
