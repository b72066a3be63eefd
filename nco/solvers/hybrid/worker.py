"""What a worker of the hybrid solver has at hand, instance after instance."""

from dataclasses import dataclass

import torch
from tensordict import TensorDict

from nco.decoding import Search
from nco.envs import RoutingEnv
from nco.hub.released import Released
from nco.solvers.hybrid.engines import Engine, Found, SubproblemEngine, Task, find_engine
from nco.solvers.hybrid.proposals import Proposals, Propose, Proposer


@dataclass(frozen=True)
class Setting:
    """
    A task: gets ready for an instance.

    Parameters
    ----------
    env, instance
        The problem and one instance of it (batch size 1).
    parts
        Whether parts alone will be solved.
    """

    env: RoutingEnv
    instance: TensorDict
    parts: bool = False


class Worker:
    """
    Carries out tasks.

    Parameters
    ----------
    released
        The policy that proposes; None if there is none.
    device, search
        See `Proposer`.
    """

    def __init__(
        self, released: Released | None, device: torch.device, search: Search | None = None
    ):
        self.released, self.device, self.search = released, device, search
        self._engine: Engine | None = None
        self._setting: Setting | None = None

    def __call__(self, task: Setting | Task | Propose) -> type[Engine] | Found | Proposals:
        """The result of a task: of a setting, the kind of engine."""
        if isinstance(task, Setting):
            self._setting = task
            make = SubproblemEngine if task.parts else find_engine
            self._engine = make(task.env, task.instance)
            return type(self._engine)
        assert self._engine is not None and self._setting is not None
        if isinstance(task, Task):
            return self._engine(task)
        if self.released is None:
            return Proposals(())
        env, instance = self._setting.env, self._setting.instance
        return Proposer(env, instance, self.released, self.device, self.search)(task)
