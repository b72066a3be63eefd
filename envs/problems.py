"""The named problems: a table of compositions. A new problem is one more row."""

from collections.abc import Callable
from dataclasses import dataclass

from nco.data.errors import InputError
from nco.envs.constraints import Capacity
from nco.envs.env import RoutingEnv
from nco.envs.visits import DepotRoutes, Tour


@dataclass(frozen=True)
class Problem:
    """
    One row of the table.

    Parameters
    ----------
    summary
        What is asked, in one line.
    build
        Composes the environment.
    """

    summary: str
    build: Callable[[], RoutingEnv]


PROBLEMS: dict[str, Problem] = {
    "tsp": Problem(
        "shortest closed tour through all nodes",
        lambda: RoutingEnv(Tour()),
    ),
    "cvrp": Problem(
        "shortest routes from one depot that serve every demand within the capacity",
        lambda: RoutingEnv(DepotRoutes(), [Capacity()]),
    ),
}


def problem(name: str) -> RoutingEnv:
    """
    The environment of a named problem.

    Parameters
    ----------
    name
        A name of the table `PROBLEMS`.

    Raises
    ------
    InputError
        The name is not in the table.
    """
    if name not in PROBLEMS:
        raise InputError(f"problem {name!r} is unknown, expected one of {', '.join(PROBLEMS)}")
    return PROBLEMS[name].build()
