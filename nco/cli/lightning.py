"""The Lightning half of the command line: fit, validate, test, predict."""

from typing import Any

import lightning as L
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback

import nco.data.generators
import nco.decoding
import nco.policies
import nco.training  # noqa: F401  short class names in YAML resolve among imported classes
from nco.envs import RoutingEnv

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


def run(args: list[str] | None = None) -> NCOCLI:
    """
    Runs one of Lightning's subcommands.

    Parameters
    ----------
    args
        As on the command line, the subcommand first.
    """
    return NCOCLI(
        L.LightningModule,
        L.LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=1234,
        auto_configure_optimizers=False,
        load_from_checkpoint_support=False,
        save_config_callback=SaveConfig,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"allow_abbrev": False},
        args=args,
    )
