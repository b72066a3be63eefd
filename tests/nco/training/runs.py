"""Training runs through the command, small enough for tests."""

import csv
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from nco.cli import main

SMALL: dict[str, Any] = {
    "size": 5,
    "batch_size": 4,
    "batches": 2,
    "count": 4,
    "val_count": 4,
    "val_batch_size": 4,
    "reference_size": 5,
    "dim": 8,
    "heads": 2,
    "hidden": 8,
    "layers": 1,
    "max_epochs": 1,
    "weights": None,
}

TINY = """
seed_everything: 7
env: {class_path: nco.envs.problem, init_args: {name: cvrp}}
model:
  class_path: nco.training.REINFORCE
  init_args:
    policy:
      class_path: nco.policies.AttentionPolicy
      init_args: {dim: 8, heads: 2, layers: 1, hidden: 8}
    baseline:
      class_path: nco.training.GreedyRollout
      init_args:
        generator: {class_path: nco.data.generators.CVRPGenerator, init_args: {size: 5}}
        count: 16
        alpha: 0.9
        warmup_epochs: 2
    optimizer: {class_path: torch.optim.Adam, init_args: {lr: 0.01}}
    lr_scheduler:
      class_path: torch.optim.lr_scheduler.ExponentialLR
      init_args: {gamma: 0.5}
data:
  class_path: nco.training.Generated
  init_args:
    generator: {class_path: nco.data.generators.CVRPGenerator, init_args: {size: [4, 6]}}
    batch_size: 8
    batches: 3
    val_count: 6
    val_batch_size: 4
trainer:
  max_epochs: 3
  accelerator: cpu
  gradient_clip_val: 1.0
  log_every_n_steps: 1
  enable_progress_bar: false
  enable_model_summary: false
  logger: {class_path: nco.training.RunLogger, init_args: {save_dir: runs, name: tiny}}
  callbacks:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args: {save_last: true, save_top_k: -1, every_n_train_steps: 1}
"""


def small(value: Any) -> Any:
    """A configuration with every size of `SMALL` in it, given or left to a default, made small."""
    if isinstance(value, list):
        return [small(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {k: SMALL[k] if k in SMALL else small(v) for k, v in value.items()}
    if "class_path" in value:
        module, name = value["class_path"].rsplit(".", 1)
        accepted = inspect.signature(getattr(import_module(module), name)).parameters
        own = {k: v for k, v in SMALL.items() if k in accepted}
        result["init_args"] = result.get("init_args", {}) | own
    return result


def write(path: Path, config: Any) -> str:
    """A configuration file; returns its name for the command line."""
    path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return str(path)


def fit(*args: str) -> int:
    """Runs ``nco fit`` in this process."""
    return main(["fit", *args])


def metrics(folder: Path) -> list[dict[str, str]]:
    """The rows of ``metrics.csv``, without the cells that are empty."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if v} for row in csv.DictReader(file)]
