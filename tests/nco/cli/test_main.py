"""The dispatch on the first word."""

import subprocess
import sys
from importlib import import_module

import pytest

from nco import __version__, cli
from nco.cli import COMMANDS, LIGHTNING
from tests.nco.cli.conftest import Run


def test_help_lists_every_command(run: Run) -> None:
    """``nco``, ``nco --help`` and ``nco -h`` list all commands with their summaries."""
    for words in ([], ["--help"], ["-h"]):
        result = run(*words)
        assert result.code == 0
        for name, summary in COMMANDS.items():
            assert any(name in line and summary in line for line in result.out.splitlines())


def test_version(run: Run) -> None:
    """``nco --version`` prints the version of the package."""
    assert run("--version").out == f"nco {__version__}\n"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in LIGHTNING])
def test_every_command_has_help_of_its_own(name: str, run: Run) -> None:
    """``nco COMMAND --help`` works and shows no Python types."""
    result = run(name, "--help")
    assert result.code == 0
    assert f"usage: nco {name}" in result.out
    assert "None" not in result.out
    assert "class" not in result.out
    import_module(f"nco.cli.{name}")


def test_lightning_is_asked_for_the_commands_that_it_has() -> None:
    """The commands that are handed to LightningCLI are those that ``nco.cli.lightning`` knows."""
    from nco.cli.lightning import SUBCOMMANDS

    assert set(LIGHTNING) == set(SUBCOMMANDS)
    assert set(LIGHTNING) <= set(COMMANDS)


@pytest.mark.parametrize(
    ("word", "hint"), [("slove", "'solve'"), ("campare", "'compare'"), ("xyzzy", "nco --help")]
)
def test_a_mistyped_command_is_named_with_a_hint(word: str, hint: str, run: Run) -> None:
    """An unknown command is one line on stderr and exit code 2."""
    result = run(word)
    assert result.code == 2
    assert result.out == ""
    assert repr(word) in result.err
    assert hint in result.err
    assert result.err.count("\n") == 1


def test_help_is_quick() -> None:
    """Neither the list of commands nor a command's help imports torch or a solver."""
    code = (
        "import sys; from nco.cli import main\n"
        "for words in (['--help'], ['solve', '--help'], ['generate', '--help']):\n"
        "    try: main(words)\n"
        "    except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'lightning', 'ortools', 'pyvrp'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_python_m_nco_is_the_command() -> None:
    """``python -m nco`` runs the command and passes its exit code on."""
    command = [sys.executable, "-m", "nco", "xyzzy"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2


def test_an_interruption_is_quiet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with code 130 and no traceback."""

    def interrupt(command: str, rest: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_dispatch", interrupt)
    result = run("info")
    assert (result.code, result.out, result.err) == (130, "", "")


def test_other_errors_are_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ValueError that is no InputError is a bug, and stays one."""

    def fail(command: str, rest: list[str]) -> int:
        raise ValueError("a bug")

    monkeypatch.setattr(cli, "_dispatch", fail)
    with pytest.raises(ValueError, match="a bug"):
        run("info")
