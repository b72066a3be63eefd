"""
The house in one picture, drawn from the imports: ``python -m tests.house`` writes CONTRIBUTING.md.

Rooms are the packages; an arrow leads from a room to one that it imports, drawn only where no
longer way of arrows says so already. Functions that import when they are called count too.
"""

from collections.abc import Mapping
from pathlib import Path

from tests.test_layers import GRAPH

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
BEGIN, END = "<!-- made by python -m tests.house -->\n", "<!-- end -->\n"
APART = ("nco.data", "nco.envs", "nco.policies")  # one room each: the folders of the checkout
TOP = {"nco", "nco.__main__", "nco._tensordict"}


def room(module: str) -> str:
    """The room of a module: its folder under nco, or one of the folders beside it."""
    return ".".join(module.split(".")[:2])


def doors(graph: Mapping[str, set[tuple[str, bool]]] = GRAPH) -> dict[str, set[str]]:
    """Which rooms each room imports from when it runs; what is for type checkers alone is none."""
    found: dict[str, set[str]] = {room(name): set() for name in graph if name not in TOP}
    for name, targets in graph.items():
        for target, typing in targets:
            if not typing and name not in TOP and target not in TOP and room(name) != room(target):
                found[room(name)].add(room(target))
    return found


def shortest(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The arrows, of rooms without a circle, less those that a way over other rooms implies."""

    def beyond(name: str) -> set[str]:
        seen: set[str] = set()
        left = list(graph[name])
        while left:
            if (target := left.pop()) not in seen:
                seen.add(target)
                left += graph[target]
        return seen

    reach = {name: beyond(name) for name in graph}
    return {
        name: {t for t in targets if not any(t in reach[other] for other in targets - {t})}
        for name, targets in graph.items()
    }


def picture() -> str:
    """The rooms and their arrows in Mermaid."""
    rooms = {name: targets for name, targets in doors().items() if name != "nco.configs"}
    lines = ["```mermaid", "flowchart LR"]
    for name in sorted(rooms):
        short = name.removeprefix("nco.")
        shape = f'[["{short}/"]]' if name in APART else f'("nco/{short}/")'
        lines.append(f"    {short}{shape}")
    for name, targets in sorted(shortest(rooms).items()):
        for target in sorted(targets):
            lines.append(f"    {name.removeprefix('nco.')} --> {target.removeprefix('nco.')}")
    return "\n".join([*lines, "```", ""])


def with_picture(page: str) -> str:
    """The page with the picture as the imports are now."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + picture() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(with_picture(PAGE.read_text()))
