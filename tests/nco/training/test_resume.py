"""Interrupted training goes on as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.nco.training.runs import TINY, fit, metrics, write

ROOT = Path(__file__).parents[3]
Rows = list[dict[str, str]]


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run writes into a folder of its own."""
    monkeypatch.chdir(tmp_path)


def log(name: str) -> Rows:
    """The rows that the latest run of a name has logged."""
    runs = sorted(Path("runs", name).iterdir(), key=lambda path: int(path.name.split("_")[1]))
    return metrics(runs[-1])


def assert_continues(resumed: Rows, whole: Rows, step: int) -> None:
    """The resumed run logged what the whole one did from a step on, digit by digit."""
    expected = [row for row in whole if int(row["step"]) >= step]
    # At the end of an epoch the interrupted run may have validated already.
    found = [row for row in resumed if int(row["step"]) >= step]
    assert expected and found == expected


@pytest.mark.parametrize(
    "options",
    [
        {"every_n_train_steps": 1},
        {"every_n_epochs": 1},
        {"every_n_epochs": 1, "save_on_train_epoch_end": True},
    ],
    ids=["steps", "validation", "epochs"],
)
def test_every_checkpoint_continues_the_same_curve(
    options: dict[str, object], tmp_path: Path
) -> None:
    """From a checkpoint in mid-epoch, at an epoch's last step, after its validation or after its
    end, costs, losses, challenges and validation are those of the uninterrupted run."""
    settings = ", ".join(f"{k}: {str(v).lower()}" for k, v in options.items())
    config = TINY.replace("every_n_train_steps: 1", settings)
    path = write(tmp_path / "tiny.yaml", config)
    name = ("--trainer.logger.init_args.name", "whole")
    assert fit("--config", path, *name, "--trainer.max_epochs", "2") == 0
    whole = log("whole")
    saved = Path("runs/whole/version_0/checkpoints").glob("epoch=*.ckpt")
    steps = {int(p.stem.split("step=")[1]): p for p in saved}
    assert set(steps) == ({1, 2, 3, 4, 5, 6} if "every_n_train_steps" in options else {3, 6})
    for step, checkpoint in steps.items():
        if step in (2, 3):  # in mid-epoch and at its last step
            again = ("--trainer.max_epochs", "2", "--ckpt_path", str(checkpoint))
            assert (
                fit("--config", path, "--trainer.logger.init_args.name", f"from_{step}", *again)
                == 0
            )
            assert_continues(log(f"from_{step}"), whole, step)


def test_killed_in_mid_epoch(tmp_path: Path) -> None:
    """A process that is killed in mid-epoch leaves a sound last.ckpt, from which a new one goes on
    with the same next losses as a run that was never interrupted."""
    path = write(tmp_path / "tiny.yaml", TINY)
    command = [sys.executable, "-m", "nco", "fit", "--config", path]
    command += ["--trainer.callbacks+=tests.nco.training.callbacks.Kill"]
    command += ["--trainer.callbacks.step=5", "--trainer.logger.init_args.name=killed"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    last = Path("runs/killed/version_0/checkpoints/last.ckpt")
    assert fit("--config", path, "--trainer.logger.init_args.name", "whole") == 0
    resume = ("--trainer.logger.init_args.name", "resumed", "--ckpt_path", str(last))
    assert fit("--config", path, *resume) == 0
    assert_continues(log("resumed"), log("whole"), 5)


@pytest.mark.slow
def test_two_processes(tmp_path: Path) -> None:
    """Two processes on the CPU train one policy on different instances, and agree on weights and
    champion after every step."""
    path = write(tmp_path / "tiny.yaml", TINY)
    command = [sys.executable, "-m", "nco", "fit", "--config", path]
    command += ["--trainer.strategy=ddp", "--trainer.devices=2", "--trainer.max_epochs=2"]
    command += ["--trainer.callbacks+=tests.nco.training.callbacks.Spy"]
    command += [f"--trainer.callbacks.folder={tmp_path}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    ranks = [
        [json.loads(line) for line in (tmp_path / f"rank_{k}").read_text().splitlines()]
        for k in range(2)
    ]
    assert [len(lines) for lines in ranks] == [6, 6]
    assert len({line["seen"] for lines in ranks for line in lines}) == 12
    for first, second in zip(*ranks, strict=True):
        for name in ("weights", "champion", "replaced"):
            assert first[name] == second[name]
    rows = log("tiny")
    assert sum("train/loss" in row for row in rows) == 6
    assert [path.name for path in Path("runs/tiny").iterdir()] == ["version_0"]
