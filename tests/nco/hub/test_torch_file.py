"""Checkpoints are data: read as torch does, and refused where they reach beyond themselves."""

import io
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nco.data.errors import InputError
from nco.envs import problem
from nco.hub.released import WEIGHTS, load_policy, save_policy
from nco.hub.torch_file import InertObject, read_torch_file
from nco.hub.weights import load_weights
from tests.memory import refused_within
from tests.nco.cli.conftest import SQUARE, Run, run  # noqa: F401  a fixture
from tests.nco.hub.test_released import OPTIONS, card
from tests.policies.small import small_policy


def same(first: Any, second: Any) -> bool:
    """Whether two objects of tensors and containers are equal."""
    if isinstance(first, Tensor):
        return (
            isinstance(second, Tensor)
            and first.dtype == second.dtype
            and (torch.equal(first, second) and first.shape == second.shape)
        )
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def state() -> dict[str, Any]:
    """What a training leaves: weights of every kind, an optimizer, counters, a configuration."""
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.rand(5, 3)).sum().backward()
    optimizer.step()
    base = torch.arange(24.0)
    kinds = (torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.uint8, torch.bool)
    return {
        "state_dict": net.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "views": [base.view(4, 6).T, base[3:5], base[:0], base[5], base[::2]],
        "kinds": [torch.ones(3, dtype=kind) for kind in kinds],
        "parameter": nn.Parameter(torch.ones(2)),
        "counts": OrderedDict(a=1),
        "config": "text " * 1000,
        "epoch": 3,
        "loss": 1.5,
        "size": torch.Size([1, 2]),
        "steps": Counter(a=2),
    }


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before 1.6"])
def test_read_as_torch_reads_them(new: bool, tmp_path: Path) -> None:
    """Both formats of torch.save, with every kind of number, views and optimizers."""
    content, path = state(), tmp_path / "x.ckpt"
    torch.save(content, path, _use_new_zipfile_serialization=new)
    found = read_torch_file(path)
    found["size"], found["steps"] = torch.Size(found["size"]), Counter(found["steps"])
    assert same(torch.load(path, weights_only=False), found) and same(content, found)


class Unknown:
    """A class that no reader should make."""

    def __init__(self) -> None:
        self.x = [torch.ones(2)]


def test_unknown_classes_are_inert_or_refused(tmp_path: Path) -> None:
    """Beside a state dict, a pickled object is refused, or read as one that does nothing."""
    path = tmp_path / "x.pt"
    torch.save({"model": {"w": torch.ones(2)}, "baseline": Unknown(), "t": {int: 1}}, path)
    with pytest.raises(InputError, match=r"asks for .*Unknown, expected tensors"):
        read_torch_file(path)
    found = read_torch_file(path, inert=True)
    assert torch.equal(found["model"]["w"], torch.ones(2))
    assert type(found["baseline"]) is InertObject and not vars(found["baseline"])


def zipped(path: Path, pickled: bytes, data: bytes = b"\0" * 16, packed: bool = False) -> None:
    """A file in torch's format with a pickle of our own and one storage."""
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + pickled + b".")
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/data/0", data)
        archive.writestr("archive/version", "3\n")


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def storage(count: int, kind: str = "FloatStorage", key: str = "0") -> bytes:
    entry = text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
    return b"(" + entry + b"I%d\ntQ" % count


def tensor(size: int, stride: int = 1, offset: int = 0, of: bytes = storage(4)) -> bytes:
    shape = b"I%d\n(I%d\nt(I%d\nt" % (offset, size, stride)
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + of
        + shape
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )


