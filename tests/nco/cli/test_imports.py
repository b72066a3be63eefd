"""Own classes: from a module beside a configuration, and by ``--import`` in every command."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.nco.cli.conftest import Run
from tests.nco.training.runs import TINY, write

ROOT = Path(__file__).parents[3]
MYEXT = '''
"""A policy of one's own."""
from nco.policies import AttentionPolicy


class MyPolicy(AttentionPolicy):
    """Another default."""

    def __init__(self, env, dim: int = 8, heads: int = 2):
        super().__init__(env, dim, heads, layers=1, hidden=8)
'''


@pytest.fixture(autouse=True)
def clean_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test imports is gone after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("myext"):
            del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a module, and a configuration beside it that names its class."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "myext.py").write_text(MYEXT)
    config = yaml.safe_load(TINY)
    config["model"]["init_args"]["policy"] = {"class_path": "myext.MyPolicy"}
    config["trainer"] |= {"max_epochs": 1, "callbacks": []}
    write(folder / "own.yaml", config)
    return folder


def nco(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own, whose folder is not that of the module."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    code = "import sys; from nco.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )


def test_an_own_policy_goes_all_the_way(project: Path, tmp_path: Path, square: Path) -> None:
    """Fitted from a configuration beside its module, then evaluated, exported and solved with by
    ``--import``; without that, its class is none that a checkpoint may name."""
    done = nco("fit", "--config", project / "own.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    checkpoint = tmp_path / "runs/tiny/version_0/checkpoints/last.ckpt"
    mine = ("--import", project / "myext.py")
    drawn = ("--problem", "cvrp", "--size", 6, "--count", 4, "--json")
    told = [
        json.loads(nco("evaluate", "--policy", policy, *drawn, *mine, cwd=tmp_path).stdout)["cost"]
        for policy in (checkpoint, exported(checkpoint, mine, tmp_path))
    ]
    assert told[0] == told[1] > 0
    words = ("--solver", "policy", "--policy", "released", *mine)
    solved = nco("solve", square, *words, cwd=tmp_path)
    assert solved.returncode == 0, solved.stderr
    refused = nco("evaluate", "--policy", checkpoint, *drawn, cwd=tmp_path)
    assert refused.returncode == 2
    assert "'myext.MyPolicy' is not registered" in refused.stderr
    assert "--import" in refused.stderr and len(refused.stderr.splitlines()) == 1


def exported(checkpoint: Path, mine: tuple[object, ...], folder: Path) -> Path:
    """The checkpoint as a released folder."""
    done = nco("export", checkpoint, "released", *mine, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "released"


@pytest.mark.parametrize("form", ["myext", "myext.py", "./myext.py"])
@pytest.mark.parametrize("joined", [False, True])
def test_modules_and_files(form: str, joined: bool, run: Run, tmp_path: Path) -> None:
    """A module of the current folder or a file, before or after the other words."""
    (tmp_path / "myext.py").write_text("print('imported')")
    words = [f"--import={form}"] if joined else ["--import", form]
    drawn = ["tsp", "--size", "5", "--count", "2", "--out"]
    result = run("generate", *words, *drawn, "one.npz")
    assert (result.code, result.out.splitlines()[0]) == (0, "imported")
    again = run("generate", *drawn, "two.npz", *words)
    assert again.code == 0 and "imported" not in again.out  # once is enough


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--import"], "--import: no value, expected a module or a .py file"),
        (["--import", "nothing_here"], "--import nothing_here: no such module"),
        (["--import", "nothing.py"], "--import nothing.py: no such file"),
        (["--import", "json.py"], "--import json.py: there is a module 'json' already"),
    ],
)
def test_what_is_not_there_is_one_line(
    words: list[str], message: str, run: Run, tmp_path: Path
) -> None:
    """A missing module or file is exit code 2."""
    (tmp_path / "json.py").write_text("")
    result = run("info", *words)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert line.startswith(f"nco info: {message}")


def test_an_own_error_keeps_its_traceback(run: Run, tmp_path: Path) -> None:
    """What a person's own module raises is theirs to read."""
    (tmp_path / "myext.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        run("info", "--import", "myext.py")


def test_the_help_tells(run: Run) -> None:
    """Of every command, and of all of them."""
    assert "--import MODULE_OR_FILE" in run("solve", "--help").out
    assert "--import MODULE_OR_FILE" in run("--help").out
