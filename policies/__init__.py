"""The networks: encoders, decoders, one file per architecture."""

from nco.policies.attention import AttentionPolicy
from nco.policies.base import Driven, OutOfTime, Plan, Policy, Trajectory
from nco.policies.foresight import ForesightPolicy
from nco.policies.pointer_network import PointerNetwork

__all__ = [
    "AttentionPolicy",
    "Driven",
    "ForesightPolicy",
    "OutOfTime",
    "Plan",
    "PointerNetwork",
    "Policy",
    "Trajectory",
]