HOSTILE = {
    "beyond its storage": tensor(5),
    "beyond by an offset": tensor(4, offset=1),
    "beyond by a stride": tensor(2, stride=4),
    "a billion of one number": tensor(10**9, stride=0),
    "a negative stride": tensor(2, stride=-1, offset=3),
    "a negative offset": tensor(2, offset=-4),
    "a storage of more bytes": tensor(4, of=storage(10**9)),
    "a storage of fewer bytes": tensor(1, of=storage(1)),
    "a storage of another kind": tensor(4, of=storage(4, "DoubleStorage")),
    "a storage that is not there": tensor(4, of=storage(4, key="7")),
    "a storage of another folder": tensor(4, of=storage(4, key="../data.pkl")),
    "the state of a tensor": tensor(4) + b"(" + storage(4) + b"I0\n(I9\nt(I1\nttb",
    "the state of a function": b"ctorch._utils\n_rebuild_tensor_v2\nN}"
    + text("__defaults__")
    + b"K\x01s\x86b",
    "a call": b"cposix\nsystem\n(" + text("true") + b"tR",
    "torch.load": b"ctorch\nload\n(" + text("x") + b"tR",
    "a byte array of a size": b"cbuiltins\nbytearray\n(I10000000000\ntR",
    "a memo of 10 GB": b"]r" + struct.pack("<I", 0x2000_0000),
    "tuples as keys": b"}K\x01"
    + b"".join(b"q%c(h%ch%ct" % (k, k, k) for k in range(60))
    + b"K\x01s",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_checkpoints_are_refused(kind: str, tmp_path: Path) -> None:
    """One line names the file, and hardly any memory is taken."""
    path = tmp_path / "x.ckpt"
    zipped(path, HOSTILE[kind])
    found = refused_within(lambda: load_policy(path), 60, InputError)
    assert "x.ckpt" in found and "expected a checkpoint of nco fit" in found and "\n" not in found
    for inert in (False, True):
        if kind not in ("a call", "torch.load") or not inert:
            refused_within(lambda inert=inert: read_torch_file(path, inert), 60, InputError)


def test_packed_checkpoints_are_refused(tmp_path: Path) -> None:
    """A file of some hundred kilobytes that would unfold to gigabytes."""
    path = tmp_path / "x.ckpt"
    zipped(path, tensor(10**8, of=storage(10**8)), b"\0" * (4 * 10**8), packed=True)
    assert path.stat().st_size < 10**6
    assert "compressed entries" in refused_within(lambda: load_policy(path), 60, InputError)


def test_old_checkpoints_with_storages_beyond_their_end(tmp_path: Path) -> None:
    """In the format before torch 1.6, a storage of 4 GB in a file of a few hundred bytes."""
    path = tmp_path / "x.ckpt"
    out = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(part, out, 2)
    out.write(b"\x80\x02" + tensor(10**9, of=storage(10**9)) + b".")
    pickle.dump(["0"], out, 2)
    path.write_bytes(out.getvalue())
    assert "beyond its end" in refused_within(lambda: load_policy(path), 60, InputError)


SPOILT = {
    "a NaN": (lambda w: w.view(-1)[3:4].fill_(float("nan")), r"nan among its numbers \(1 of"),
    "infinity": (lambda w: w.view(-1)[:2].fill_(-float("inf")), r"-inf among its numbers \(2 of"),
}


@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize("name", ["encoder.embedding.customer.weight", "decoder.out.weight"])
def test_weights_that_are_no_numbers_are_named(kind: str, name: str, tmp_path: Path) -> None:
    """A released folder and a checkpoint with NaN or infinity say which weight it is."""
    policy = small_policy(problem("cvrp"), 3, **OPTIONS)
    spoil, message = SPOILT[kind]
    spoil(policy.state_dict()[name])
    save_policy(tmp_path / "p", policy, card())
    with pytest.raises(InputError, match=f"weight {name}: {message}"):
        load_policy(tmp_path / "p")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "encoder.layers.0.norm_attention.batch.running_var",
            lambda w: -w - 1,
            r"-\d.*among its numbers .* finite",
        ),
        ("decoder.out.weight", lambda w: w.long(), "int64, expected float32"),
        ("decoder.out.weight", lambda w: w.to(torch.complex64), "complex64, expected float32"),
        ("encoder.layers.0.norm_attention.batch.num_batches_tracked", lambda w: w.float(), "int64"),
        ("decoder.out.weight", lambda w: w[:-1], "size mismatch"),
        ("decoder.out.weight", lambda w: w.double() * 1e300, "inf among its numbers"),
    ],
)
def test_weights_of_another_kind(name: str, change: Any, message: str, tmp_path: Path) -> None:
    """Integers for numbers, other shapes, negative variances: refused by the name of the weight."""
    save_policy(tmp_path / "p", small_policy(problem("cvrp"), 3, **OPTIONS), card())
    weights = load_file(tmp_path / "p" / WEIGHTS)
    weights[name] = change(weights[name]).contiguous()
    save_file(weights, tmp_path / "p" / WEIGHTS)
    with pytest.raises(InputError, match=message) as error:
        load_policy(tmp_path / "p")
    assert name in str(error.value) and "\n" not in str(error.value)


def test_the_command_names_a_spoilt_weight(tmp_path: Path, run: Run) -> None:  # noqa: F811
    """`nco solve` with NaN weights is one line and exit code 2."""
    policy = small_policy(problem("cvrp"), 3, **OPTIONS)
    policy.state_dict()["decoder.out.weight"].fill_(float("nan"))
    save_policy(tmp_path / "p", policy, card())
    (tmp_path / "square.vrp").write_text(SQUARE)
    result = run("solve", "square.vrp", "--solver", "policy", "--policy", "p")
    (line,) = result.err.splitlines()
    assert result.code == 2 and "p: weight decoder.out.weight: nan" in line


def test_the_command_names_weights_that_overflow(tmp_path: Path, run: Run) -> None:  # noqa: F811
    """Finite weights with which a network computes infinities: one line and exit code 2."""
    policy = small_policy(problem("cvrp"), 3, **OPTIONS)
    for name in ("encoder.embedding.customer.weight", "decoder.out.weight"):
        policy.state_dict()[name].fill_(1e38)
    save_policy(tmp_path / "p", policy, card())
    (tmp_path / "square.vrp").write_text(SQUARE)
    for words in (["solve", "square.vrp", "--solver", "policy"], ["evaluate", "--problem", "cvrp"]):
        result = run(*words, "--policy", "p")
        (line,) = result.err.splitlines()
        assert result.code == 2 and "not finite" in line


def test_sound_weights_are_loaded() -> None:
    """Every kind of weight that the package writes passes."""
    for seed in range(2):
        policy = small_policy(problem("cvrp"), seed, **OPTIONS)
        load_weights(policy, policy.state_dict(), Path("p"))
