"""Archives of named arrays, ``.npz`` and ``.safetensors``, read without trusting them."""

import math
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.limits import open_regular, require_unpacked

PROBLEM = "problem"  # where an archive says what its instances are instances of


@dataclass(frozen=True)
class Archive:
    """
    Named arrays, all of the same first dimension, and the name of the problem if it is stated.

    Parameters
    ----------
    problem
        Name of the problem.
    tensors
        The arrays.
    """

    problem: str | None
    tensors: dict[str, Tensor]


def read_archive(path: Path, rows: slice = slice(None)) -> Archive:
    """
    Reads an archive.

    Parameters
    ----------
    path
        The file; its suffix tells the kind.
    rows
        Which entries of the first dimension are wanted; ``.safetensors`` reads no others.

    Raises
    ------
    InputError
        The file is missing or broken, or its suffix unknown.
    """
    if path.suffix not in _READERS:
        raise InputError(f"{path}: unknown format, expected one of {', '.join(_READERS)}")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        return _READERS[path.suffix](path, rows)
    # A broken archive can fail in any way: zip directory, compression, header, shape, memory.
    except Exception as error:
        reason = (
            (str(error) or type(error).__name__).splitlines()[0].removeprefix(f"{path}: ")[:200]
        )
        raise InputError(f"{path}: no readable {path.suffix} archive ({reason})") from None


def write_archive(path: Path, archive: Archive) -> None:
    """
    Writes an archive, whole or not at all.

    Raises
    ------
    InputError
        The suffix is unknown, or the folder is missing or not writable.
    """
    if path.suffix not in _WRITERS:
        raise InputError(f"{path}: unknown format, expected one of {', '.join(_WRITERS)}")
    with atomic(path) as part:
        _WRITERS[path.suffix](part, archive)


def _read_npz(path: Path, rows: slice) -> Archive:
    with open_regular(path) as file, zipfile.ZipFile(file) as content:
        entries = content.infolist()
        packed = os.fstat(file.fileno()).st_size
        require_unpacked(sum(entry.file_size for entry in entries), packed, path)
        arrays = {entry.filename.removesuffix(".npy"): _npy(content, entry) for entry in entries}
        problem = arrays.pop(PROBLEM, None)
        tensors = {name: _tensor(array[rows]) for name, array in arrays.items()}
        return Archive(None if problem is None else str(problem), tensors)


def _npy(content: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """One array, of numbers or texts, from just the bytes that it needs."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(f"{entry.filename} is packed in a way that numpy does not use")
    with content.open(entry) as file:
        version = np.lib.format.read_magic(file)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if header is None:
            raise InputError(f"{entry.filename} has the format {version}, expected 1.0 or 2.0")
        shape, fortran, dtype = header(file)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise InputError(f"Object arrays cannot be loaded, {entry.filename} is one")
        if dtype.kind not in "biufUS" or min(shape, default=0) < 0:
            raise InputError(f"{entry.filename} holds {dtype.name}, expected numbers")
        if size > entry.file_size - file.tell():
            raise InputError(f"{entry.filename} is cut off, expected shape {list(shape)}")
        raw = bytearray(file.read(size))  # of its own, so that it can be written to
    if len(raw) < size:
        raise InputError(f"{entry.filename} is cut off, expected shape {list(shape)}")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")


def _read_safetensors(path: Path, rows: slice) -> Archive:
    open_regular(path).close()
    with safe_open(path, framework="pt") as content:
        tensors = {name: content.get_slice(name)[rows] for name in content.keys()}
        if odd := [name for name, value in tensors.items() if value.is_complex()]:
            raise InputError(f"{odd[0]} holds complex numbers, expected real ones")
        return Archive((content.metadata() or {}).get(PROBLEM), tensors)


def _tensor(array: np.ndarray) -> Tensor:
    """Unsigned integers as signed ones: torch computes with few of the unsigned kinds."""
    return torch.from_numpy(array.astype(np.int64) if array.dtype.kind == "u" else array)


def _write_npz(path: Path, archive: Archive) -> None:
    arrays: Mapping[str, np.ndarray] = {k: v.cpu().numpy() for k, v in archive.tensors.items()}
    named = {} if archive.problem is None else {PROBLEM: np.array(archive.problem)}
    with path.open("wb") as file:  # given a name, numpy would append a suffix
        np.savez_compressed(file, allow_pickle=False, **arrays, **named)


def _write_safetensors(path: Path, archive: Archive) -> None:
    tensors = {name: value.cpu().contiguous() for name, value in archive.tensors.items()}
    save_file(tensors, path, {} if archive.problem is None else {PROBLEM: archive.problem})


_READERS: dict[str, Callable[[Path, slice], Archive]] = {
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
}
_WRITERS: dict[str, Callable[[Path, Archive], None]] = {
    ".npz": _write_npz,
    ".safetensors": _write_safetensors,
}
