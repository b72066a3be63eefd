"""From the terms of all rules to the plan of a model."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from nco.data.errors import InputError
from nco.solvers.model.terms import Forbidden, Given, Load, Term, Timed, Vehicles, of_kind
from nco.solvers.ortools.loads import load
from nco.solvers.ortools.model import (
    Add,
    FirstSolution,
    Model,
    Plan,
    Reloads,
    VisitAll,
    known_times,
)
from nco.solvers.ortools.times import clock


def plan(given: Given, terms: Sequence[Term]) -> Plan:
    """
    Collects the terms of all rules.

    Raises
    ------
    InputError
        One rule waits for releases, and another does not.
    """
    counts = np.full(given.kinds, given.shape.vehicles)
    for vehicles in of_kind(terms, Vehicles):
        counts = np.minimum(counts, vehicles.count)
    reloads = [np.array(term.count) for term in of_kind(terms, Reloads)]
    single = given.kinds * given.shape.vehicles == 1
    usual = FirstSolution("PATH_CHEAPEST_ARC" if single else "SAVINGS", 0)
    hints = [usual, *of_kind(terms, FirstSolution)]
    releases = {term.release for term in of_kind(terms, Timed)}
    if len(releases) > 1:
        raise InputError(
            "ortools cannot express TimeWindows, expected release times for all rules or none"
        )
    steps: list[Callable[[Model], None]] = []
    timed = False
    for term in terms:
        if isinstance(term, Add):
            steps.append(term.step)
        elif isinstance(term, Load):
            steps += load(given, term)
        elif isinstance(term, Forbidden):
            steps.append(partial(_forbid, term, len(steps)))
        elif isinstance(term, Timed) and not timed:
            timed = True
            steps.append(clock(given, term.release))
    return Plan(
        given=given,
        counts=counts,
        reloads=reloads[0] if reloads else np.zeros(given.kinds, dtype=np.int64),
        steps=tuple(steps),
        first_solution=max(hints, key=lambda hint: hint.priority).strategy,
        leave_out=given.shape.optional and not of_kind(terms, VisitAll),
        times=known_times(given, releases.pop()) if releases else None,
    )


def _forbid(term: Forbidden, number: int, model: Model) -> None:
    """A dimension that forbidden legs exceed."""
    legs = term.legs.astype(np.int64)
    free = np.zeros_like(legs)
    each = [legs if term.kind in (None, kind) else free for kind in range(model.plan.given.kinds)]
    transits, name = model.matrices(each), f"forbidden legs {number}"
    model.routing.AddDimensionWithVehicleTransits(transits, 0, 0, True, name)
