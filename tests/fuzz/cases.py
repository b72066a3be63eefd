"""Sound files of every kind, and what reads each of them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.decoding import MultiStart
from nco.envs import PROBLEMS, problem
from nco.evaluation.references import read_references
from nco.hub.importers import import_attention_model
from nco.hub.released import CARD, WEIGHTS, load_policy, save_policy
from tests.data.test_fuzz import CASES
from tests.policies.small import small_policy


@dataclass(frozen=True)
class Case:
    """
    A kind of file.

    Parameters
    ----------
    suffix
        Of its name.
    make
        Its content, made or found with the help of an empty folder.
    use
        Reads a file of this kind and goes on as a command would.
    """

    suffix: str
    make: Callable[[Path], bytes]
    use: Callable[[Path], object]


SMALL: dict[str, Any] = {"dim": 8, "heads": 2, "layers": 1, "hidden": 8}


def card() -> dict[str, Any]:
    policy = {"class_path": "nco.policies.AttentionPolicy", "init_args": SMALL | {"norm": "batch"}}
    env = {"class_path": "nco.envs.problem", "init_args": {"name": "cvrp", "published": False}}
    return {"env": env, "policy": policy, "training": {"epoch": 1}, "measured": {"gap": 1.5}}


def released(folder: Path) -> Path:
    """A released folder."""
    target = folder / "released"
    if not target.exists():
        save_policy(target, small_policy(problem("cvrp"), 3, **SMALL, norm="batch"), card())
    return target


def decode(folder: Path) -> None:
    """Loads a policy and solves a small instance with it."""
    found = load_policy(folder)
    env = problem("cvrp")
    found.require(env)
    instance = PROBLEMS["cvrp"].generator(5)(1, seeded(1))
    try:
        with torch.no_grad():
            MultiStart(2)(env, found.policy, instance, seeded(2)).best()
    except FloatingPointError as error:  # one line and exit code 2 of the command, too
        raise InputError(str(error)) from None


def _use_part(name: str) -> Callable[[Path], None]:
    """Puts a file in its place in a released folder, and uses that."""

    def use(path: Path) -> None:
        folder = path.with_name("place")
        folder.mkdir(exist_ok=True)
        source = released(path.parent)
        for part in (CARD, WEIGHTS):
            (folder / part).write_bytes((path if part == name else source / part).read_bytes())
        decode(folder)

    return use


def _checkpoint(folder: Path) -> bytes:
    described = card()
    settings = {"policy": described["policy"]}
    model = {"class_path": "nco.training.REINFORCE", "init_args": settings}
    config = yaml.safe_dump({"env": described["env"], "model": model, "data": {}})
    policy = small_policy(problem("cvrp"), 3, **SMALL, norm="batch")
    state = {f"policy.{name}": value for name, value in policy.state_dict().items()}
    content = {"state_dict": state, "config": config, "epoch": 1, "global_step": 2}
    torch.save(content, folder / "x.ckpt")
    return (folder / "x.ckpt").read_bytes()


ARGS = {"problem": "cvrp", "embedding_dim": 8, "n_encode_layers": 1, "normalization": "batch"}


def _published(folder: Path, new: bool = True) -> bytes:
    """A checkpoint of the Attention Model's code with the wrong tensors: read, then refused."""
    state = {"init_embed.weight": torch.ones(8, 3), "W_placeholder": torch.ones(16)}
    torch.save({"model": state}, folder / "x.pt", _use_new_zipfile_serialization=new)
    return (folder / "x.pt").read_bytes()


def _import(path: Path) -> None:
    folder = path.with_name("published")
    folder.mkdir(exist_ok=True)
    held = path.read_bytes()
    is_args = path.suffix == ".json"
    (folder / "args.json").write_bytes(held if is_args else json.dumps(ARGS).encode())
    (folder / "epoch-1.pt").write_bytes(_published(path.parent) if is_args else held)
    import_attention_model(folder, path.with_name("imported"))


def _references(folder: Path) -> bytes:
    return b"instance,cost\nmutated,12.5\nother,7\n"


def all_cases() -> dict[str, Case]:
    """All kinds of files; those of public benchmarks only where these are."""
    found = {name: Case(*row) for name, row in CASES.items()}
    text_card = lambda folder: yaml.safe_dump(card()).encode()  # noqa: E731
    weights = lambda folder: (released(folder) / WEIGHTS).read_bytes()  # noqa: E731
    found |= {
        "card": Case(".yaml", text_card, _use_part(CARD)),
        "weights": Case(".safetensors", weights, _use_part(WEIGHTS)),
        "checkpoint": Case(".ckpt", _checkpoint, decode),
        "published": Case(".pt", _published, _import),
        "published before 1.6": Case(".pt", lambda folder: _published(folder, False), _import),
        "args": Case(".json", lambda folder: json.dumps(ARGS).encode(), _import),
        "references": Case(".csv", _references, read_references),
    }
    return found
