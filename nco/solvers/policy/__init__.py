"""The solver that is a learned policy, decoded."""

from nco.solvers.policy.solver import PolicySolver

__all__ = ["PolicySolver"]
