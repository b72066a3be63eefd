"""The README's commands and code do what it says."""

import doctest
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from nco import training
from nco.cli import COMMANDS, LIGHTNING, main
from nco.cli.arguments import command_parser
from nco.envs.problems.table import PROBLEMS
from nco.plugins import scratch
from nco.training import Trainer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def commands() -> Iterator[tuple[list[str], str]]:
    """Words of every ``$ nco ...``, and the output that is shown below it."""
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = part.partition("\n")
            words = shlex.split(line, comments=True)
            if words[0] == "nco":
                yield words[1:], output


COMMAND_LINES = [pytest.param(words, output, id=" ".join(words)) for words, output in commands()]


def test_there_is_something_to_test() -> None:
    """The README shows how to solve, compare, train, export and evaluate, and has Python code."""
    shown = {words[0] for words, _ in commands()}
    assert {"solve", "compare", "fit", "export", "evaluate"} <= shown <= set(COMMANDS)
    assert len(blocks("python")) >= 6


@pytest.mark.parametrize(("words", "output"), COMMAND_LINES)
def test_every_command_line_is_understood(words: list[str], output: str) -> None:
    """No command line has an option that does not exist, or a value of the wrong kind."""
    name, *rest = words
    if name in LIGHTNING:
        config = ROOT / rest[rest.index("--config") + 1]
        assert config.exists()
    else:
        function = getattr(import_module(f"nco.cli.{name}"), name)
        command_parser(function, f"nco {name}").parse_args(rest)


def cheap(words: list[str]) -> bool:
    """Whether a command solves, compares or converts the shipped examples."""
    return words[0] in ("solve", "compare", "convert") and words[1].startswith("data/examples")


@pytest.mark.parametrize(
    ("words", "output"), [item for item in COMMAND_LINES if cheap(item.values[0])]
)
def test_commands_on_the_examples_print_what_is_shown(
    words: list[str],
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same columns, and the same instances with the same sizes, in the same order."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    printed = capsys.readouterr().out
    shown = [line.split() for line in output.splitlines() if line.strip()]
    found = [line.split() for line in printed.splitlines() if line.strip()]
    if shown:
        assert found[0] == shown[0]
        assert [line[:2] for line in found[2:]] == [line[:2] for line in shown[2:]]


def test_the_python_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The blocks run one after the other, training briefly, and print what their comments say."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    few = {"limit_train_batches": 2, "limit_val_batches": 1, "max_epochs": 1}
    talk = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    quiet = dict.fromkeys(talk, False)
    monkeypatch.setattr(training, "Trainer", lambda **given: Trainer(**(given | few | quiet)))
    scope: dict[str, object] = {"__name__": "readme"}
    with scratch():
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), scope)
        said = re.findall(r"^print\(.*#\s*(.*)$", "".join(blocks("python")), re.MULTILINE)
        assert said
        assert capsys.readouterr().out.splitlines() == said
        if find_spec("pandas"):
            for block in blocks("pycon"):
                shown = doctest.DocTestParser().get_doctest(block, scope, "README.md", None, 0)
                runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
                assert runner.run(shown).failed == 0


def test_links_lead_somewhere() -> None:
    """Every relative link and picture is a file of the checkout."""
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    for target in targets:
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_two_commands_exist() -> None:
    """``make solve`` and ``make test`` are targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", "".join(blocks("sh")), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.slow
def test_the_table_is_what_the_solvers_answer() -> None:
    """The support table says of every problem that it names what solving a small instance shows."""
    from nco.cli.support import policies_of, solvers_of

    table = README.split("| problem | shipped policy |")[1].split("\n\n")[0]
    rows = table.splitlines()[2:]
    cells = [[c.strip() for c in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    named = {name for first, *_ in cells for name in re.findall(r"`([\w-]+)`", first)}
    assert named
    for first, policy, *solvers in cells:
        # A row without a plain name is about all the problems that have no row of their own.
        for name in re.findall(r"`([\w-]+)`", first) or set(PROBLEMS) - named:
            answers = solvers_of(name)
            for solver, cell in zip(("ortools", "pyvrp", "fast-tsp"), solvers, strict=True):
                assert (cell == "yes") == (answers[solver] is None), (name, solver)
            assert (f"`{name}`" in policy) == (name in policies_of(PROBLEMS[name].build()))
