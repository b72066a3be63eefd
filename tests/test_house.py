"""The picture of the house in CONTRIBUTING.md is that of the imports."""

from graphlib import TopologicalSorter
from pathlib import Path

from tests.house import PAGE, doors, shortest, with_picture

ROOT = Path(__file__).parents[1]


def test_the_picture_is_current() -> None:
    """``python -m tests.house`` would not change it."""
    page = PAGE.read_text()
    assert page == with_picture(page)


def test_rooms_have_no_circle() -> None:
    """Rooms import one another one way only, also where a function imports."""
    order = list(TopologicalSorter(doors()).static_order())
    assert order.index("nco.data") < order.index("nco.envs") < order.index("nco.cli")


def test_arrows_that_others_imply_are_left_out() -> None:
    """Of a -> b -> c and a -> c only the first two are drawn."""
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert shortest(graph) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_the_tree_for_tools_is_complete() -> None:
    """Type checkers find in tests/tree what a wheel has and a checkout keeps beside nco/."""
    tree = ROOT / "tests" / "tree" / "nco"
    for name in ("configs", "data", "envs", "policies"):
        assert (tree / name).resolve() == ROOT / name
    assert (tree / "__init__.py").resolve() == ROOT / "nco" / "__init__.py"
