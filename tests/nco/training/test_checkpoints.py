"""However a run ends, its last state is saved and goes on as if nothing had happened."""

import os
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import torch
import yaml

from nco.training import Trainer
from nco.training.checkpoints import Checkpoints
from tests.nco.training.runs import TINY, fit, metrics, write
from tests.nco.training.test_resume import ROOT, assert_continues, log

CONFIGS = Path(str(files("nco.configs")))
CALLBACKS = "tests.nco.training.callbacks."


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run writes into a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Three epochs of three steps, with no save for the sake of time."""
    text = TINY[: TINY.index("    - class_path: lightning")]
    more = "    - class_path: nco.training.Checkpoints\n      init_args: {minutes: 1000}\n"
    return write(tmp_path / "tiny.yaml", text + more)


def named(name: str) -> list[str]:
    """Gives a run its own folder."""
    return ["--trainer.logger.init_args.name", name]


def saved(name: str, file: str = "last.ckpt") -> Path:
    """A checkpoint of a run."""
    return Path("runs", name, "version_0", "checkpoints", file)


def step(path: Path) -> int:
    """Steps behind a checkpoint."""
    return int(torch.load(path, weights_only=True)["global_step"])


def with_callback(name: str, **settings: object) -> list[str]:
    """The words that add a callback of the tests."""
    words = [f"--trainer.callbacks+={CALLBACKS}{name}"]
    return words + [f"--trainer.callbacks.{key}={value}" for key, value in settings.items()]


ENDS = {
    "steps": (["--trainer.max_steps", "5"], 5),
    "time": (["--trainer.max_time", '{"microseconds": 1}'], 1),
    "asked to stop": (with_callback("Stop", step=5), 5),
    "epochs": (["--trainer.max_epochs", "2"], 6),
    "exception": (with_callback("Fail", step=5), 5),
}


@pytest.mark.parametrize("end", ENDS)
def test_every_end_saves_the_last_step(end: str, config: str) -> None:
    """After a limit or an exception, wherever in an epoch, ``last.ckpt`` has the last step, and
    resumes on the curve of a run that never ended there, to the last digit."""
    words, steps = ENDS[end]
    if end == "exception":
        with pytest.raises(RuntimeError, match="out of luck"):
            fit("--config", config, *named("ended"), *words)
    else:
        assert fit("--config", config, *named("ended"), *words) == 0
    assert step(saved("ended")) == steps
    assert fit("--config", config, *named("whole")) == 0
    again = ("--ckpt_path", str(saved("ended")))
    assert fit("--config", config, *named("resumed"), *again) == 0
    assert_continues(log("resumed"), log("whole"), steps)
    for key, value in weights("whole").items():
        assert torch.equal(value, weights("resumed")[key]), key


def weights(name: str) -> dict[str, torch.Tensor]:
    """All weights and counters of a run's last state."""
    state: dict[str, torch.Tensor] = torch.load(saved(name), weights_only=True)["state_dict"]
    return state


@pytest.mark.parametrize("end", [["--trainer.max_steps", "2"], with_callback("Stop", step=2)])
def test_a_run_stopped_in_its_only_epoch_is_not_finished(end: list[str], config: str) -> None:
    """Without a save before, within the one epoch there is: the rest of it comes when resumed."""
    one = ("--trainer.max_epochs", "1")
    assert fit("--config", config, *named("ended"), *one, *end) == 0
    assert step(saved("ended")) == 2
    again = ("--ckpt_path", str(saved("ended")))
    assert fit("--config", config, *named("resumed"), *one, *again) == 0
    assert step(saved("resumed")) == 3
    assert fit("--config", config, *named("whole"), *one) == 0
    assert_continues(log("resumed"), log("whole"), 2)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_signals_save_the_last_step(number: int, code: int, config: str) -> None:
    """A signal ends the run after the step that is being made, with the exit code of the signal;
    what is saved resumes on the same curve."""
    killed = process(config, *named("ended"), *with_callback("Kill", step=4, number=int(number)))
    assert killed.returncode == code, killed.stderr
    assert "Traceback" not in killed.stderr
    assert "last.ckpt: step 5" in killed.stdout
    assert step(saved("ended")) == 5
    again = ("--ckpt_path", str(saved("ended")))
    assert fit("--config", config, *named("resumed"), *again) == 0
    assert fit("--config", config, *named("whole")) == 0
    assert_continues(log("resumed"), log("whole"), 5)


