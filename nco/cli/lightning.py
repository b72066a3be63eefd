"""The Lightning half of the command line: fit, validate, test, predict."""

import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.cli import (
    ArgsType,
    LightningArgumentParser,
    LightningCLI,
    SaveConfigCallback,
)
from lightning.pytorch.utilities.exceptions import SIGTERMException

import nco.data.generators
import nco.decoding
import nco.policies
import nco.training  # noqa: F401  short class names in YAML resolve among imported classes
from nco.cli.fit_errors import explained
from nco.cli.imports import make_importable
from nco.data.errors import InputError
from nco.envs import RoutingEnv
from nco.hub.weights import DESCRIPTION, load_weights, read_checkpoint
from nco.training.checkpoints import Interrupted
from nco.training.throughput import Throughput
from nco.training.trainer import Trainer

TERMINATED = 143  # exit code of a process that SIGTERM ended
SUBCOMMANDS = ("fit", "validate", "test", "predict")


class SaveConfig(SaveConfigCallback):
    """Writes config.yaml into the log folder and, as text, into every checkpoint."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if stage == "fit":  # a later test or predict would overwrite the config of the training run
            super().setup(trainer, pl_module, stage)

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        # The text parses again as it is; link targets included, so that it also does in parts.
        checkpoint["config"] = self.parser.dump(self.config, skip_link_targets=False)


class NCOCLI(LightningCLI):
    """LightningCLI with the environment as a group of its own, shared by module and policy."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_subclass_arguments(RoutingEnv, "env", required=True)
        # On parse, not on instantiation: the plain config travels in the checkpoint, live objects
        # would be pickled into it.
        parser.link_arguments("env", "model.init_args.env")
        parser.link_arguments("env", "model.init_args.policy.init_args.env")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        super().parse_arguments(parser, args)
        self._checkpoint()  # Lightning reads it next, and takes any file for a sound one

    def _refuse_foreign_weights(self) -> None:
        found = self._checkpoint()
        if found is not None:
            path, checkpoint = found
            load_weights(self.model, checkpoint["state_dict"], path)

    before_fit = before_validate = before_test = before_predict = _refuse_foreign_weights

    def _checkpoint(self) -> tuple[Path, dict[str, Any]] | None:
        """The checkpoint that the command line names, if it does."""
        name = self.config[self.config["subcommand"]].get("ckpt_path")
        if name is None or name in ("best", "last", "hpc"):
            return None
        path = Path(name)
        checkpoint = read_checkpoint(path)
        if "state_dict" not in checkpoint or not {"config", DESCRIPTION} & checkpoint.keys():
            raise InputError(f"{path}: holds no training, expected a checkpoint of nco fit")
        return path, checkpoint


def configs(args: Sequence[str]) -> list[str]:
    """The configuration files that the words of a command line name."""
    after = [word for flag, word in pairwise(args) if flag in ("--config", "-c")]
    return after + [w.removeprefix("--config=") for w in args if w.startswith("--config=")]


def run(args: list[str] | None = None) -> NCOCLI:
    """
    Runs one of Lightning's subcommands.

    A configuration is a program of its owner: modules beside it can be named in it.

    Parameters
    ----------
    args
        As on the command line, the subcommand first.

    Raises
    ------
    InputError
        The configuration has unknown keys or unusable values, or a file cannot be used.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
        # The baseline policy, whose normalisation does not train.
        warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")
        # A resumed run logs into a folder of its own.
        warnings.filterwarnings("ignore", message="The dirpath has changed")
        # A run that goes on without the time limit of the one before.
        warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`, callbacks")
        for config in configs(args or []):
            make_importable(Path(config).parent)
        try:
            return NCOCLI(
                L.LightningModule,
                L.LightningDataModule,
                trainer_class=Trainer,
                subclass_mode_model=True,
                subclass_mode_data=True,
                seed_everything_default=1234,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
                save_config_callback=SaveConfig,
                save_config_kwargs={"overwrite": True},
                trainer_defaults={"callbacks": [Throughput()]},
                parser_kwargs={"allow_abbrev": False, "exit_on_error": False},
                args=args,
            )
        except Interrupted:
            raise KeyboardInterrupt from None
        except SIGTERMException:
            raise SystemExit(TERMINATED) from None  # it carries no exit code of its own
        except Exception as error:
            told = explained(error)
            if told is error:
                raise
            raise told from None
