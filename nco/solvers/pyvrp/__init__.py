"""PyVRP, with a model of every rule that it can express."""

from nco.solvers.pyvrp.solver import PyVRP, expresses

__all__ = ["PyVRP", "expresses"]
