"""Decoding: strategies pick nodes, rollouts drive environments, searches find solutions."""

from nco.decoding.active_search import ActiveSearch
from nco.decoding.beam import Beam
from nco.decoding.factory import Decode, make_search
from nco.decoding.reconstruction import Reconstruction
from nco.decoding.rollout import OutOfTime, Rollouts, replay, rollout
from nco.decoding.search import Augment, MultiStart, Search, Single, dihedral
from nco.decoding.sgbs import SimulationGuided
from nco.decoding.strategies import Greedy, Sampling, Strategy

__all__ = [
    "ActiveSearch",
    "Augment",
    "Beam",
    "Decode",
    "Greedy",
    "MultiStart",
    "OutOfTime",
    "Reconstruction",
    "Rollouts",
    "Sampling",
    "Search",
    "SimulationGuided",
    "Single",
    "Strategy",
    "dihedral",
    "make_search",
    "replay",
    "rollout",
]
