"""The interface of every solver."""

from typing import Protocol

from tensordict import TensorDict

from nco.envs import RoutingEnv
from nco.solution import Solution


class Solver(Protocol):
    """
    Finds routes for one instance of a problem. Settings of the solver are its constructor's.
    """

    def solve(
        self,
        env: RoutingEnv,
        instance: TensorDict,
        time_limit: float | None = None,
        seed: int = 0,
        start: Solution | None = None,
    ) -> Solution:
        """
        Solves one instance.

        Parameters
        ----------
        env, instance
            The problem and one instance of it (batch size 1).
        time_limit
            Wall seconds; None lets the solver stop by itself (a solver that never does takes a
            default of its own).
        seed
            Seed of all randomness.
        start
            A feasible solution to improve on; the result is never worse.

        Raises
        ------
        InputError
            The solver cannot express a rule of the problem, named in the message.
        """
        ...
