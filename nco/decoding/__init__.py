"""Decoding: strategies pick nodes, rollouts drive environments, searches find solutions."""

from nco.decoding.beam import Beam
from nco.decoding.options import Decode, make_search
from nco.decoding.rollout import OutOfTime, Rollouts, replay, rollout
from nco.decoding.search import Augment, MultiStart, Search, Single, dihedral
from nco.decoding.strategies import Greedy, Sampling, Strategy

__all__ = [
    "Augment",
    "Beam",
    "Decode",
    "Greedy",
    "MultiStart",
    "OutOfTime",
    "Rollouts",
    "Sampling",
    "Search",
    "Single",
    "Strategy",
    "dihedral",
    "make_search",
    "replay",
    "rollout",
]
