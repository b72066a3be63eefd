"""The solvers by the name that a person types. A new solver is one more row."""

from collections.abc import Callable
from dataclasses import dataclass

from nco.data.errors import InputError
from nco.solvers.base import Solver
from nco.solvers.fast_tsp import FastTSP
from nco.solvers.hybrid import Hybrid
from nco.solvers.ortools import ORTools
from nco.solvers.policy.solver import PolicySolver
from nco.solvers.pyvrp import PyVRP


@dataclass(frozen=True)
class SolverEntry:
    """
    One row of the table.

    Parameters
    ----------
    summary
        What it does, in one line.
    build
        Makes the solver; its parameters are the solver's settings.
    decodes
        Whether it decodes a policy: then ``build`` takes policy, search and device.
    """

    summary: str
    build: Callable[..., Solver]
    decodes: bool = False


SOLVERS: dict[str, SolverEntry] = {
    "hybrid": SolverEntry(
        "a policy proposes, classical search improves on all cores", Hybrid, decodes=True
    ),
    "policy": SolverEntry("a learned policy, decoded", PolicySolver, decodes=True),
    "ortools": SolverEntry("OR-Tools' routing library, guided local search", ORTools),
    "pyvrp": SolverEntry("PyVRP, iterated local search of the HGS family", PyVRP),
    "fast-tsp": SolverEntry("fast-tsp, local search for the symmetric TSP", FastTSP),
}


def find_solver(name: str) -> SolverEntry:
    """
    The row of a solver.

    Parameters
    ----------
    name
        A name of the table `SOLVERS`.

    Raises
    ------
    InputError
        The name is not in the table.
    """
    if name not in SOLVERS:
        raise InputError(f"solver {name!r} is unknown, expected one of {', '.join(SOLVERS)}")
    return SOLVERS[name]
