"""The networks: encoders, decoders, one file per architecture."""

from nco.policies.attention import AttentionPolicy
from nco.policies.base import NativeRollout, OutOfTime, Plan, Policy, Trajectory
from nco.policies.dynamic_decoder import ForesightPolicy
from nco.policies.pointer_network import PointerNetwork

__all__ = [
    "AttentionPolicy",
    "ForesightPolicy",
    "NativeRollout",
    "OutOfTime",
    "Plan",
    "PointerNetwork",
    "Policy",
    "Trajectory",
]
