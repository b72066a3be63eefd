"""
Labels: a solver's solutions of a whole data set, to learn from.

Every solved instance is at once a line of a journal beside the output, so that whatever ends a
run, the next one goes on from there. The output (see `nco.data.solved`) is written at the end.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tensordict import TensorDict
from torch import Tensor

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.instance import SCHEMA, from_tensors, num_depots
from nco.envs import RoutingEnv
from nco.envs.normalisation import coordinates
from nco.envs.visits.tour import Tour
from nco.labelling.processes import in_processes

# The grid of the coordinates where there is no rule but the capacity, by `Visits.parts`.
GRID: dict[str | None, int] = {"paths": 65535, "routes": 1000}
ON_GRID = {"locs", "demand", "capacity"}


def holds(name: str, value: Tensor) -> bool:
    """Whether a label file has a place for an attribute: one row a node or depot node, or one."""
    field = SCHEMA[name]
    if field.role == "geometry":
        return name == "locs"
    return field.shape in ((), ("N",), ("N", "2"), ("V",)) and value.ndim == 1 + len(field.shape)


@dataclass(frozen=True)
class Labelled:
    """
    What became of a data set.

    Parameters
    ----------
    solved
        Instances in the output.
    failures
        Row in the data set and reason of those that are not.
    """

    solved: int
    failures: dict[int, str]


@dataclass(frozen=True)
class Settings:
    """
    How instances are solved.

    Parameters
    ----------
    solver
        A name of the table of solvers.
    time_limit
        Seconds for one instance; None lets the solver stop by itself.
    seed
        Seed of the solver, the same for every instance.
    """

    solver: str
    time_limit: float | None = None
    seed: int = 0


def label_instances(
    env: RoutingEnv,
    instances: TensorDict,
    settings: Settings,
    out: Path,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, failed: None,
) -> Labelled:
    """
    Solves every instance and writes the label file.

    Where a file has a grid (tours, and routes with capacities only), coordinates are rounded to it
    first, so that it holds just the instances that were solved. Beside the arrays of
    `nco.data.solved` it has ``cost`` (float32; tours in the unit square, routes in the unit of the
    file's coordinates) and ``row``, the place in the data set.

    Parameters
    ----------
    env, instances
        The problem and its instances ``[B]``.
    settings
        How they are solved.
    out
        The ``.npz`` file. Its journal ``OUT.journal`` is there until all are solved.
    workers
        Processes that solve side by side; 0 solves in this one.
    progress
        Called with the numbers of solved and failed instances after each one.

    Raises
    ------
    InputError
        The labels cannot hold solutions of this problem, the output exists, or the journal is of
        another run.
    """
    columns = grid_columns(env, instances)
    journal = Journal(Path(f"{out}.journal"), _fingerprint(columns, settings))
    if out.suffix != ".npz":
        raise InputError(f"{out}: unknown format, expected .npz")
    if out.exists() and not journal.path.exists():
        raise InputError(f"{out}: exists already, expected a new file")
    solved = journal.read()
    failures: dict[int, str] = {}
    progress(len(solved), 0)
    todo = [row for row in range(len(instances)) if row not in solved]
    tasks = ((row, (env, _row(columns, row), settings)) for row in todo)
    with journal.writing() as write:
        for row, result in in_processes(_solve, tasks, workers):
            if isinstance(result, Exception):
                failures[row] = " ".join(str(result).split()) or type(result).__name__
            else:
                solved[row] = result
                write(row, result)
            progress(len(solved), len(failures))
    if solved:
        _write(out, columns, solved, not isinstance(env.visits, Tour))
    if not failures:
        journal.path.unlink(missing_ok=True)
    return Labelled(len(solved), dict(sorted(failures.items())))


def grid_columns(env: RoutingEnv, instances: TensorDict) -> dict[str, np.ndarray]:
    """
    The instances as they stand in a label file, one row each.

    Raises
    ------
    InputError
        The labels cannot hold the problem or an attribute of the instances.
    """
    odd: list[object] = [] if env.visits.parts else [env.visits]
    odd += [rule for rule in env.constraints if rule.scope == "solution"]
    odd += [] if env.objective.of_legs else [env.objective]
    if odd:
        raise InputError(f"a label file cannot express {type(odd[0]).__name__}")
    for name in map(str, instances.keys()):
        if not holds(name, instances[name]):
            raise InputError(f"{name}: a label file has no such attribute")
    if env.visits.optional:
        raise InputError("customers that may be left out: a label file has no place for them")
    grid = _grid(env, instances)
    if grid is None:
        return {str(name): _stored(str(name), instances[name]) for name in instances.keys()}
    xy = (coordinates(instances).double() * grid).round()
    columns = {"xy": xy.numpy().astype(np.uint16)}
    if env.constraints:
        columns["demand"] = instances["demand"].numpy().astype(np.int32)
        columns["capacity"] = instances["capacity"].numpy().astype(np.int32)
    return columns


def _grid(env: RoutingEnv, instances: TensorDict) -> int | None:
    """The grid of the coordinates; None where the file has them as they are."""
    if not env.reads <= ON_GRID or set(instances.keys()) - ON_GRID:
        return None
    return GRID.get(env.visits.parts)


def _stored(name: str, value: Tensor) -> np.ndarray:
    """An attribute as it stands in the file."""
    return value.numpy().astype(np.int64 if SCHEMA[name].integer else np.float32)


def _row(columns: dict[str, np.ndarray], row: int) -> dict[str, np.ndarray]:
    return {name: values[row : row + 1] for name, values in columns.items()}


def _solve(env: RoutingEnv, columns: dict[str, np.ndarray], settings: Settings) -> dict[str, Any]:
    """One instance: its giant tour and its cost. Runs in a worker."""
    import torch

    from nco.solvers.registry import find_solver

    torch.set_num_threads(1)
    fields = {name: torch.from_numpy(columns[name]) for name in columns if name in SCHEMA}
    grid = 1
    if "xy" in columns:
        grid = GRID[env.visits.parts]
        fields["locs"] = torch.from_numpy(columns["xy"].astype(np.float64) / grid)
    fields = {n: value.long() if SCHEMA[n].integer else value for n, value in fields.items()}
    solver = find_solver(settings.solver).build()
    instance = from_tensors(**fields)
    found = solver.solve(env, instance, settings.time_limit, settings.seed)
    if not found.feasible:
        raise InputError(f"no feasible solution: {found.violations[0].message}")
    tour = env.visits.actions(instance, found.vehicle_routes)
    if isinstance(env.visits, Tour):
        return {"tour": tour, "cost": found.cost}
    # A giant tour begins at the depot, or by choosing one; its cost is in the unit of the grid.
    return {"tour": [0, *tour] if num_depots(instance) == 1 else tour, "cost": found.cost * grid}


class Journal:
    """
    One line for every solved instance, after a line that tells what is being solved.

    Parameters
    ----------
    path
        The file.
    fingerprint
        Of the instances and the settings: a journal of others is not continued.
    """

    def __init__(self, path: Path, fingerprint: str):
        self.path = path
        self.fingerprint = fingerprint

    def read(self) -> dict[int, dict[str, Any]]:
        """
        What earlier runs solved, by row. A line that was cut off in mid-write is dropped.

        Raises
        ------
        InputError
            The journal is of other instances or settings.
        """
        if not self.path.exists():
            return {}
        lines = self.path.read_text().split("\n")[:-1]
        if lines and lines[0] != self.fingerprint:
            raise InputError(
                f"{self.path}: journal of other instances or settings, expected the ones of the "
                "interrupted run (or remove it to begin anew)"
            )
        solved = {}
        for number, line in enumerate(lines[1:], start=2):
            try:
                entry = json.loads(line)
                solved[int(entry.pop("row"))] = entry
            except (ValueError, KeyError, AttributeError):
                raise InputError(f"{self.path}, line {number}: damaged, expected JSON") from None
        return solved

    @contextmanager
    def writing(self) -> Iterator[Callable[[int, dict[str, Any]], None]]:
        """
        Adds lines, each one on disk before the next.

        Raises
        ------
        InputError
            The file cannot be written.
        """
        begun = self.path.exists() and self.path.stat().st_size > 0
        try:
            if begun:
                self._drop_torn_line()
            file = self.path.open("a")
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written, {error.strerror}") from None
        with file:
            if not begun:
                print(self.fingerprint, file=file, flush=True)

            def write(row: int, result: dict[str, Any]) -> None:
                print(json.dumps({"row": row, **result}), file=file, flush=True)

            yield write

    def _drop_torn_line(self) -> None:
        with self.path.open("rb+") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)


def _fingerprint(columns: dict[str, np.ndarray], settings: Settings) -> str:
    digest = hashlib.sha256(repr(settings).encode())
    for name, values in columns.items():
        digest.update(f"{name} {values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _write(
    out: Path, columns: dict[str, np.ndarray], solved: dict[int, dict[str, Any]], routing: bool
) -> None:
    rows = np.array(sorted(solved))
    tours = [solved[row]["tour"] for row in rows]
    places = columns["xy" if "xy" in columns else "locs"]
    arrays = {
        "nodes": np.full(len(rows), places.shape[1], dtype=np.int32),
        "tour": np.concatenate(tours).astype(np.int32),
        "cost": np.array([solved[row]["cost"] for row in rows], dtype=np.float32),
        "row": rows,
    }
    if routing:
        arrays["tour_len"] = np.array([len(tour) for tour in tours], dtype=np.int32)
    for name, values in columns.items():
        if name == "depots":  # their number says it all
            arrays[name] = np.full(len(rows), values.shape[1], dtype=np.int32)
        else:  # one row a node or depot node, or one an instance
            ragged = name == "xy" or SCHEMA[name].shape
            arrays[name] = np.concatenate(values[rows]) if ragged else values[rows]
    with atomic(out) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
