"""
Registration: what a package from outside adds, as if it were one of this house.

A plug-in is a module that calls the functions of `register` when it is imported. An installed
package names it in the entry point group ``nco.plugins``::

    [project.entry-points."nco.plugins"]
    my-rules = "my_package.rules"

and is found when a table is first read; ``load`` imports one that is not installed. Nothing heavy
is imported here: each function imports the table that it adds to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nco.data.registry import import_plugin as load
from nco.data.registry import load_plugins, scratch

if TYPE_CHECKING:
    from nco.data.formats import Format
    from nco.data.instance import Field
    from nco.envs import Constraint, Objective, Problem
    from nco.hub.released import Released
    from nco.solvers.base import Solver
    from nco.solvers.model.costs import CostRow
    from nco.solvers.model.terms import TermRow

__all__ = ["load", "load_plugins", "register", "scratch"]


class register:
    """Adds a row to a table. A second one of the same name is an `InputError`."""

    @staticmethod
    def field(name: str, field: Field) -> None:
        """An attribute of instances; readers of JSON take it, and of VROOM by `Field.vroom`."""
        from nco.data.instance import SCHEMA

        SCHEMA[name] = field

    @staticmethod
    def rule(kind: type[Constraint], **solvers: TermRow) -> None:
        """
        A rule, which problems are composed of where instances ask for it (`Constraint.asked`).

        Parameters
        ----------
        kind
            Its class.
        solvers
            For each classical solver that can express it, ``ortools=`` or ``pyvrp=``, what gives
            the terms of a model for it: see `nco.solvers.model.terms`.
        """
        from nco.envs.problems.compose import RULES
        from nco.solvers.model.terms import ROWS

        RULES[kind.__name__] = kind
        for solver, row in solvers.items():
            ROWS[solver][kind] = row

    @staticmethod
    def objective(kind: type[Objective], costs: CostRow | None = None) -> None:
        """
        An objective.

        Parameters
        ----------
        kind
            Its class.
        costs
            What adds it to the costs of a classical solver: see `nco.solvers.model.costs`.
        """
        from nco.solvers.model.costs import SUMS

        if costs is not None:
            SUMS[kind] = costs

    @staticmethod
    def problem(name: str, row: Problem) -> None:
        """A problem by name."""
        from nco.envs.problems.table import PROBLEMS

        PROBLEMS[name] = row

    @staticmethod
    def policy(name: str, make: Callable[[], Released]) -> None:
        """A policy by name, made or loaded when it is asked for."""
        from nco.hub.released import POLICIES

        POLICIES[name] = make

    @staticmethod
    def solver(
        name: str, summary: str, build: Callable[..., Solver], settings: tuple[str, ...] = ()
    ) -> None:
        """A solver by name: see `nco.solvers.registry.SolverEntry`."""
        from nco.solvers.registry import SOLVERS, SolverEntry

        SOLVERS[name] = SolverEntry(summary, build, settings)

    @staticmethod
    def format(row: Format) -> None:
        """A file format. Where suffixes are shared, it is asked before those of this house."""
        from nco.data.formats.registry import FORMATS

        FORMATS[row.name] = row
