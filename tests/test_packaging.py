"""The distribution: what is listed, what a wheel holds, what a checkout may not contain."""

import importlib
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from shutil import which

import pytest

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FOLDERS = SETUPTOOLS["package-dir"]


def modules() -> Iterator[tuple[str, Path]]:
    """Every module's import name and file."""
    for name, folder in FOLDERS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            yield ".".join([name, *(part for part in parts if part != "__init__")]), file


def test_every_package_is_listed() -> None:
    """
    pyproject.toml lists every folder of modules: one left out works in an editable install and
    is missing from the wheel.
    """
    found = {
        ".".join([name, *file.parent.relative_to(ROOT / folder).parts])
        for name, folder in FOLDERS.items()
        for file in (ROOT / folder).rglob("*.py")
    }
    assert found == set(SETUPTOOLS["packages"])


# Importing __main__ runs the command: tests/nco/cli does so.
@pytest.mark.parametrize("name", [name for name, _ in modules() if "__main__" not in name])
def test_every_module_imports_on_its_own_name(name: str) -> None:
    """Every module imports under ``nco``, and is the file of this checkout."""
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert ROOT in Path(module.__file__).resolve().parents


def test_the_command_is_installed() -> None:
    """The ``nco`` command points at `nco.cli.main`."""
    (command,) = entry_points(group="console_scripts", name="nco")
    assert command.value == "nco.cli:main"


def build_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--quiet", "-w", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_the_wheel_is_complete(tmp_path: Path) -> None:
    """A wheel holds every module, configuration, example and released policy, and no test."""
    held = set(zipfile.ZipFile(build_wheel(tmp_path)).namelist())
    for name, folder in sorted(FOLDERS.items(), key=lambda item: len(item[0])):
        suffixes = {".py", ".yaml", ".safetensors", ".vrp", ".sol", ".csv", ".typed"}
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and file.suffix in suffixes:
                inside = "/".join([*name.split("."), *file.relative_to(ROOT / folder).parts])
                assert inside in held
    assert {name.split("/")[0] for name in held if ".dist-info" not in name} == {"nco"}
    assert not any(name.endswith((".cpp", ".h")) for name in held)


@pytest.mark.slow
@pytest.mark.skipif(which("c++") is None, reason="no C++ compiler to build kernels with")
def test_a_wheel_has_kernels_where_there_is_no_compiler(tmp_path: Path) -> None:
    """
    Built here, installed into a new virtual environment, run without anything on the PATH.

    The wheel is for any Python on this platform, and nothing is written while it runs.
    """
    wheel = build_wheel(tmp_path)
    assert "-py3-none-" in wheel.name
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv/bin/python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, str(wheel)], check=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    installed = sorted(file for file in (site / "nco/_kernels").iterdir())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    code = """
import nco, torch
from nco.data.native import kernels, runnable
from nco.data.generators import CVRPGenerator
from nco.data.seeding import seeded
from nco.decoding import Greedy, rollout
from nco.envs import problem
from nco.policies import AttentionPolicy, NativeRollout
env = problem("cvrp")
found = rollout(env, AttentionPolicy(env), CVRPGenerator(10)(2, seeded(1)), Greedy(), record=True)
assert isinstance(found.trajectory, NativeRollout)
assert kernels().variant == runnable()[0]
print(nco.__file__, *runnable())
"""
    (tmp_path / "home").mkdir()
    environment = {"PATH": "", "HOME": str(tmp_path / "home")}
    command = [str(python), "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=True
    )
    place, *names = done.stdout.split()
    assert Path(place).is_relative_to(site) and "portable" in names
    assert {file.stem for file in installed} >= set(names)
    assert not list((tmp_path / "home").rglob("*.so"))
