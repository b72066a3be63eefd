"""The weights of a policy: from a released folder, or from a checkpoint of ``nco fit``."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from nco.data.errors import InputError

WEIGHTS = "model.safetensors"  # of a released policy
DESCRIPTION = "described"  # key of a checkpoint: env, policy and model as YAML text
UNDESCRIBED = "undescribed"  # key of a checkpoint: why it has no description


def load_weights(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """
    Gives a module the weights that were read from ``path``.

    Raises
    ------
    InputError
        They do not fit.
    """
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        misfits = str(error).splitlines()[1:] or [str(error)]  # below a headline
        first = shorten(misfits[0], 150, placeholder=" ...")
        raise InputError(f"{path}: weights do not fit the architecture ({first})") from None


def policy_weights(path: Path) -> dict[str, Tensor]:
    """
    The weights of a policy, in single precision where they are stored in less.

    Parameters
    ----------
    path
        A training checkpoint, or the folder of a released policy.

    Raises
    ------
    InputError
        The file is missing, is no checkpoint, or holds no policy.
    """
    if path.is_dir():
        try:
            stored = load_file(path / WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path / WEIGHTS}: no readable weights ({error})") from None
        # Counters (batches seen by a normalisation) are integers and stay so.
        return {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}
    checkpoint = read_checkpoint(path)
    prefix = "policy."
    state = checkpoint.get("state_dict")
    found = {
        name.removeprefix(prefix): value
        for name, value in (state.items() if isinstance(state, Mapping) else ())
        if name.startswith(prefix) and isinstance(value, Tensor)
    }
    if not found:
        raise InputError(f"{path}: no weights of a policy, expected a checkpoint of nco fit")
    return found


def read_checkpoint(path: Path) -> dict[str, Any]:
    """
    A training checkpoint, read without running any code that is in it.

    Raises
    ------
    InputError
        The file is missing or is no checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected a checkpoint") from None
    except Exception as error:  # torch reports foreign files by whatever its readers raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: {reason}, expected a checkpoint of nco fit") from None
    if not isinstance(checkpoint, dict):
        raise InputError(f"{path}: holds no dictionary, expected a checkpoint of nco fit")
    return checkpoint
