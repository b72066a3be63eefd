"""Drawn instances to files, by the name of the output."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from tensordict import TensorDict

from nco.data.dataset import save_instances
from nco.data.errors import InputError
from nco.data.formats import FileInstance, suffixes, write
from nco.data.formats.datasets.pkl import write_pkl
from nco.data.instance import from_tensors, num_nodes
from nco.data.values import attributes
from nco.envs.problems.table import problem as find_problem

DATA_SETS = (".npz", ".safetensors", ".pkl")


def is_data_set(out: Path) -> bool:
    """Whether one file holds many instances."""
    return out.suffix in DATA_SETS


def save_drawn(out: Path, problem: str, drawn: Sequence[TensorDict]) -> list[Path]:
    """
    Writes instances.

    Parameters
    ----------
    out
        A data set, a name for instance files, or a folder (a name without suffix).
    problem
        What they are instances of.
    drawn
        Batches ``[B]``, each of one size.

    Returns
    -------
    list
        The files, each whole; a data set for each size where there are several.

    Raises
    ------
    InputError
        The suffix is unknown, or a file cannot be written.
    """
    if out.suffix and out.suffix not in (*DATA_SETS, *suffixes()):
        known = " ".join((*DATA_SETS, *suffixes()))
        raise InputError(f"{out}: unknown format, expected {known} or a folder")
    if is_data_set(out):
        return _save_data_sets(out, problem, drawn)
    return _save_files(
        out, problem, [batch[row : row + 1] for batch in drawn for row in range(len(batch))]
    )


def _save_data_sets(out: Path, problem: str, drawn: Iterable[TensorDict]) -> list[Path]:
    env = find_problem(problem)
    by_size: dict[int, list[TensorDict]] = {}
    for batch in drawn:
        by_size.setdefault(env.num_customers(batch), []).append(batch)
    files = []
    for size, batches in sorted(by_size.items()):
        file = out if len(by_size) == 1 else out.with_stem(f"{out.stem}-n{size}")
        instances = TensorDict.cat(batches, dim=0)
        if out.suffix == ".pkl":
            write_pkl(instances, file)
        else:
            save_instances(file, instances, problem)
        files.append(file)
    return files


def _save_files(out: Path, problem: str, instances: Sequence[TensorDict]) -> list[Path]:
    env = find_problem(problem)
    digits = len(str(len(instances)))
    suffix = out.suffix
    if not suffix:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{out}: cannot be made ({error.strerror}), expected a folder"
            ) from None
    files = []
    for k, instance in enumerate(instances, start=1):
        if suffix:
            file = out if len(instances) == 1 else out.with_stem(f"{out.stem}-{k:0{digits}}")
        else:
            native = ".vrp" if num_nodes(instance) > env.num_customers(instance) else ".tsp"
            size = env.num_customers(instance)
            file = out / f"{problem}-n{size}-{k:0{digits}}{native}"
        files.append(_save_file(file, problem, instance, any_format=not suffix))
    return files


def _save_file(path: Path, problem: str, instance: TensorDict, any_format: bool) -> Path:
    """Writes one instance; as JSON, which holds everything, where the format does not suffice."""
    columns = {name: instance[name] for name in attributes(instance)}
    wide = {k: v.double() if v.is_floating_point() else v for k, v in columns.items()}
    file = FileInstance(path.stem, problem, from_tensors(**wide), path)
    try:
        write(path, file)
    except InputError:
        if not any_format:
            raise
        path = path.with_suffix(".json")
        write(path, file)
    return path