def test_a_second_interruption_ends_at_once(config: str) -> None:
    """Without a save: the step that it broke off may have changed some of the weights."""
    two = with_callback("Kill", step=4, number=int(signal.SIGINT), times=2)
    killed = process(config, *named("ended"), *two)
    assert killed.returncode not in (0, 143)
    assert step(saved("ended")) == 3


def process(config: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs ``nco fit`` in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nco", "fit", "--config", config, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_weights_that_are_no_numbers_replace_no_sound_ones(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception after a diverged step leaves the state of the epoch before."""
    words = with_callback("Fail", step=5, spoil="true")
    with pytest.raises(RuntimeError, match="out of luck"):
        fit("--config", config, *named("ended"), *words)
    assert "earlier step: weights are not finite" in capsys.readouterr().out
    assert step(saved("ended")) == 3


@pytest.mark.parametrize("rate", ["0.01", "3.0"])
def test_the_best_validation_is_kept(rate: str, config: str) -> None:
    """``best.ckpt`` is the state of the least validation cost, and a resumed run takes it over."""
    steep = ("--model.init_args.optimizer.init_args.lr", rate, "--trainer.max_epochs", "3")
    assert fit("--config", config, *named("run"), *steep) == 0
    costs = [float(row["val/cost"]) for row in log("run") if "val/cost" in row]
    assert len(costs) == 3
    best = torch.load(saved("run", "best.ckpt"), weights_only=True)
    assert best["global_step"] == 3 * (1 + costs.index(min(costs)))
    more = ("--ckpt_path", str(saved("run")), "--trainer.max_epochs", "4")
    assert fit("--config", config, *named("more"), *steep, *more) == 0
    costs += [float(row["val/cost"]) for row in log("more") if "val/cost" in row][-1:]
    assert step(saved("more", "best.ckpt")) == 3 * (1 + costs.index(min(costs)))


def test_a_trainer_without_checkpoint_callback_saves_too(tmp_path: Path) -> None:
    """A configuration that names no checkpoints gets them; one that wants none has none."""
    text = TINY[: TINY.index("  callbacks:")]
    path = write(tmp_path / "tiny.yaml", text)
    assert fit("--config", path, *named("plain"), "--trainer.max_steps", "2") == 0
    assert step(saved("plain")) == 2
    none = ("--trainer.enable_checkpointing", "false")
    assert fit("--config", path, *named("none"), "--trainer.max_steps", "2", *none) == 0
    assert not saved("none").parent.exists()
    own = Trainer(accelerator="cpu", logger=False, callbacks=Checkpoints(1))
    assert sum(isinstance(c, Checkpoints) for c in own.callbacks) == 1


def test_an_unknown_monitor_is_named(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What no validation logs cannot be the best; the message tells what it logs."""
    assert fit("--config", config, "--trainer.callbacks.monitor", "val/costs") == 2
    assert "monitor: 'val/costs', expected one of val/cost" in capsys.readouterr().err


def recipes() -> dict[str, dict[str, object]]:
    """All shipped configurations, by name."""
    return {
        str(path.relative_to(CONFIGS)): yaml.safe_load(path.read_text())
        for path in sorted(CONFIGS.rglob("*.yaml"))
    }


@pytest.mark.parametrize("name", recipes())
def test_recipes_save_every_end_and_validate(name: str) -> None:
    """Every recipe keeps `Checkpoints`, has instances to validate on, and does so five times at
    least."""
    recipe: dict[str, dict[str, object]] = recipes()[name]  # type: ignore[assignment]
    trainer, data = recipe["trainer"], recipe["data"]
    kinds = [callback["class_path"] for callback in trainer["callbacks"]]  # type: ignore[attr-defined]
    assert "nco.training.Checkpoints" in kinds
    assert int(trainer["max_epochs"]) // int(trainer.get("check_val_every_n_epoch", 1)) >= 5  # type: ignore[call-overload]
    solved = str(data["class_path"]).endswith("Solved")
    assert not solved or {"val_labels", "val_generator"} & set(data["init_args"])  # type: ignore[call-overload]


def test_metrics_of_all_steps_are_there(config: str) -> None:
    """The log of an interrupted run holds every step up to the end."""
    assert fit("--config", config, *named("ended"), *with_callback("Stop", step=5)) == 0
    rows = metrics(Path("runs/ended/version_0"))
    assert [int(row["step"]) for row in rows if "train/loss" in row] == [0, 1, 2, 3, 4]
