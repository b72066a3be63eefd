"""Callbacks for training runs in processes of their own."""

import json
import os
import signal
from pathlib import Path

import lightning as L


class Kill(L.Callback):
    """
    Ends the process as the operating system would, in the middle of an epoch.

    Parameters
    ----------
    step
        Optimizer steps before that.
    """

    def __init__(self, step: int):
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


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
