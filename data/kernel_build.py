"""Kernels in C++ for the CPU, compiled at the first use by the system's compiler."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-shared", "-fPIC")
ALONE = 50_000  # elements: waking threads takes longer than some thousands of them


def build(folder: Path) -> ctypes.CDLL | None:
    """
    The compiled files of a folder; None where there is no compiler, or ``NCO_KERNELS`` is 0.

    They are built once per machine into the user's cache. Whoever asks has another way, in plain
    PyTorch, that gives the same results.
    """
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or os.environ.get("NCO_KERNELS") == "0":
        return None
    texts = [path.read_bytes() for path in sorted(folder.glob("*.[ch]*"))]
    what = (*texts, *(f.encode() for f in FLAGS), platform.processor().encode(), _cpu().encode())
    name = hashlib.sha256(b"\0".join(what)).hexdigest()[:16]
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nco"
    target = cached / f"kernels-{name}.so"
    try:
        if not target.exists():
            cached.mkdir(parents=True, exist_ok=True)
            _compile(compiler, folder, target)
        return ctypes.CDLL(str(target))
    except OSError:
        return None  # no home to write to, or nothing that can be loaded


@cache
def _cpu() -> str:
    """The model of the processor, where the system tells: code is built for it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return "".join(line for line in lines[:30] if line.startswith(("model name", "flags")))


def _compile(compiler: str, folder: Path, target: Path) -> None:
    """Builds under a temporary name: other processes may build at the same moment."""
    sources = sorted(map(str, folder.glob("*.cpp")))
    for parallel in (("-fopenmp",), ()):  # PyTorch's own pool of threads serves, where it is OpenMP
        handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".so")
        os.close(handle)
        command = [compiler, *FLAGS, *parallel, *sources, "-o", temporary]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode == 0:
            os.replace(temporary, target)
            return
        os.unlink(temporary)
    raise OSError(f"{compiler}: cannot build {folder}")


def arguments(*values: Tensor | float | None) -> list[Any]:
    """For a kernel: places of contiguous tensors, null for None, whole numbers, real ones."""
    return [argument(value) for value in values]


def argument(value: Tensor | float | None) -> Any:
    """One of `arguments`."""
    if value is None or isinstance(value, Tensor):
        return at(value)
    return ctypes.c_int64(value) if isinstance(value, int) else ctypes.c_float(value)


def at(t: Tensor | None) -> ctypes.c_void_p:
    """Where a tensor's numbers begin; null for None."""
    return ctypes.c_void_p(None if t is None else t.data_ptr())


def threads(work: int) -> ctypes.c_int64:
    """Threads for so many elements."""
    return ctypes.c_int64(1 if work < ALONE else torch.get_num_threads())
