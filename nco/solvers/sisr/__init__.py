"""Slack induction by string removals: a search engine of the package's own."""

from nco.solvers.sisr.solver import Sisr

__all__ = ["Sisr"]
