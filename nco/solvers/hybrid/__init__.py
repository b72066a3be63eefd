"""The default solver: a policy proposes, classical search improves, on all cores at once."""

from nco.solvers.hybrid.solver import Hybrid

__all__ = ["Hybrid"]
