"""The distribution: what is listed, what a wheel holds, what a checkout may not contain."""

import importlib
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

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


@pytest.mark.slow
def test_the_wheel_is_complete(tmp_path: Path) -> None:
    """A wheel holds every module, configuration, example and released policy, and no test."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--quiet", "-w", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    for name, folder in sorted(FOLDERS.items(), key=lambda item: len(item[0])):
        suffixes = {".py", ".yaml", ".safetensors", ".vrp", ".sol", ".csv", ".typed"}
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and file.suffix in suffixes:
                inside = "/".join([*name.split("."), *file.relative_to(ROOT / folder).parts])
                assert inside in held
    assert {name.split("/")[0] for name in held if ".dist-info" not in name} == {"nco"}
