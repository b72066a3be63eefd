"""What supports what, found out by asking: solvers solve a small instance of every problem."""

from collections.abc import Callable

from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.envs import RoutingEnv
from nco.envs.problems.table import PROBLEMS
from nco.hub.released import shipped, shipped_policy
from nco.solvers.registry import SOLVERS

CUSTOMERS = 5
TIME_LIMIT = 0.05


def solvers_of(
    name: str, seed: int = 0, progress: Callable[[], None] = lambda: None
) -> dict[str, str | None]:
    """
    Which solvers solve a problem.

    Parameters
    ----------
    name
        Of the problem.
    seed
        Of the instance and the solvers.
    progress
        Called after each solver.

    Returns
    -------
    dict
        For each solver None if it found a solution that the checker accepts, else the reason.
    """
    found: dict[str, str | None] = {}
    env = PROBLEMS[name].build()
    instance = PROBLEMS[name].generator(CUSTOMERS)(1, seeded(seed))
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
    for name in shipped():
        try:
            shipped_policy(name).require(env)
        except InputError:
            continue
        found.append(name)
    return found
