"""The problem of instances that come without its name."""

from tensordict import TensorDict

from nco.data.errors import InputError
from nco.envs.env import RoutingEnv
from nco.envs.problems.compose import compose, says
from nco.envs.problems.table import problem


def problem_of(instance: TensorDict, name: str | RoutingEnv | None = None) -> RoutingEnv:
    """
    The problem of instances ``[B]``: by its name, or by what they state.

    Raises
    ------
    InputError
        The name is unknown, or does not go with the instance.
    """
    if isinstance(name, RoutingEnv):
        return name
    if name is not None:
        return problem(name, instance=instance)
    stated = says(instance)
    if not stated:
        return problem("tsp")
    env = compose(stated)
    for attribute in sorted(stated - {*env.reads, "vehicle_count"}):  # with trips, one of each
        if _alike(compose(stated - {attribute}), env):
            raise InputError(
                f"problem: instances with {attribute} do not tell, expected its name, such as 'op'"
            )
    return env


def _alike(env: RoutingEnv, other: RoutingEnv) -> bool:
    """Whether two problems are composed of the same components."""
    mine, others = env.components, other.components
    return len(mine) == len(others) and all(a.same_as(b) for a, b in zip(mine, others, strict=True))
