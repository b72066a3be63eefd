"""Pickles are data: nothing that they ask for is run, and broken ones are told in one line."""

import builtins
import os
import pickle
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nco.data.errors import InputError
from nco.data.formats.datasets.pkl import read_pkl
from nco.data.recipes import write_attention_model
from nco.data.unpickle import loads, unpickle

PLAIN = [
    [([0.5, 0.25], [[1.0, 2.0]], [3], 30.0)],
    {"a": (1, 2.5, None, True, "text", b"bytes")},
    {1, 2, 3},
    frozenset("ab"),
    OrderedDict(x=1),
    1 + 2j,
    bytearray(b"abc"),
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_data_come_back(value: Any, protocol: int) -> None:
    """Containers, numbers and strings are read in every protocol."""
    again = loads(pickle.dumps(value, protocol))
    assert again == value and type(again) is type(value)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_come_back(protocol: int) -> None:
    """Arrays of any order and kind, scalars and dtypes are read, also under numpy's old names."""
    arrays = [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(["a", "bc"]),
        np.float32(1.5),
        np.int64(7),
    ]
    content = pickle.dumps(arrays, protocol)
    old = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    for bytes_ in (content, old) if protocol == 2 else (content,):
        for first, again in zip(arrays, loads(bytes_), strict=True):
            assert first.dtype == again.dtype and np.array_equal(first, again)


class Evil:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


CALLS = {
    "posix.system": Evil(os.system, "echo no"),
    "builtins.eval": Evil(builtins.eval, "1 + 1"),
    "builtins.getattr": Evil(getattr, [], "append"),
    "builtins.__import__": Evil(__import__, "os"),
    "subprocess.Popen": Evil(subprocess.Popen, ["true"]),
    "numpy.load": Evil(np.load, "x"),
    "torch._utils._rebuild_tensor_v2": torch.zeros(1),
    "pathlib": Path("x"),
}


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [([0.5, 0.5], x)], lambda x: {"k": x}])
@pytest.mark.parametrize("name", CALLS)
def test_calls_are_refused(name: str, wrap: Any) -> None:
    """A pickle that asks for a function or class, however deep, is refused, and it is named."""
    with pytest.raises(InputError, match=f"the pickle asks for {name}.*expected plain lists"):
        loads(pickle.dumps(wrap(CALLS[name])))


def test_nothing_is_run(tmp_path: Path) -> None:
    """The file that a malicious data set would create is not there after reading it."""
    mark, path = tmp_path / "mark", tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps([Evil(os.system, f"touch {mark}")]))
    with pytest.raises(InputError, match=r"evil\.pkl: the pickle asks for posix\.system"):
        read_pkl(path)
    assert not mark.exists()


def test_codecs_are_not_looked_up() -> None:
    """Of the codecs, which are modules that could be imported, only latin1 is there."""
    with pytest.raises(InputError, match="asks for the codec 'rot13', expected latin1"):
        loads(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.")


@pytest.mark.parametrize(
    "content",
    [b"", b"not a pickle", b"\x80\x05", b"\x80\xff.", pickle.dumps([1, 2, 3])[:-2], b"." * 9],
)
def test_broken_pickles_are_told(content: bytes, tmp_path: Path) -> None:
    """An empty, foreign or truncated file is one line with its name."""
    path = tmp_path / "broken.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.pkl: not a readable pickle") as caught:
        unpickle(path)
    assert "\n" not in str(caught.value)


def test_missing_files_are_told(tmp_path: Path) -> None:
    """A missing file or a folder is one line with its name."""
    with pytest.raises(InputError, match=r"none\.pkl: no such file"):
        unpickle(tmp_path / "none.pkl")
    with pytest.raises(InputError, match="cannot be read, Is a directory"):
        unpickle(tmp_path)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("good")
    files = {}
    for name in ("tsp", "cvrp", "op", "pctsp"):
        write_attention_model(name, 20, 1234, 2, "unif", folder / "set.pkl")
        files[name] = (folder / "set.pkl").read_bytes()
    return files


@settings(max_examples=600, deadline=None)
@given(
    name=st.sampled_from(["tsp", "cvrp", "op", "pctsp"]),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=3)), min_size=1, max_size=3),
    cut=st.floats(0.5, 1),
)
def test_mutated_files_end_in_one_line(
    good: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    edits: list[tuple[float, bytes]],
    cut: float,
) -> None:
    """Whatever bytes of a data set are changed or cut off, it is read or refused in one line."""
    content = bytearray(good[name])
    for where, bytes_ in edits:
        at = int(where * len(content))
        content[at : at + len(bytes_)] = bytes_
    if cut < 0.75:
        content = content[: int(cut * len(content))]
    path = tmp_path_factory.getbasetemp() / "mutated.pkl"
    path.write_bytes(content)
    try:
        read_pkl(path)
    except InputError as error:
        assert "\n" not in str(error) and "mutated.pkl" in str(error)
