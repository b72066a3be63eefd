"""What each command imports: what it runs, and nothing beside. Modules are held, never seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nco
from tests.nco.cli.conftest import RECTANGLE, SQUARE

# Each of these takes a part of a second, or several, to import.
HEAVY = {
    "fast_tsp",
    "lightning",
    "matplotlib",
    "nco.decoding",
    "nco.envs",
    "nco.evaluation.evaluate",
    "nco.hub.released",
    "nco.labelling.label",
    "nco.plotting.solution",
    "nco.plotting.traces",
    "nco.policies",
    "nco.solvers.hybrid",
    "nco.solvers.ortools",
    "nco.solvers.policy",
    "nco.solvers.pyvrp",
    "nco.training",
    "networkx",
    "numpy",
    "ortools",
    "pandas",
    "pyvrp",
    "rich",
    "scipy.sparse",
    "scipy.spatial",
    "scipy.stats",
    "tensordict",
    "torch",
    "torch._dynamo",
}
FILES = {"numpy", "torch", "tensordict", "nco.envs", "rich"}
POLICY = FILES | {"nco.hub.released", "nco.policies", "nco.decoding"}
PYVRP = {"pyvrp", "nco.solvers.pyvrp"}
ORTOOLS = {"ortools", "nco.solvers.ortools", "pandas"}  # pandas: where OR-Tools finds it
HYBRID = POLICY | PYVRP | ORTOOLS | {"fast_tsp", "nco.solvers.hybrid"}

COMMANDS: list[tuple[str, set[str], set[str]]] = [
    # Command line, what it has a use for, and of that what it cannot do without.
    ("", set(), set()),
    ("--help", set(), set()),
    ("--version", set(), set()),
    ("unknown", set(), set()),
    ("solve --help", set(), set()),
    ("compare --help", set(), set()),
    ("evaluate --help", set(), set()),
    ("generate --help", set(), set()),
    ("label --help", set(), set()),
    ("export --help", set(), set()),
    ("import --help", set(), set()),
    ("info --help", set(), set()),
    ("solve square.vrp --sover pyvrp", set(), set()),
    ("solve missing.vrp --solver pyvrp", FILES, set()),
    ("solve broken.vrp", FILES, set()),
    ("solve square.vrp --solver gurobi", FILES, set()),
    ("solve square.vrp --solver pyvrp --time-limit 0.1", FILES | PYVRP, {"pyvrp"}),
    ("solve square.vrp --solver ortools --time-limit 0.1", FILES | ORTOOLS, {"ortools"}),
    ("solve rectangle.tsp --solver fast-tsp --time-limit 0.1", FILES | {"fast_tsp"}, {"fast_tsp"}),
    (
        "solve square.vrp --solver policy --time-limit 0.1",
        POLICY | {"nco.solvers.policy", "scipy.spatial"},
        {"nco.policies"},
    ),
    ("solve square.vrp --time-limit 0.2", HYBRID, {"nco.solvers.hybrid"}),
    (
        "solve square.vrp --solver pyvrp --time-limit 0.1 --plot",
        FILES | PYVRP | {"matplotlib", "nco.plotting.solution"},
        {"matplotlib"},
    ),
    (
        "compare square.vrp --solvers pyvrp ortools --time-limit 0.1",
        FILES | PYVRP | ORTOOLS,
        {"pyvrp", "ortools"},
    ),
    (
        "evaluate --problem cvrp --size 5 --count 2",
        POLICY | {"nco.evaluation.evaluate"},
        {"nco.policies"},
    ),
    ("generate cvrp --size 5 --count 2 --out drawn.npz", FILES, {"torch"}),
    ("generate tsp --size 5 --count 2 --out drawn", FILES, {"torch"}),
    (
        "label data.npz --solver pyvrp --time-limit 0.1",
        FILES | PYVRP | {"nco.labelling.label"},
        {"nco.labelling.label"},
    ),
]

# The nco of this checkout, in another folder too.
HERE = os.environ | {"PYTHONPATH": str(Path(nco.__file__).parents[1])}

SCRIPT = """
import json, sys
from nco.cli import main
if __name__ == "__main__":
    try:
        code = main(sys.argv[1:])
    except SystemExit as leave:  # --help
        code = leave.code
    print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def run_python(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Another process of Python."""
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=HERE, capture_output=True, text=True, check=True)


def loaded(script: Path, *words: str, cwd: Path) -> tuple[int, set[str]]:
    """Exit code and imported modules of a command in a process of its own."""
    done = run_python(script, *words, cwd=cwd)
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, set(modules)


@pytest.mark.parametrize(("line", "useful", "needed"), COMMANDS, ids=[c[0] for c in COMMANDS])
def test_commands_import_what_they_run(
    line: str, useful: set[str], needed: set[str], tmp_path: Path
) -> None:
    """
    No training, no Lightning, no compiler and no solver where a command has no use for it; help
    and a mistaken option load no torch, a bad file no solver.
    """
    (tmp_path / "square.vrp").write_text(SQUARE)
    (tmp_path / "rectangle.tsp").write_text(RECTANGLE)
    (tmp_path / "broken.vrp").write_text(SQUARE.replace("CAPACITY : 10", "CAPACITY : ten"))
    script = tmp_path / "command.py"
    script.write_text(SCRIPT)
    if line.startswith("label"):
        made = ("generate", "cvrp", "--size", "5", "--count", "1", "--out", "data.npz")
        assert loaded(script, *made, cwd=tmp_path)[0] == 0
    code, modules = loaded(script, *line.split(), cwd=tmp_path)
    bad = any(word in line for word in ("unknown", "--sover", "missing", "broken", "gurobi"))
    assert code == (2 if bad else 0)
    assert modules & HEAVY <= useful
    assert needed <= modules


def test_importing_nco_imports_nothing_else(tmp_path: Path) -> None:
    """``import nco`` gives its version at once."""
    code = "import nco, sys; assert nco.__version__; print(*sys.modules)"
    done = run_python("-c", code, cwd=tmp_path)
    assert not set(done.stdout.split()) & (HEAVY | {"jsonargparse"})


def test_marks_for_the_compiler_are_made_when_it_is_loaded(tmp_path: Path) -> None:
    """
    With nco, tensordict loads no compiler; what it marks for it is marked once it is there, as it
    is without nco, and what is compiled computes the same.
    """
    code = """
import sys
if sys.argv[1] == "nco":
    import nco
import tensordict, torch
print("torch._dynamo" in sys.modules)
import torch._dynamo
from torch._dynamo import trace_rules
for function in (torch._foreach_copy_, torch._C._functorch._add_batch_dim):
    print(id(function) in trace_rules._allowed_callable_ids())
print(getattr(tensordict.utils._lock_warn, "_dynamo_marked_constant", None))
double = torch.compile(lambda data: data + data, backend="eager")
print(double(tensordict.TensorDict(a=torch.ones(2), batch_size=[2]))["a"].tolist())
"""
    with_nco, without = (
        run_python("-c", code, name, cwd=tmp_path).stdout.splitlines() for name in ("nco", "plain")
    )
    assert with_nco[0] == "False"
    assert with_nco[1:] == without[1:]
    assert with_nco[-1] == "[2.0, 2.0]"
