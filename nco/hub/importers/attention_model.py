"""
The checkpoints of "Attention, Learn to Solve Routing Problems!" (Kool et al. 2019).

A folder of the original code has ``args.json`` and ``epoch-*.pt``: a dictionary whose ``model`` is
a state dict; checkpoints of a training in progress also hold the optimizer and a pickled baseline.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.limits import read_bytes
from nco.hub.building import build
from nco.hub.card_text import MAX_CHARACTERS
from nco.hub.released import save_policy
from nco.hub.torch_file import read_torch_file
from nco.hub.weights import load_weights
from nco.policies import AttentionPolicy
from nco.policies.encoder import AttentionEncoder

# The names in args.json, to those of nco.envs.PROBLEMS.
PROBLEM_NAMES = {
    "tsp": "tsp",
    "cvrp": "cvrp",
    "sdvrp": "sdvrp",
    "op": "op",
    "pctsp_det": "pctsp",
    "pctsp_stoch": "spctsp",
}


def import_attention_model(directory: Path, out: Path) -> None:
    """
    Turns an original checkpoint into a released policy folder.

    Parameters
    ----------
    directory
        Folder with ``args.json`` and ``epoch-*.pt`` (the last epoch is taken).
    out
        New folder.

    Raises
    ------
    InputError
        A file is missing or foreign, or the model is of another kind.
    """
    args = _read_args(directory / "args.json")
    checkpoint = _last_epoch(directory)
    state = _state_dict(checkpoint)
    name = str(args.get("problem", ""))
    problem = next(
        (ours for theirs, ours in PROBLEM_NAMES.items() if name.startswith(theirs)), None
    )
    if problem is None:
        expected = ", ".join(PROBLEM_NAMES)
        raise InputError(f"{directory}/args.json: problem {name!r}, expected one of {expected}")
    settings = {
        "dim": args.get("embedding_dim", 128),
        "layers": args.get("n_encode_layers", 3),
        "norm": args.get("normalization", "batch"),
        "tanh_clipping": args.get("tanh_clipping", 10.0),
        "vehicle_features": False,
    }
    card: dict[str, Any] = {
        "env": {"class_path": "nco.envs.problem", "init_args": {"name": problem}},
        "policy": {"class_path": "nco.policies.AttentionPolicy", "init_args": settings},
        "training": {
            "source": "wouterkool/attention-learn-to-route",
            "checkpoint": f"{directory.name}/{checkpoint.name}",
            "graph_size": size if isinstance(size := args.get("graph_size"), int) else None,
        },
    }
    policy = build(card, directory / "args.json", state)[1]
    assert isinstance(policy, AttentionPolicy)
    try:
        ours = translate(state, policy)
        load_weights(policy, ours, checkpoint)
    # Tensors of other shapes fail wherever they are laid out anew.
    except Exception as error:
        reason = " ".join(str(error).split()).removeprefix(f"{checkpoint}: ")
        raise InputError(f"{checkpoint}: no Attention Model of this problem ({reason})") from None
    save_policy(out, policy, card)


def translate(state: Mapping[str, Tensor], policy: AttentionPolicy) -> dict[str, Tensor]:
    """
    The original parameters under our names.

    Three matrices are laid out anew: the heads' query, key and value maps as one; the output map
    as a plain matrix (its bias is zero); and the step context, which the original multiplies with
    the concatenation [node(s), scalars], as one block for each, so that nodes' shares are looked
    up in tables.

    Raises
    ------
    KeyError
        A parameter is missing.
    """
    encoder = policy.encoder
    assert isinstance(encoder, AttentionEncoder)
    dim = encoder.dim
    ours: dict[str, Tensor] = {}

    def copy(theirs: str, name: str, *parts: str) -> None:
        for part in parts:
            ours[f"{name}.{part}"] = state[f"{theirs}.{part}"]

    copy("init_embed", "encoder.embedding.customer", "weight", "bias")
    if encoder.embedding.depot is not None:
        copy("init_embed_depot", "encoder.embedding.depot", "weight", "bias")
    for i in range(len(encoder.layers)):
        theirs, name = f"embedder.layers.{i}", f"encoder.layers.{i}"
        maps = [state[f"{theirs}.0.module.W_{part}"] for part in ("query", "key", "val")]
        merged = [w.permute(0, 2, 1).reshape(dim, dim) for w in maps]
        ours[f"{name}.attention.qkv.weight"] = torch.cat(merged)
        ours[f"{name}.attention.out.weight"] = state[f"{theirs}.0.module.W_out"].reshape(dim, dim).T
        ours[f"{name}.attention.out.bias"] = torch.zeros(dim)
        copy(f"{theirs}.2.module.0", f"{name}.feed_forward.0", "weight", "bias")
        copy(f"{theirs}.2.module.2", f"{name}.feed_forward.2", "weight", "bias")
        for k, norm in ((1, "norm_attention"), (3, "norm_feed_forward")):
            statistics = ("weight", "bias", "running_mean", "running_var")
            copy(f"{theirs}.{k}.normalizer", f"{name}.{norm}.batch", *statistics)
            ours[f"{name}.{norm}.batch.num_batches_tracked"] = torch.tensor(0)
    count = len(policy.decoder.no_node)
    step = state["project_step_context.weight"]
    by_node = [step[:, k * dim : (k + 1) * dim] for k in range(count)]
    ours["decoder.node_tables.weight"] = torch.cat(
        [state["project_node_embeddings.weight"], *by_node]
    )
    blank = state.get("W_placeholder", torch.zeros(count * dim)).view(count, dim)
    ours["decoder.no_node"] = torch.stack([w @ b for w, b in zip(by_node, blank, strict=True)])
    if policy.decoder.scalars is not None:
        ours["decoder.scalars.weight"] = step[:, count * dim :]
    if policy.decoder.dynamic is not None:
        ours["decoder.dynamic.weight"] = state["project_node_step.weight"]
    ours["decoder.graph.weight"] = state["project_fixed_context.weight"]
    ours["decoder.out.weight"] = state["project_out.weight"]
    return ours


def _read_args(path: Path) -> dict[str, Any]:
    try:
        args = json.loads(read_bytes(path, MAX_CHARACTERS).decode())
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise InputError(f"{path}: cannot be read ({reason})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(args, dict):
        raise InputError(f"{path}: expected a JSON object")
    return args


def _last_epoch(directory: Path) -> Path:
    found = {
        int(path.stem.removeprefix("epoch-")): path
        for path in directory.glob("epoch-*.pt")
        if path.stem.removeprefix("epoch-").isdecimal()
    }
    if not found:
        raise InputError(f"{directory}: no epoch-*.pt in it, expected a checkpoint")
    return found[max(found)]


def _state_dict(path: Path) -> dict[str, Tensor]:
    """The model's tensors; pickled modules beside them are read as inert stubs."""
    checkpoint = read_torch_file(path, inert=True)
    state = checkpoint.get("model") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path}: no state dict under 'model'")
    return state
