"""`nco fit` from YAML to logs and checkpoints."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nco.cli import main
from nco.data.solved import Labels
from nco.decoding import Greedy, rollout
from nco.hub.released import load_policy
from tests.nco.training.runs import TINY, fit, metrics, small, write
from tests.nco.training.solved import write_routes, write_tours

CONFIGS = Path(str(files("nco.configs")))
RUN = Path("runs/tiny/version_0")


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run writes into a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Log folder of a run of one epoch."""
    root = tmp_path_factory.mktemp("trained")
    logs = ("--trainer.logger.init_args.save_dir", str(root), "--trainer.max_epochs", "1")
    assert fit("--config", write(root / "tiny.yaml", TINY), *logs) == 0
    return root / "tiny" / "version_0"


def twins() -> dict[str, list[Path]]:
    """All shipped configurations, those together that are the same but for sizes and names."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(CONFIGS.rglob("*.yaml")):
        shrunk = small(yaml.safe_load(path.read_text()))
        for volatile in ("logger", "max_time"):
            shrunk["trainer"].pop(volatile, None)
        if "labels" in shrunk["data"]["init_args"]:
            shrunk["data"]["init_args"]["labels"] = []
        groups.setdefault(json.dumps(shrunk, sort_keys=True), []).append(path)
    return {str(paths[0].relative_to(CONFIGS)): paths for paths in groups.values()}


def test_every_configuration_has_its_run() -> None:
    """The runs below stand for all shipped configurations."""
    assert sum(map(len, twins().values())) == len(list(CONFIGS.rglob("*.yaml"))) > 0


@pytest.mark.parametrize("name", twins())
def test_shipped_configurations_run(name: str, tmp_path: Path) -> None:
    """A batch of training and one of validation, with every size made small (one configuration of
    those that differ in sizes only)."""
    config = yaml.safe_load((CONFIGS / name).read_text())
    overrides = small(config)
    if "labels" in config["data"]["init_args"]:
        routing = config["env"]["init_args"]["name"] != "tsp"
        labels = tmp_path / "labels.npz"
        write_routes(labels, 4) if routing else write_tours(labels, (5,) * 4)
        used = {"labels": [str(labels)], "val_labels": [str(labels)], "val_size": 5}
        overrides["data"]["init_args"] |= used
    assert (
        fit(
            *("--config", str(CONFIGS / name), "--config", write(tmp_path / "o.yaml", overrides)),
            *("--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu"),
            *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
        )
        == 0
    )


def test_logs_of_a_run(tmp_path: Path) -> None:
    """Costs, losses, the challenge and validation are in metrics.csv and, the same numbers, in
    TensorBoard events beside it; the learning rate falls every epoch; the configuration lies there
    as YAML."""
    config = write(tmp_path / "tiny.yaml", TINY)
    monitor = "lightning.pytorch.callbacks.LearningRateMonitor"
    settings = ("--trainer.callbacks.init_args.every_n_train_steps", "3")
    assert fit("--config", config, *settings, "--trainer.callbacks+=" + monitor) == 0
    assert [path.name for path in Path("runs/tiny").iterdir()] == ["version_0"]
    rows = metrics(RUN)
    losses = [float(row["train/loss"]) for row in rows if "train/loss" in row]
    assert len(losses) == 9 and all(abs(loss) < 1e3 for loss in losses)
    for name, count in (("train/cost", 9), ("val/cost", 3), ("baseline/p", 3)):
        assert sum(name in row for row in rows) == count
    rates = [float(row["lr-Adam"]) for row in rows if "lr-Adam" in row]
    assert rates == pytest.approx([0.01, 0.005, 0.0025])

    events = EventAccumulator(str(RUN))
    events.Reload()
    for name in ("train/loss", "train/cost", "val/cost", "baseline/p"):
        logged = [event.value for event in events.Scalars(name)]
        assert logged == pytest.approx([float(row[name]) for row in rows if name in row], rel=1e-5)
    assert yaml.safe_load((RUN / "config.yaml").read_text())["model"]["init_args"]["seed"] == 1234


def test_checkpoints_carry_the_configuration_as_text(trained: Path, tmp_path: Path) -> None:
    """A checkpoint loads without unpickling objects, has no hyper-parameters that could overrule a
    command line, and its text is a configuration that trains the same run again, in a folder of its
    own."""
    checkpoint = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    assert "hyper_parameters" not in checkpoint
    assert fit("--config", write(tmp_path / "again.yaml", checkpoint["config"])) == 0
    second = trained.parent / "version_1"
    for folder in (trained, second):
        assert {path.name.split(".")[0] for path in folder.iterdir()} >= {
            "checkpoints",
            "config",
            "events",
            "metrics",
        }
    assert metrics(trained) == metrics(second) != []
    released = load_policy(trained / "checkpoints" / "last.ckpt")
    for name, value in released.policy.state_dict().items():
        assert torch.equal(value, checkpoint["state_dict"][f"policy.{name}"])


def test_printed_configuration_parses_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--print_config gives a complete configuration: printed once more it is the same, and it
    runs."""
    args = ["--config", write(tmp_path / "tiny.yaml", TINY)]
    printed = []
    for _ in range(2):
        with pytest.raises(SystemExit) as stop:
            fit(*args, "--print_config")
        assert stop.value.code == 0
        printed.append(capsys.readouterr().out)
        args = ["--config", write(tmp_path / "printed.yaml", printed[-1])]
    assert printed[0] == printed[1]
    assert yaml.safe_load(printed[0])["model"]["init_args"]["policy"]["init_args"]["dim"] == 8
    assert fit(*args, "--trainer.fast_dev_run", "true") == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--trainer.bogus 1", "unrecognized arguments: --trainer.bogus 1"),
        ("--trainer.max_epoch 1", "unrecognized arguments: --trainer.max_epoch 1"),
        ("--data.init_args.batchsize 1", "nco.training.Generated.*'batchsize' is not accepted"),
        ("--model.init_args.policy.init_args.dimm 1", "AttentionPolicy.*'dimm' is not accepted"),
        ("--data.init_args.batch_size x", "\"batch_size\": Expected a <class 'int'>. Got value: x"),
        ("--model.init_args.policy.init_args.dim 9", "9 channels for 2 heads, expected a multiple"),
        ("--trainer.accelerator gpu", "accelerator: 'gpu', but there is no such device"),
        ("--trainer.logger nothing.Logger", "nothing.Logger"),
        ("--trainer.logger lightning.pytorch.loggers.CometLogger", "comet-ml.* not met"),
        ("--trainer.max_time soon", r"duration='soon'.* is not a valid duration"),
        ("--trainer.max_epochs -5", "max_epochs.* must be a non-negative integer"),
        ("--trainer.strategy dpd", "invalid strategy name: `strategy='dpd'`"),
        ("--data.init_args.batch_size 0", "batch_size: 0, expected 1 or more"),
        ("--data.init_args.batches -1", "batches: -1, expected 1 or more"),
        ("--config nowhere.yaml", "File does not exist: .*nowhere.yaml"),
        ("--config broken.yaml", "Problems parsing config"),
        ("--config keys.yaml", "datta"),
        ("--env.init_args.name tps", "problem 'tps' is unknown, the nearest names are tsp"),
        ("--model.init_args.baseline.init_args.alpha 3", "alpha: 3.0, expected a value in"),
        ("--data.init_args.generator.init_args.size 0", "size: 0, expected a positive number"),
        ("--model.init_args.weights nowhere.ckpt", "nowhere.ckpt: no such file, expected a check"),
        ("--ckpt_path nowhere.ckpt", "nowhere.ckpt: no such file, expected a checkpoint"),
        ("--ckpt_path broken.yaml", "broken.yaml: .*expected a checkpoint of nco fit"),
        ("--ckpt_path foreign.ckpt", "foreign.ckpt: holds no training, expected a checkpoint"),
        ("--ckpt_path other.ckpt", r"other.ckpt: weights do not fit the architecture \(Missing"),
    ],
)
def test_bad_configurations_are_one_line(
    args: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unknown keys, unusable values and unusable files end in exit code 2, one line that says what
    is wrong where, and no log folder."""
    write(tmp_path / "broken.yaml", "a: b: c")
    write(tmp_path / "keys.yaml", "datta: 3")
    torch.save({"state_dict": {}}, "foreign.ckpt")
    torch.save({"state_dict": {}, "config": ""}, "other.ckpt")
    config = write(tmp_path / "tiny.yaml", TINY)
    assert fit("--config", config, *args.split()) == 2
    lines = capsys.readouterr().err.splitlines()
    (error,) = (line for line in lines if line.startswith("nco fit: "))
    assert error == lines[-1] and re.search(message, error), error
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--model.init_args.optimizer.init_args.lr -1", "Invalid learning rate: -1.0"),
        ("--env.init_args.name cvrptw", "time_windows is absent, expected for the rule"),
    ],
)
def test_what_shows_when_the_run_begins_is_one_line(
    args: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An optimizer that refuses its settings and instances that lack what a rule reads."""
    config = write(tmp_path / "tiny.yaml", TINY)
    assert fit("--config", config, *args.split()) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("nco fit: ") and message in error


def test_help_lists_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names the groups of a configuration."""
    with pytest.raises(SystemExit) as stop:
        fit("--help")
    assert stop.value.code == 0
    found = capsys.readouterr().out
    assert all(word in found for word in ("--model", "--data", "--env", "--ckpt_path"))


def test_nothing_given_names_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a configuration the required keys are named."""
    assert fit() == 2
    assert "required: fit.data, fit.env, fit.model" in capsys.readouterr().err


def test_gap_to_solved_instances(tmp_path: Path) -> None:
    """The logged validation gap is that of greedy decoding with the checkpoint's weights to the
    costs of the labels; `nco validate` and `nco test` find it again."""
    labels = write_routes(tmp_path / "labels.npz", 12)
    config = yaml.safe_load(TINY)
    config["model"] = {
        "class_path": "nco.training.Imitation",
        "init_args": {"policy": config["model"]["init_args"]["policy"], "rollouts": 2},
    }
    config["data"] = {
        "class_path": "nco.training.Solved",
        "init_args": {
            "labels": [str(labels)],
            "val_labels": [str(labels)],
            "val_size": 5,
            "batch_size": 4,
            "reference_size": 5,
            "batches": 2,
        },
    }
    used = ["--config", write(tmp_path / "solved.yaml", config)]
    assert fit(*used, "--trainer.max_epochs", "1") == 0
    (gap,) = [float(row["val/gap"]) for row in metrics(RUN) if "val/gap" in row]

    checkpoint = RUN / "checkpoints" / "last.ckpt"
    released = load_policy(checkpoint)
    instance, actions = Labels([labels]).select(5, torch.arange(12))
    found = rollout(released.env, released.policy, instance, Greedy()).cost[:, 0]
    best = released.env.cost(instance, actions.unsqueeze(1))[:, 0]
    assert gap == pytest.approx(float(100 * (found / best - 1).mean()), abs=1e-3)
    assert gap > 0
    for command, stage in (("validate", "val"), ("test", "test")):
        assert main([command, *used, "--ckpt_path", str(checkpoint)]) == 0
        (row,) = metrics(sorted(Path("runs/tiny").iterdir())[-1])
        assert float(row[f"{stage}/gap"]) == pytest.approx(gap, abs=1e-4)
    assert main(["predict", *used, "--ckpt_path", str(checkpoint)]) == 0


def test_bfloat16_trains(trained: Path, tmp_path: Path) -> None:
    """Autocast to bfloat16 runs, with finite losses and a first cost near that in float32."""
    config = write(tmp_path / "tiny.yaml", TINY)
    extra = ("--trainer.precision", "bf16-mixed", "--trainer.max_epochs", "1")
    assert fit("--config", config, *extra) == 0
    exact, rounded = metrics(trained), metrics(RUN)
    assert all(torch.tensor(float(row["train/loss"])).isfinite() for row in rounded[:3])
    assert float(rounded[0]["train/cost"]) == pytest.approx(float(exact[0]["train/cost"]), rel=0.2)
    assert rounded[0] != exact[0]


def test_fine_tuning_begins_with_given_weights(trained: Path, tmp_path: Path) -> None:
    """``weights`` takes over the policy of a checkpoint, not its step count or its optimizer."""
    config, before = write(tmp_path / "tiny.yaml", TINY), trained / "checkpoints" / "last.ckpt"
    tune = ("--model.init_args.weights", str(before), "--trainer.max_epochs", "1")
    assert fit("--config", config, *tune, "--model.init_args.optimizer.init_args.lr", "0.0") == 0
    tuned = torch.load(RUN / "checkpoints" / "last.ckpt", weights_only=True)
    expected = torch.load(before, weights_only=True)
    assert tuned["global_step"] == 3
    for name, value in expected["state_dict"].items():
        if name.startswith("policy.") and "running" not in name and "num_batches" not in name:
            assert torch.equal(tuned["state_dict"][name], value), name
