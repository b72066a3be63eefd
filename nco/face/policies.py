"""Policies to folders."""

from os import PathLike
from pathlib import Path

from nco.envs import RoutingEnv
from nco.hub.describing import describe_policy
from nco.hub.released import save_policy as save
from nco.policies import Policy


def save_policy(
    directory: str | PathLike[str], policy: Policy, env: RoutingEnv, overwrite: bool = False
) -> None:
    """
    Writes a policy as a folder that `nco.load_policy` and every ``--policy`` take.

    Parameters
    ----------
    directory
        A new folder.
    policy, env
        The network, and the problem that it was trained on.
    overwrite
        Whether a released policy that is there may be replaced.

    Raises
    ------
    InputError
        The folder exists or cannot be written, or a setting of policy or problem is no plain data.
    """
    save(Path(directory), policy, describe_policy(env, policy), overwrite=overwrite)
