"""The checkpoints of a training run: the last state, whatever ended the run, and the best one."""

import math
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.training.logger import tell
from nco.training.stream import Stream

LAST, BEST = "last.ckpt", "best.ckpt"


class Checkpoints(Checkpoint):
    """
    Keeps ``last.ckpt`` and ``best.ckpt`` in the folder ``checkpoints`` of the run.

    ``last.ckpt`` is written every few minutes, at the last step of every epoch, and at every end of
    the run: its number of steps or epochs, ``max_time``, SIGINT, SIGTERM, an exception. A run that
    ended within an epoch resumes within it. ``best.ckpt`` is the state with the least validation
    cost.

    SIGINT (Ctrl-C) ends the run after the step that is being computed; a second one ends it at
    once, without a save.

    Parameters
    ----------
    minutes
        Between two saves of ``last.ckpt``: what a killed process loses at most.
    monitor
        What the best state has least of, a name that is logged in validation.

    Attributes
    ----------
    best_model_path
        The best state so far; empty before there is one.
    best_score
        What it has of what is monitored.

    Raises
    ------
    InputError
        ``minutes`` is negative, or a validation logged nothing by the name of ``monitor``.
    """

    def __init__(self, minutes: float = 5.0, monitor: str = "val/cost"):
        if not minutes >= 0:
            raise InputError(f"minutes: {minutes}, expected 0 or more")
        self.minutes = minutes
        self.monitor = monitor
        self.best_model_path = ""
        self.best_score = math.inf
        self.folder: Path | None = None
        self._saved_step = 0  # before the first step there is nothing to save
        self._saved = False  # whether this run has saved anything
        self._within_epoch = False  # whether the run ended before its epoch did
        self._interrupted = False
        self._signal_before: Any = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage == "fit":
            self.folder = Path(trainer.strategy.broadcast(str(run_folder(trainer) / "checkpoints")))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._saved_at = time.monotonic()
        self._saved_step = trainer.global_step
        self._within_epoch = self._interrupted = self._saved = False
        if trainer.ckpt_path and math.isfinite(self.best_score):
            self._take_over(trainer, Path(trainer.ckpt_path).with_name(BEST))
        if threading.current_thread() is threading.main_thread():
            self._signal_before = signal.signal(signal.SIGINT, self._interrupt)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._restore_signal()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: TensorDict,
        batch_idx: int,
    ) -> None:
        epoch_over = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        interrupted = self._agreed(trainer, self._interrupted)
        ends = interrupted or trainer.received_sigterm or limit_reached(trainer)
        self._within_epoch = ends and not epoch_over
        due = self._agreed(trainer, time.monotonic() - self._saved_at >= 60 * self.minutes)
        if ends or due or epoch_over:
            self._save_last(trainer)
        if interrupted:
            raise Interrupted

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking or not saves(trainer):
            return
        if self.monitor not in trainer.callback_metrics:
            names = ", ".join(n for n in trainer.callback_metrics if n.startswith("val/"))
            raise InputError(f"monitor: {self.monitor!r}, expected one of {names or 'none logged'}")
        score = float(trainer.callback_metrics[self.monitor])
        if score < self.best_score:
            self.best_score = score
            self.best_model_path = str(self._save(trainer, BEST))
        epoch_over = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch
        if trainer.should_stop and not epoch_over and not self._within_epoch:
            self._within_epoch = True  # by this validation, in mid-epoch
            self._save_last(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # By now Lightning counts an epoch that was cut short as complete.
        if not self._within_epoch and trainer.global_step:
            self._save_last(trainer)
        self._restore_signal()
        self._tell()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        self._restore_signal()
        # A step that a second Ctrl-C broke off may have changed some of the weights.
        broken_off = isinstance(exception, KeyboardInterrupt)
        if not broken_off and trainer.global_step != self._saved_step:
            rewind(trainer)
            try:
                if not all(bool(p.isfinite().all()) for p in pl_module.parameters()):
                    raise ArithmeticError("weights are not finite")
                self._save_last(trainer)
            except Exception as error:  # what ended the run is told, and not this instead
                tell(f"{LAST} is of an earlier step: {error}")
        self._tell()

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score = state_dict["best_score"]

    def _save_last(self, trainer: L.Trainer) -> None:
        if saves(trainer):
            self._save(trainer, LAST)
            self._saved_at, self._saved_step = time.monotonic(), trainer.global_step
            self._saved = True

    def _save(self, trainer: L.Trainer, name: str) -> Path:
        """All of the file or nothing: the one before stays until the new one is complete."""
        assert self.folder is not None
        path, scratch = self.folder / name, self.folder / f".{name}"
        trainer.save_checkpoint(scratch)
        if trainer.is_global_zero:
            os.replace(scratch, path)
        trainer.strategy.barrier()
        return path

    def _tell(self) -> None:
        if self._saved:
            tell(f"{self.folder}/{LAST}: step {self._saved_step}")

    def _take_over(self, trainer: L.Trainer, best: Path) -> None:
        """Lets a resumed run keep the best state of the one before; without its file, forget it."""
        assert self.folder is not None
        mine = self.folder / BEST
        if not best.exists():
            self.best_score = math.inf
            return
        if trainer.is_global_zero and best.resolve() != mine.resolve():
            self.folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(best, mine)
        self.best_model_path = str(mine)

    def _interrupt(self, number: int, frame: Any) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        print("\nends after this step (once more: at once, without a save)", flush=True)

    def _restore_signal(self) -> None:
        if self._signal_before is not None:
            signal.signal(signal.SIGINT, self._signal_before)
            self._signal_before = None

    @staticmethod
    def _agreed(trainer: L.Trainer, decision: bool) -> bool:
        """Whether any of the processes has decided so: all save, and end, at the same step."""
        if trainer.world_size == 1:
            return decision
        return bool(trainer.strategy.reduce_boolean_decision(decision, all=False))


class Interrupted(Exception):
    """A run was ended by Ctrl-C, after a step and with all of it saved."""


def saves(trainer: L.Trainer) -> bool:
    """Whether this is a training run that leaves files."""
    return trainer.state.fn == "fit" and not trainer.fast_dev_run


def limit_reached(trainer: L.Trainer) -> bool:
    """Whether the run ends with the step that was just made, by ``max_steps`` or a wish to stop."""
    if 0 < trainer.max_steps <= trainer.global_step:
        return True
    enough = trainer.current_epoch >= (trainer.min_epochs or 0)
    return bool(trainer.should_stop and enough and trainer.global_step >= (trainer.min_steps or 0))


def rewind(trainer: L.Trainer) -> None:
    """Forgets a batch that was begun and not completed: a resumed run begins it again."""
    progress = trainer.fit_loop.epoch_loop.batch_progress
    if isinstance(trainer.train_dataloader, Stream):
        trainer.train_dataloader.position -= progress.current.ready - progress.current.processed
    for count in (progress.total, progress.current):
        count.ready = count.started = count.processed


def run_folder(trainer: L.Trainer) -> Path:
    """Where the first logger writes; the default folder of the trainer without one."""
    if not trainer.loggers:
        return Path(trainer.default_root_dir)
    logger = trainer.loggers[0]
    version = logger.version if isinstance(logger.version, str) else f"version_{logger.version}"
    return Path(logger.save_dir or trainer.default_root_dir, str(logger.name), version)
