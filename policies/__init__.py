"""The networks: encoders, decoders, one file per architecture."""

from nco.policies.attention import AttentionPolicy
from nco.policies.base import Policy, Trajectory

__all__ = ["AttentionPolicy", "Policy", "Trajectory"]
