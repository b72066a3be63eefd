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
from nco.data.limits import open_regular
from nco.hub.torch_file import read_torch_file

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
    own = module.state_dict()
    for name, value in state.items():
        if name in own:
            require_sound(f"{path}: weight {name}", value, own[name])
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        misfits = str(error).splitlines()[1:] or [str(error)]  # below a headline
        first = shorten(misfits[0], 150, placeholder=" ...")
        raise InputError(f"{path}: weights do not fit the architecture ({first})") from None


def require_sound(where: str, value: Tensor, own: Tensor) -> None:
    """
    Refuses a tensor of another kind than its place, or with numbers that no network computes with.

    Raises
    ------
    InputError
        It holds NaN or infinity, negative variances, or integers for floats and the reverse.
    """
    if value.layout is not torch.strided or value.is_floating_point() != own.is_floating_point():
        kind = f"{value.dtype}".removeprefix("torch.")
        raise InputError(f"{where}: {kind}, expected {own.dtype}".replace("torch.", ""))
    odd = ~value.isfinite()
    if where.endswith("running_var"):
        odd |= value < 0
    if bool(odd.any()):
        found = float(value[odd][0])
        raise InputError(
            f"{where}: {found:g} among its numbers ({int(odd.sum())} of {value.numel()}), expected "
            "finite ones"
        )


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
            open_regular(path / WEIGHTS).close()
            stored = load_file(path / WEIGHTS)
        except InputError as error:
            reason = str(error).removeprefix(f"{path / WEIGHTS}: ")
            raise InputError(f"{path / WEIGHTS}: no readable weights ({reason})") from None
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
        checkpoint = read_torch_file(path)
    except InputError as error:
        raise InputError(f"{error}, expected a checkpoint of nco fit") from None
    if not isinstance(checkpoint, dict):
        raise InputError(f"{path}: holds no dictionary, expected a checkpoint of nco fit")
    return checkpoint
