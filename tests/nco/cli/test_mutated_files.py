"""Mutated files of every family through the command: an exit code, and one line for a bad file."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tensordict import TensorDict

from nco.cli import main
from nco.envs import RoutingEnv
from nco.solution import Solution, judge
from nco.solvers import registry
from nco.solvers.base import refuse_infeasible
from nco.solvers.registry import SolverEntry
from tests.data.test_fuzz import CASES, REFUSED, Edit, edits, is_large, mutated, use

FAMILIES = [name for name, (_, _, reader) in CASES.items() if reader is use]


class Sceptic:
    """A solver that looks for what is impossible, and finds nothing else."""

    def solve(
        self,
        env: RoutingEnv,
        instance: TensorDict,
        time_limit: float | None = None,
        seed: int = 0,
        start: Solution | None = None,
    ) -> Solution:
        """No routes."""
        refuse_infeasible(env, instance, time_limit)
        return judge(env, instance, (), 0.1, "sceptic 1")


def exit_codes(
    case: str,
    folder: Path,
    examples: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> set[int]:
    """The exit codes of ``nco solve`` on so many mutations of a file."""
    suffix, make, _ = CASES[case]
    original = make(folder)
    monkeypatch.setitem(registry.SOLVERS, "sceptic", SolverEntry("sceptic", Sceptic))
    monkeypatch.chdir(folder)
    path = folder / f"mutated{suffix}"
    words = ["solve", str(path), "--solver", "sceptic", "--json", "--out", str(folder / "out")]
    found: set[int] = set()

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(changes=edits())
    def run(changes: list[Edit]) -> None:
        path.write_bytes(mutated(original, changes))
        capsys.readouterr()
        code = main(words)
        lines = capsys.readouterr().err.splitlines()
        told = [line for line in lines if "warning: " not in line]
        if code == 0:  # where all may be left out, no routes are a solution
            assert told == [] and "PRIZE_SECTION" in path.read_text(encoding="latin-1")
        else:
            assert len(told) == 1 and told[0].startswith(f"nco solve: {path}"), told
        found.add(code)

    run()
    return found


@pytest.mark.parametrize("case", FAMILIES)
def test_some_mutated_files(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A few mutations of each family: 1 (nothing found) or 2 (bad input), and no traceback."""
    assert exit_codes(case, tmp_path, 6, monkeypatch, capsys) <= {0, 1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("case", FAMILIES)
def test_mutated_files_at_length(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Over 10,000 mutations in all."""
    examples = 150 if is_large(case, tmp_path) else 450
    codes = exit_codes(case, tmp_path, examples, monkeypatch, capsys)
    assert codes - {0, 1} == {2} and (codes == {2}) == (case in REFUSED)
