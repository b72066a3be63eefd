"""Builds the CPU kernels with the package; everything else is in pyproject.toml."""

import os
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

ROOT = Path(__file__).parent
BUILD = runpy.run_path(str(ROOT / "data/kernel_build.py"))
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")


class BuildKernels(build_ext):
    """
    One library for each variant, loaded by ctypes: no module of Python.

    By a compiler that takes GCC's options (``CXX``, c++, g++, clang++) and has its vectors;
    MSVC has not. Without one, nco is installed all the same and computes with plain PyTorch.
    """

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count() or 1

    def build_extensions(self) -> None:
        self.compile, self.macros = find_compiler()
        self.extensions = [e for e in self.extensions if self.applies(e)]
        super().build_extensions()

    def applies(self, ext: Extension) -> bool:
        """Whether a variant is one for the kind of processor that the compiler compiles for."""
        machines = BUILD["VARIANTS"][ext.name.rpartition(".")[2]].machines
        return not machines or any(f"__{machine}__" in self.macros for machine in machines)

    def get_ext_filename(self, fullname: str) -> str:
        return os.path.join(*fullname.split(".")) + SUFFIX

    def build_extension(self, ext: Extension) -> None:
        name = ext.name.rpartition(".")[2]
        variant = BUILD["VARIANTS"][name]
        if not self.compile:
            raise CompileError(
                "no C++ compiler with GCC's options (CXX, c++, g++, clang++): nco is installed "
                "without CPU kernels and computes with plain PyTorch"
            )
        target, digest = Path(self.get_ext_fullpath(ext.name)), BUILD["digest"](ROOT)
        if target.exists() and digest.encode() in target.read_bytes():
            return
        objects = Path(self.build_temp) / name
        objects.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        # PyTorch's own pool of threads serves. Its library is in the process already, so that
        # none is linked: where PyTorch came without, `nco.data.native` says so.
        threads = ["-fopenmp"] if self.openmp else []
        options = [*BUILD["OPTIONS"], *threads, *variant.options, f'-DNCO_SOURCES="{digest}"']
        made = []
        for source in ext.sources:
            made.append(str(objects / Path(source).with_suffix(".o").name))
            command = [*self.compile, *options, "-I", str(ROOT / "data/kernels"), "-c"]
            self._call([*command, str(ROOT / source), "-o", made[-1]])
        self._call([*self.compile, "-shared", *made, "-o", str(target)])

    @property
    def openmp(self) -> bool:
        """Whether the compiler writes calls of the OpenMP library that PyTorch brings."""
        return sys.platform == "linux" and "__clang__" not in self.macros

    def copy_extensions_to_source(self) -> None:
        (ROOT / "nco/_kernels").mkdir(exist_ok=True)
        super().copy_extensions_to_source()

    def _call(self, command: list[str]) -> None:
        self.announce(shlex.join(command), level=2)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompileError(f"{shlex.join(command)}\n{done.stderr[-2000:]}")


class PlatformWheel(bdist_wheel):
    """A wheel for one platform and any version of Python: the libraries know nothing of it."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


def find_compiler() -> tuple[list[str], set[str]]:
    """How to call the C++ compiler, and the macros that it defines; nothing where there is none."""
    names = ["clang++"] if sys.platform == "win32" else ["c++", "g++", "clang++"]
    found = os.environ.get("CXX") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        return [], set()
    command = [*shlex.split(found), *shlex.split(os.environ.get("ARCHFLAGS", ""))]
    probe = [*command, "-dM", "-E", "-x", "c++", os.devnull]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return [], set()
    lines = (line.split() for line in done.stdout.splitlines())
    return command, {words[1] for words in lines if len(words) > 1}


FILES = [str(path.relative_to(ROOT)) for path in BUILD["sources"](ROOT)]
setup(
    ext_modules=[
        Extension(
            f"nco._kernels.{name}",
            [file for file in FILES if file.endswith(".cpp")],
            depends=[file for file in FILES if not file.endswith(".cpp")],
            optional=True,
        )
        for name in BUILD["VARIANTS"]
    ],
    cmdclass={"build_ext": BuildKernels, "bdist_wheel": PlatformWheel},
)
