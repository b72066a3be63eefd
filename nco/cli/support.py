"""What supports what: asked of the solvers, or tried."""

from collections.abc import Callable

from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.envs import RoutingEnv
from nco.envs.problems.table import PROBLEMS
from nco.hub.released import known_policies, shipped_policy
from nco.solvers.registry import SOLVERS

CUSTOMERS = 5
TIME_LIMIT = 0.2
Refusals = dict[str, str | None]


def asked(name: str, seed: int = 0, progress: Callable[[], None] = lambda: None) -> Refusals:
    """
    Which solvers can express a problem: those that make a model of a small instance of it.

    Parameters
    ----------
    name
        Of the problem.
    seed
        Of the instance, and of what is drawn in solving.
    progress
        Called after each solver.

    Returns
    -------
    dict
        For each solver None if it can, else the reason.
    """
    env, instance = _small(name, seed)
    found: Refusals = {}
    for solver, entry in SOLVERS.items():
        try:
            entry.build().require(env, instance)
            found[solver] = None
        except InputError as error:
            found[solver] = str(error)
        progress()
    return found


def tried(name: str, seed: int = 0, progress: Callable[[], None] = lambda: None) -> Refusals:
    """
    Which solvers solve a small instance of a problem, such that the checker accepts it.

    See `asked` for parameters and result.
    """
    env, instance = _small(name, seed)
    found: Refusals = {}
    for solver, entry in SOLVERS.items():
        try:
            solution = entry.build().solve(env, instance, TIME_LIMIT, seed)
            found[solver] = None if solution.feasible else solution.violations[0].message
        except InputError as error:
            found[solver] = str(error)
        progress()
    return found


def policies_of(env: RoutingEnv) -> list[str]:
    """Names of the shipped policies that support a problem."""
    found = []
    for name in known_policies():
        try:
            shipped_policy(name).require(env)
        except InputError:
            continue
        found.append(name)
    return found


def _small(name: str, seed: int) -> tuple[RoutingEnv, TensorDict]:
    instance = PROBLEMS[name].generator(CUSTOMERS)(1, seeded(seed))
    return PROBLEMS[name].build(), instance
