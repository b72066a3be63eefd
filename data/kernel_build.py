"""
The builds of the CPU kernels: for which processors, from which sources, with which options.

``setup.py`` compiles them (and reads this file by its path, so that nothing of nco is imported
here); `nco.data.native` chooses one of them.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

# Sources, in a checkout.
FOLDERS = ("data/kernels", "envs/kernels", "policies/kernels", "nco/solvers/sisr/kernels")
OPTIONS = (
    *("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fPIC"),
    "-fvisibility=hidden",  # what Python calls is exported by name
)

_AVX2 = ("-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2", "-mlzcnt", "-mmovbe")
_AVX512 = (
    *(*_AVX2, "-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl"),
    "-mprefer-vector-width=512",
)


class Variant(NamedTuple):
    """
    One build of all kernels.

    Parameters
    ----------
    machines
        The compiler's names of the architectures that it is for; empty: all.
    feature
        Bit of ``processor()`` in processor.cpp that a processor must have; 0: none.
    options
        Of the compiler.
    """

    machines: tuple[str, ...]
    feature: int
    options: tuple[str, ...]


# The first one that is built and that the processor has is taken.
VARIANTS = {
    "amx": Variant(("x86_64",), 4, (*_AVX512, "-mamx-tile", "-mamx-bf16")),
    "avx512": Variant(("x86_64",), 2, _AVX512),
    "avx2": Variant(("x86_64",), 1, (*_AVX2, "-mtune=haswell")),
    "neon": Variant(("aarch64",), 8, ()),
    "portable": Variant((), 0, ("-DNCO_PORTABLE",)),
}


def sources(root: Path) -> list[Path]:
    """All files that the kernels are compiled from; none where there is no checkout."""
    return sorted(file for folder in FOLDERS for file in (root / folder).glob("*.[ch]*"))


def digest(root: Path) -> str:
    """Of all sources and options, in hexadecimal digits."""
    found = hashlib.sha256(repr((OPTIONS, VARIANTS)).encode())
    for file in sources(root):
        found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:16]
