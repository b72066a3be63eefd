"""One instance as a file states it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensordict import TensorDict


@dataclass(frozen=True)
class FileInstance:
    """
    One instance with what its file tells beside it.

    Parameters
    ----------
    name
        Of the file, without folder and suffix.
    problem
        Name of the problem: a key of `nco.envs.PROBLEMS`.
    instance
        Batch size 1, coordinates and distances in float64. Depots come first, everything else in
        the order of the file: node k is customer k of a ``.sol`` file.
    path
        Where it was read.
    labels
        Names of the nodes, where the file gives them.
    numbers
        What the file calls each node; None where it counts them from 0, as the instance does.
    request
        The JSON object that was read, whose identifiers an answer in its format repeats.
    vehicle_names
        Name of the vehicles of each depot node, where the file gives them.
    columns
        What a table says of each node that states no rule, by the name of the column.
    best_known
        Cost of the best-known solution, where one lies beside the file.
    best_known_source
        The file that states it.
    vehicles
        Depot node of each vehicle in the order of the file, whose ``.sol`` files have a route for
        each of them; None where it does not tell them apart.
    first_customer
        The number that a ``.sol`` file gives the first customer: the number of depots.
    cost_steps
        Steps of the cost of a ``.sol`` file in a unit of the distance: 10 where it is in tenths.
    """

    name: str
    problem: str
    instance: TensorDict
    path: Path
    labels: tuple[str, ...] | None = None
    best_known: float | None = None
    best_known_source: str | None = None
    vehicles: tuple[int, ...] | None = None
    first_customer: int = 1
    cost_steps: int = 1
    numbers: tuple[str, ...] | None = None
    request: Mapping[str, Any] | None = None
    vehicle_names: tuple[str, ...] | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def called(self, node: int) -> str:
        """What the file calls a node: its number there, with its name where it has one."""
        number = str(node) if self.numbers is None else self.numbers[node]
        name = None if self.labels is None else self.labels[node]
        return number if name in (None, "", number) else f"{number} ({name})"
