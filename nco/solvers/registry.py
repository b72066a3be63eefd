"""The solvers by the name that a person types. A new solver is one more row."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from nco.data.errors import InputError
from nco.data.registry import Registry

if TYPE_CHECKING:
    from nco.solvers.base import Solver


@dataclass(frozen=True)
class SolverEntry:
    """
    One row of the table.

    Parameters
    ----------
    summary
        What it does, in one line.
    build
        Makes the solver. What the solver needs is imported then, see `on_demand`.
    settings
        Which of its parameters the command line sets, where the user asks for it.
    """

    summary: str
    build: Callable[..., "Solver"]
    settings: tuple[str, ...] = ()


def on_demand(path: str) -> Callable[..., "Solver"]:
    """
    Makes the solver of a class that is imported when the first one is made.

    Parameters
    ----------
    path
        Of the class, ``package.module.Class``.
    """
    module, _, name = path.rpartition(".")

    def build(*args: object, **settings: object) -> "Solver":
        return cast("Solver", getattr(import_module(module), name)(*args, **settings))

    return build


DECODING = ("policy", "search", "device")

_ROWS: dict[str, SolverEntry] = {
    "hybrid": SolverEntry(
        "a policy proposes, classical search improves on all cores",
        on_demand("nco.solvers.hybrid.Hybrid"),
        DECODING,
    ),
    "policy": SolverEntry(
        "a learned policy, decoded", on_demand("nco.solvers.policy.PolicySolver"), DECODING
    ),
    "sisr": SolverEntry(
        "string removals and annealing, an engine of our own", on_demand("nco.solvers.sisr.Sisr")
    ),
    "ortools": SolverEntry(
        "OR-Tools' routing library, guided local search", on_demand("nco.solvers.ortools.ORTools")
    ),
    "pyvrp": SolverEntry(
        "PyVRP, iterated local search of the HGS family", on_demand("nco.solvers.pyvrp.PyVRP")
    ),
    "fast-tsp": SolverEntry(
        "fast-tsp, local search for the symmetric TSP", on_demand("nco.solvers.fast_tsp.FastTSP")
    ),
}
SOLVERS: Registry[str, SolverEntry] = Registry("solver", _ROWS)


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
