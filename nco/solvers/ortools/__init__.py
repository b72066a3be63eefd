"""OR-Tools' routing library, with a model of every rule that it can express."""

from nco.solvers.ortools.solver import ORTools

__all__ = ["ORTools"]
