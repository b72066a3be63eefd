"""Logs of a training run."""

from functools import cached_property
from typing import Any

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only


class RunLogger(CSVLogger):
    """
    ``metrics.csv`` and TensorBoard events in one folder, ``save_dir/name/version_k``.

    Lightning's loggers side by side number their folders one after the other, and a run ends up in
    two of them.

    Parameters
    ----------
    save_dir
        Parent of all runs.
    name
        Of the experiment.
    version
        Number of the run; the next free one by default.
    flush_logs_every_n_steps
        Steps between writes to ``metrics.csv``.
    """

    def __init__(
        self,
        save_dir: str = "runs",
        name: str = "nco",
        version: int | None = None,
        flush_logs_every_n_steps: int = 100,
    ):
        super().__init__(save_dir, name, version, flush_logs_every_n_steps=flush_logs_every_n_steps)

    @cached_property
    def board(self) -> TensorBoardLogger:
        """The TensorBoard half; made late, when the number of the run is known."""
        return TensorBoardLogger(self.save_dir, self.name, self.version, default_hp_metric=False)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        super().log_metrics(metrics, step)
        self.board.log_metrics(metrics, step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        super().finalize(status)
        self.board.experiment.close()


@rank_zero_only
def tell(line: str) -> None:
    """Prints a line about the run, once however many processes there are."""
    print(line, flush=True)
