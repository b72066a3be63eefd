"""From a problem to the terms of a solver's model, rule by rule."""

from collections.abc import Mapping

from tensordict import TensorDict

from nco.envs import RoutingEnv
from nco.envs.objective import Objective
from nco.solvers.base import find_row
from nco.solvers.model.costs import CostRow, costs
from nco.solvers.model.missing_arcs import bridged, missing
from nco.solvers.model.terms import Forbidden, Given, Term, TermRow
from nco.solvers.model.vehicles import SHAPES


def collect(
    solver: str,
    env: RoutingEnv,
    instance: TensorDict,
    rows: Mapping[type, TermRow],
    objectives: Mapping[type[Objective], CostRow],
) -> tuple[Given, list[Term]]:
    """
    What a solver's rows look at, and the terms that they give, in the order of the rules.

    Parameters
    ----------
    solver
        Its name, for messages.
    env, instance
        The problem and one instance of it (batch size 1).
    rows, objectives
        The solver's rows of rules and of objectives.

    Raises
    ------
    InputError
        The solver cannot express a component of the problem, named in the message.
    """
    shape = find_row(SHAPES, env.visits, solver)(env.visits, instance)
    rules = [(find_row(rows, rule, solver), rule) for rule in env.constraints]
    env.require(instance)
    closed, instance = missing(instance, shape), bridged(instance)
    given = Given(
        solver=solver,
        env=env,
        instance=instance,
        shape=shape,
        costs=costs(env, instance, shape, solver, objectives),
        distance=shape.distances(instance),
    )
    terms = [term for row, rule in rules for term in row(given, rule)]
    return given, terms if closed is None else [*terms, Forbidden(closed)]
