"""``nco export`` from end to end."""

import json
from pathlib import Path

import pytest
import torch

from nco.hub.released import load_policy
from tests.nco.cli.conftest import Run


@pytest.fixture
def checkpoint(run: Run) -> Path:
    """A checkpoint of a training run of one step."""
    config = Path(__file__).parents[3] / "configs" / "tsp_pomo.yaml"
    words = ["--data.generator.size", 5, "--data.batch_size", 2, "--data.batches", 1]
    words += ["--data.val_count", 2, "--model.policy.init_args.layers", 1]
    words += ["--model.policy.init_args.dim", 16, "--model.policy.init_args.heads", 2]
    words += [
        "--trainer.log_every_n_steps",
        1,
        "--trainer.max_epochs",
        1,
        "--trainer.accelerator",
        "cpu",
    ]
    result = run("fit", "--config", config, *words, "--trainer.enable_progress_bar", "false")
    assert result.code == 0, result.err
    (path,) = Path().rglob("last.ckpt")
    return path


def test_a_checkpoint_becomes_a_policy_that_solves(
    checkpoint: Path, rectangle: Path, run: Run
) -> None:
    """Weights are those of the checkpoint; both solve alike, and a folder is never replaced."""
    told = json.loads(run("export", checkpoint, "new", "--json").out)
    assert told["directory"] == "new"
    assert sorted(file.name for file in Path("new").iterdir()) == [
        "model.safetensors",
        "policy.yaml",
    ]
    ours, theirs = load_policy("new").policy, load_policy(checkpoint).policy
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)
    costs = [
        json.loads(run("solve", rectangle, "--policy", policy, "--json").out)[0]["cost"]
        for policy in ("new", checkpoint)
    ]
    assert costs[0] == costs[1]
    again = run("export", checkpoint, "new")
    assert again.code == 2
    assert "new" in again.err
    assert run("export", checkpoint, "new", "--overwrite", "--dtype", "float16").code == 0
