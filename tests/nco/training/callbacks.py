"""Callbacks for training runs in processes of their own."""

import json
import os
import signal
from pathlib import Path

import lightning as L


class Kill(L.Callback):
    """
    Sends the process a signal in the middle of an epoch.

    Parameters
    ----------
    step
        Optimizer steps before that.
    number
        The signal; by default the one with which the operating system ends a process.
    times
        How often.
    """

    def __init__(self, step: int, number: int = int(signal.SIGKILL), times: int = 1):
        self.step, self.number, self.times = step, number, times

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if trainer.global_step == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


class Fail(L.Callback):
    """
    Raises an exception in the middle of an epoch.

    Parameters
    ----------
    step
        Optimizer steps before that.
    spoil
        Whether the weights are no numbers any more by then.
    """

    def __init__(self, step: int, spoil: bool = False):
        self.step, self.spoil = step, spoil

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if trainer.global_step == self.step:
            if self.spoil:
                next(pl_module.policy.parameters()).data.fill_(float("nan"))
            raise RuntimeError("out of luck")


class Stop(L.Callback):
    """
    Asks the trainer to stop, as a time limit does.

    Parameters
    ----------
    step
        Optimizer steps before that.
    """

    def __init__(self, step: int):
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        trainer.should_stop = trainer.should_stop or trainer.global_step >= self.step


class Spy(L.Callback):
    """
    Writes what every rank trains on and what it has learned, a line a batch.

    Parameters
    ----------
    folder
        Where each rank has a file.
    """

    def __init__(self, folder: str):
        self.folder = folder

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        line = {
            "seen": float(batch["locs"].sum()),
            "weights": float(sum(p.double().sum() for p in pl_module.policy.parameters())),
            "replaced": int(pl_module.baseline.draws),
            "champion": float(sum(p.sum() for p in pl_module.baseline.policy.parameters())),
        }
        with Path(self.folder, f"rank_{trainer.global_rank}").open("a") as file:
            file.write(json.dumps(line) + "\n")
