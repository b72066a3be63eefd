"""``nco export``: a training checkpoint becomes a released policy."""

from pathlib import Path
from typing import Literal

Dtype = Literal["float32", "float16", "bfloat16"]


def export(
    checkpoint: Path,
    directory: Path,
    dtype: Dtype = "float32",
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """
    Turns a checkpoint of nco fit into a released policy: model.safetensors and policy.yaml.

    Parameters
    ----------
    checkpoint
        Checkpoint of nco fit.
    directory
        New folder.
    dtype
        Of the stored weights; half precision halves the file.
    overwrite
        Replaces a released policy that is there already.
    json
        Print JSON: directory and megabytes.
    """
    import torch

    from nco.cli.tables import print_json
    from nco.hub.released import load_policy, save_policy

    released = load_policy(checkpoint)
    save_policy(directory, released.policy, released.card, getattr(torch, dtype), overwrite)
    size = sum(part.stat().st_size for part in directory.iterdir()) / 1e6
    if json:
        print_json({"directory": str(directory), "megabytes": size})
    else:
        print(f"{directory}: {size:.1f} MB")
    return 0
