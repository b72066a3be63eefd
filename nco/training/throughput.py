"""How fast a training run is, and when it will be over."""

import time
from datetime import timedelta
from math import inf, isfinite
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Timer
from lightning.pytorch.utilities import rank_zero_only
from tensordict import TensorDict


class Throughput(L.Callback):
    """
    Prints instances a second and the estimated time to the end.

    The first line comes after ten steps, the next ones after every so many seconds. Both figures
    count everything between the steps, validation included.

    Parameters
    ----------
    seconds
        Between two lines.
    """

    FIRST = 10  # steps; the very first ones are slower than what follows

    def __init__(self, seconds: float = 60.0):
        self.seconds = seconds

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.begun = self.printed = time.perf_counter()
        self.batches = self.recent = 0
        self.first_step = trainer.global_step

    @rank_zero_only
    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: TensorDict,
        batch_idx: int,
    ) -> None:
        self.batches += 1
        self.recent += len(batch) * trainer.world_size
        now = time.perf_counter()
        if self.batches != self.FIRST and now < self.printed + self.seconds:
            return
        rate = self.recent / (now - self.printed)
        self.printed, self.recent = now, 0
        pace = (now - self.begun) / max(1, trainer.global_step - self.first_step)
        line = f"step {trainer.global_step}: {rate:.0f} instances/s"
        left = seconds_left(trainer, pace)
        if isfinite(left):
            line += f", {duration(left)} to the end"
        bar = trainer.progress_bar_callback
        print(line, flush=True) if bar is None else bar.print(line)


def steps_left(trainer: L.Trainer) -> float:
    """Optimizer steps until a run ends by its number of steps or epochs; infinite without any."""
    ends = [float(trainer.estimated_stepping_batches)]
    if trainer.max_steps > 0:
        ends.append(trainer.max_steps)
    return min(end if end > 0 else inf for end in ends) - trainer.global_step


def seconds_left(trainer: L.Trainer, pace: float) -> float:
    """
    Seconds until a run ends, by its number of steps or epochs or by ``max_time``.

    Parameters
    ----------
    trainer
        Of the run.
    pace
        Seconds a step.
    """
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]
    limits = [left for timer in timers if (left := timer.time_remaining()) is not None]
    return max(0.0, min([steps_left(trainer) * pace, *limits]))


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
