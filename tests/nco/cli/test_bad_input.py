"""Bad input: one clear line, exit code 2, nothing half-written, the other files solved."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nco.cli import main
from nco.solvers import registry
from nco.solvers.registry import SolverEntry
from tests.nco.cli.conftest import SQUARE, Run
from tests.nco.cli.test_solve import Nothing

# How a file is spoilt, and what its line has to name.
SPOILT = {
    "empty": ("", ["empty"]),
    "truncated file": (SQUARE[: SQUARE.index("5 6 6")], ["missing"]),
    "truncated section": (SQUARE.replace("5 6 6\n", ""), ["NODE_COORD_SECTION"]),
    "wrong dimension": (SQUARE.replace("DIMENSION : 5", "DIMENSION : 9"), ["9"]),
    "negative demand": (SQUARE.replace("3 5\n4 5", "3 -5\n4 5"), ["-5"]),
    "demand over capacity": (SQUARE.replace("3 5\n4 5", "3 11\n4 5"), ["11", "10"]),
    "NaN coordinate": (SQUARE.replace("3 0 6", "3 nan 6"), ["nan"]),
    "unknown weight type": (SQUARE.replace("EUC_2D", "EUC_9D"), ["EUC_9D", "expected"]),
    "foreign": ("\x00\x01\x02 no instance", []),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_bad_file_is_one_line_and_the_others_are_solved(
    kind: str, square: Path, run: Run
) -> None:
    """File, what was found and what was expected; exit code 2; the good file is written."""
    text, parts = SPOILT[kind]
    bad = square.with_name("bad.vrp")
    bad.write_text(text)
    words = ["--solver", "pyvrp", "--time-limit", 0.1, "--json"]
    result = run("solve", bad, square, *words)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert line.startswith(f"nco solve: {bad}")
    for part in parts:
        assert part in line
    assert [row["instance"] for row in json.loads(result.out)] == ["square"]
    assert [file.name for file in Path("out").iterdir()] == ["square.sol"]


@pytest.mark.parametrize(
    ("word", "part"),
    [("missing.vrp", "no such file"), ("*.nothing", "matches no file"), ("hollow", "no instance")],
)
def test_a_missing_file_is_one_line(word: str, part: str, square: Path, run: Run) -> None:
    """A missing file, a glob without a match and a folder without an instance are bad input."""
    Path("hollow").mkdir()
    result = run("solve", word, square, "--solver", "pyvrp", "--time-limit", 0.1, "--json")
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert line.startswith(f"nco solve: {word}: ")
    assert part in line
    assert len(json.loads(result.out)) == 1


@pytest.mark.parametrize("command", ["solve", "compare"])
def test_an_unwritable_folder_is_found_out_first(command: str, square: Path, run: Run) -> None:
    """An output folder that cannot be made is refused before anything is solved."""
    Path("file").write_text("not a folder")
    result = run(command, square, "--time-limit", 60, "--out", "file/folder")
    assert result.code == 2
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert "file/folder" in line


def test_a_policy_for_another_problem_is_named(rectangle: Path, run: Run) -> None:
    """The policy of one problem refuses another, in one line."""
    result = run("solve", rectangle, "--policy", "cvrp")
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert line.startswith(f"nco solve: {rectangle}: policy 'cvrp' does not support this problem")
    assert "Tour" in line


@pytest.mark.parametrize("kind", ["corrupt", "foreign", "tensor", "folder", "missing"])
def test_a_bad_checkpoint_is_one_line(kind: str, square: Path, run: Run) -> None:
    """A corrupt or foreign checkpoint or folder is named, and nothing in it is executed."""
    path = square.with_name("policy")
    if kind == "corrupt":
        path.write_bytes(b"PK\x03\x04 no archive")
    elif kind == "foreign":
        torch.save({"weights": [1, 2]}, path)
    elif kind == "tensor":
        torch.save(torch.zeros(3), path)
    elif kind == "folder":
        path.mkdir()
    for words in (["solve", square, "--policy", path], ["export", path, "new"]):
        result = run(*words)
        assert result.code == 2
        (line,) = result.err.splitlines()
        assert str(path) in line
        assert not Path("new").exists()


def test_a_solution_beside_the_file_that_cannot_be_read_is_a_warning(
    square: Path, run: Run
) -> None:
    """A damaged ``.sol`` takes the reference away, in one line, and nothing else."""
    square.with_suffix(".sol").write_text("Route #1: one two\n")
    result = run("solve", square, "--solver", "pyvrp", "--time-limit", 0.1, "--json")
    assert result.code == 0
    (line,) = result.err.splitlines()
    assert "warning" in line
    assert "square.sol" in line
    assert json.loads(result.out)[0]["reference"] is None


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--solver", "gurobi"], "'gurobi'"),
        (["--solver", "pyvrp", "--policy", "cvrp"], "policy"),  # an option without effect
        (["--augment", "9"], "9"),
        (["--policy", "nobody"], "'nobody'"),
        (["--solvr", "pyvrp"], "--solver"),
        (["--time-limit", "-1"], "--time-limit"),
    ],
)
def test_bad_options_are_one_line(words: list[str], part: str, square: Path, run: Run) -> None:
    """An option that makes no sense is exit code 2 before anything is solved."""
    result = run("solve", square, *words)
    assert result.code == 2
    (line,) = result.err.splitlines()
    assert part in line
    assert not Path("out").exists()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_files_end_in_an_exit_code(
    data: st.DataObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever becomes of a file's text: an exit code, at most one line, no traceback."""
    monkeypatch.setitem(registry.SOLVERS, "nothing", SolverEntry("nothing", Nothing))
    monkeypatch.chdir(tmp_path)
    text = SQUARE
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(begin, min(begin + 12, len(text))))
        text = text[:begin] + data.draw(st.text(max_size=6)) + text[end:]
    path = tmp_path / "mutated.vrp"
    path.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    assert main(["solve", str(path), "--solver", "nothing", "--json"]) in (1, 2)
