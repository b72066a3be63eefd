"""
Data sets: many instances of one size in one file, with reference costs if they have them.

``.npz`` and ``.safetensors`` hold one array for each attribute of the schema, the batch first,
the name of the problem, and ``cost [B]`` where solutions are known. Files of other code are read
too: ``.pkl``, ``.npz``, ``.txt`` and ``.pt``.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.archive import Archive, read_archive, write_archive
from nco.data.errors import InputError
from nco.data.formats.datasets.foreign_npz import from_foreign, is_foreign
from nco.data.formats.datasets.lehd import read_lehd
from nco.data.formats.datasets.pkl import read_pkl
from nco.data.formats.datasets.pomo import read_pomo
from nco.data.formats.problem_name import routing_problem
from nco.data.instance import SCHEMA, from_tensors
from nco.data.unpickle import unpickle
from nco.data.values import attributes, check_values

COST = "cost"
# Formats of other code that state the problem, told by their suffixes.
READERS: dict[str, Callable[[Path], tuple[str, TensorDict, Tensor | None]]] = {
    ".txt": read_lehd,
    ".pt": read_pomo,
}


def load_instances(
    path: Path | str, rows: slice = slice(None), problem: str | None = None
) -> TensorDict:
    """
    The instances of a data set, as they were saved.

    Parameters
    ----------
    path
        The file.
    rows
        Which of them; a ``.safetensors`` file is read no further.
    problem
        What the instances of a ``.pkl`` file are instances of, see `nco.data.formats.datasets.pkl`.

    Raises
    ------
    InputError
        The file is no data set, or a value is none that an instance may have.
    """
    path = Path(path)
    if path.suffix == ".pkl":
        return read_pkl(path, problem)[rows]
    if path.suffix in READERS:
        instances = READERS[path.suffix](path)[1][rows]
        try:
            check_values(instances)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        return instances
    tensors = read_archive(path, rows).tensors
    fields = {name: value for name, value in tensors.items() if name != COST}
    try:
        if is_foreign(fields):
            fields = from_foreign(fields)
        for name, value in fields.items():
            if name in SCHEMA and not SCHEMA[name].integer and value.dtype == torch.float16:
                raise InputError(f"{name}: half precision, expected single or double")
            if value.ndim == 0 or len(value) != len(next(iter(fields.values()))):
                raise InputError(f"{name}: shape {list(value.shape)}, expected as many as others")
        widened = {name: _integers_as_int64(value) for name, value in fields.items()}
        instances = from_tensors(**widened)
        check_values(instances)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return instances


def stored_problem(path: Path | str) -> str | None:
    """
    The name of the problem that a data set states; ``.pkl`` files state none.

    That of other code's ``.npz`` files follows from their attributes.

    Raises
    ------
    InputError
        The file is no data set.
    """
    path = Path(path)
    if path.suffix == ".pkl":
        return None
    if path.suffix in READERS:
        return READERS[path.suffix](path)[0]
    archive = read_archive(path, slice(0, 0))
    if archive.problem is None and is_foreign(archive.tensors):
        instances = load_instances(path)
        return routing_problem(instances) if "demand" in instances.keys() else "atsp"
    return archive.problem


def save_instances(
    path: Path | str, instances: TensorDict, problem: str, cost: Tensor | None = None
) -> None:
    """
    Writes a data set, whole or not at all.

    Parameters
    ----------
    path
        The file, ``.npz`` or ``.safetensors``.
    instances
        Batch ``[B]``.
    problem
        Name of the problem that they are instances of.
    cost
        Reference costs ``[B]``.

    Raises
    ------
    InputError
        The suffix is unknown, or the folder is missing or not writable.
    """
    tensors = {name: instances[name] for name in attributes(instances)}
    if cost is not None:
        tensors[COST] = cost
    write_archive(Path(path), Archive(problem, tensors))


def read_costs(path: Path | str) -> Tensor:
    """
    Reference costs ``[B]`` in double precision.

    Parameters
    ----------
    path
        A data set with costs, or a ``.pkl`` list of ``(cost, tour)`` of each instance, as the
        Attention Model's code writes it.

    Raises
    ------
    InputError
        The file states no costs, or one that is no number.
    """
    path = Path(path)
    if path.suffix == ".pkl":
        costs = _pickled_costs(unpickle(path), path)
    elif path.suffix in READERS:
        found = READERS[path.suffix](path)[2]
        if found is None:
            raise InputError(f"{path}: states no costs, expected reference costs")
        costs = found
    else:
        tensors = read_archive(path).tensors
        if COST not in tensors:
            raise InputError(f"{path}: no array {COST}, expected reference costs")
        costs = tensors[COST].double()
    if costs.ndim != 1 or not len(costs) or not bool(costs.isfinite().all()):
        raise InputError(f"{path}: costs of shape {list(costs.shape)}, expected finite ones [B]")
    return costs


def _pickled_costs(content: object, path: Path) -> Tensor:
    if isinstance(content, tuple) and len(content) == 2:  # (results, parallelism)
        content = content[0]
    if not isinstance(content, list):
        raise InputError(f"{path}: {type(content).__name__}, expected a list of (cost, tour)")
    costs = []
    for row, entry in enumerate(content):
        try:
            costs.append(float(entry[0]))
        except (TypeError, ValueError, IndexError, KeyError, OverflowError):
            raise InputError(f"{path}: entry {row}, expected (cost, tour)") from None
    return torch.tensor(costs, dtype=torch.float64)


def _integers_as_int64(value: Tensor) -> Tensor:
    return value if value.is_floating_point() or value.is_complex() else value.long()
