"""Imports of the package: layers point one way, and no module imports itself in a circle."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.test_packaging import modules

MODULES = dict(modules())
# Each layer may import itself and those above it in this list.
LAYERS: list[tuple[str, ...]] = [
    ("nco.data",),
    ("nco.envs",),
    ("nco.policies",),
    ("nco.solution", "nco.decoding", "nco.hub", "nco.plotting", "nco.evaluation"),
    ("nco.solvers",),
    ("nco.training", "nco.labelling"),
    ("nco.face", "nco.plugins"),
    ("nco.cli",),
]
# The face offers all layers, each when it is asked for; what lies below takes its version alone.
FACE = {"nco", "nco.__main__", "nco._tensordict", "nco.plugins"}
# The kernels of a layer are given the layer itself: its type is an annotation there, and no more.
ANNOTATED = ("nco.policies.fused", "nco.policies.layers")
Import = tuple[str, bool]  # the module imported, and whether for type checkers alone


def imports(tree: ast.AST, typing: bool = False) -> Iterator[Import]:
    """What a module imports from ``nco``, at its top and in functions."""
    for node in ast.iter_child_nodes(tree):
        own = typing or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        if isinstance(node, ast.Import):
            yield from ((alias.name, own) for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module or "", own
        yield from imports(node, own)


GRAPH = {name: set(imports(ast.parse(file.read_text()))) for name, file in MODULES.items()}


def layer(name: str) -> int:
    """The place of a module in `LAYERS`."""
    found = [
        place
        for place, folders in enumerate(LAYERS)
        if any(name == folder or name.startswith(f"{folder}.") for folder in folders)
    ]
    assert len(found) == 1, f"{name}: in no layer, expected one of {LAYERS}"
    return found[0]


def test_the_graph_is_that_of_the_package() -> None:
    """It has imports of each kind: at the top, in a function, for type checkers."""
    assert ("nco.envs", False) in GRAPH["nco.solvers.base"]
    assert ("nco.cli.files", False) in GRAPH["nco.cli.solve"]  # in the function
    assert ("nco.hub.released", True) in GRAPH["nco.solvers.base"]
    assert sum(map(len, GRAPH.values())) > 1000


@pytest.mark.parametrize("name", [name for name in MODULES if name not in FACE])
def test_layers_point_one_way(name: str) -> None:
    """No module imports from a layer above its own, in a function or for types neither."""
    for target, _ in GRAPH[name]:
        if target in FACE:
            assert target == "nco"
        else:
            assert layer(target) <= layer(name), f"{name} imports {target}"


@pytest.mark.parametrize("typing", [False, True], ids=["run", "types"])
def test_there_is_no_circle(typing: bool) -> None:
    """Each module can be read after those that it imports, and run so."""
    graph = {
        name: {
            target
            for target, types in found
            if not types or (typing and (name, target) != ANNOTATED)
            if target not in FACE
        }
        for name, found in GRAPH.items()
        if name not in FACE
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' <- '.join(error.args[1])}")
