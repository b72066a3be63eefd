"""What a training run says of its speed."""

import re
from collections.abc import Iterator
from math import inf
from pathlib import Path
from types import SimpleNamespace

import pytest
from lightning.pytorch.callbacks import Timer

from nco.training.throughput import duration, seconds_left, steps_left
from tests.nco.training.runs import TINY, fit, write


def test_speed_and_time_to_the_end_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten steps of eight instances while the clock advances by ten seconds, and two more to go."""
    monkeypatch.chdir(tmp_path)
    stub = SimpleNamespace(perf_counter=clock().__next__)
    monkeypatch.setattr("nco.training.throughput.time", stub)
    config = write(tmp_path / "tiny.yaml", TINY)
    assert fit("--config", config, "--trainer.max_epochs", "4") == 0
    lines = re.findall(r"step .*instances/s.*", capsys.readouterr().out)
    assert lines == ["step 10: 8 instances/s, 0:00:02 to the end"]


def clock() -> Iterator[float]:
    """Advances by a second at every look."""
    now = 0.0
    while True:
        yield now
        now += 1


@pytest.mark.parametrize(
    ("steps", "by_epochs", "left"), [(-1, 12, 7), (11, 12, 6), (100, 12, 7), (-1, inf, inf)]
)
def test_a_run_ends_by_whatever_comes_first(steps: int, by_epochs: float, left: float) -> None:
    """After five steps, with so many at most, in all or by the number of epochs."""
    trainer = SimpleNamespace(max_steps=steps, estimated_stepping_batches=by_epochs, global_step=5)
    assert steps_left(trainer) == left


@pytest.mark.parametrize(("limit", "left"), [(None, 14), (60, 14), (10, 8), (1, 0)])
def test_a_time_limit_may_come_first(
    limit: int | None, left: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven steps of two seconds are left, two seconds of the time limit being over."""
    stub = SimpleNamespace(monotonic=iter([100.0, 102.0]).__next__)
    monkeypatch.setattr("lightning.pytorch.callbacks.timer.time", stub)
    timer = Timer({"seconds": limit} if limit else None)
    timer.on_train_start(None, None)
    trainer = SimpleNamespace(
        max_steps=-1, estimated_stepping_batches=12, global_step=5, callbacks=[timer]
    )
    assert seconds_left(trainer, pace=2.0) == left


def test_durations_are_hours_minutes_and_seconds() -> None:
    """Fractions of a second are rounded."""
    assert duration(3661.4) == "1:01:01"
