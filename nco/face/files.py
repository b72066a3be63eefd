"""Files to instances and back."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, overload

from tensordict import TensorDict

from nco.data.dataset import load_instances, save_instances
from nco.data.errors import InputError
from nco.data.formats import FileInstance, Rounding
from nco.data.formats import read as read_file
from nco.data.formats import write as write_file
from nco.data.formats.problem_name import routing_problem
from nco.envs.problems.compose import says
from nco.solution import Solution

DATA_SETS = (".npz", ".safetensors", ".pkl")  # one file holds many instances
WRITTEN = DATA_SETS[:2]


@overload
def read(path: str | PathLike[str], rounding: Rounding = ...) -> Any: ...
@overload
def read(path: Sequence[str | PathLike[str]], rounding: Rounding = ...) -> list[Any]: ...
def read(
    path: str | PathLike[str] | Sequence[str | PathLike[str]], rounding: Rounding = "auto"
) -> Any:
    """
    Reads an instance file, a data set, or a list of them.

    Parameters
    ----------
    path
        Of a file; or several.
    rounding
        What Euclidean distances of TSPLIB and VRPLIB files mean: ``auto`` goes by the file and its
        set, see `nco.data.formats.rounding`.

    Returns
    -------
    FileInstance, TensorDict or list
        An instance with what its file tells beside it (``instance`` is the instance itself); a
        batch ``[B]`` of a data set (.npz, .safetensors, .pkl); a list for a list.

    Raises
    ------
    InputError
        A file cannot be read: one line with place, what was found and what was expected.
    """
    if not isinstance(path, str | PathLike):
        return [read(each, rounding) for each in path]
    path = Path(path)
    return load_instances(path) if path.suffix in DATA_SETS else read_file(path, rounding)


def write(
    instance: FileInstance | TensorDict | Solution,
    path: str | PathLike[str],
    problem: str | None = None,
) -> None:
    """
    Writes an instance, a batch, or a solution, whole or not at all; the suffix tells the format.

    Parameters
    ----------
    instance
        What `nco.read` or `nco.make_instance` gave (a batch as .npz or .safetensors), or a
        solution (as .sol).
    path
        The file.
    problem
        Name of the problem, for formats that state it; by default that of the file, or the one
        whose rules the attributes ask for.

    Raises
    ------
    InputError
        The format is unknown, or cannot express the instance.
    """
    path = Path(path)
    if isinstance(instance, Solution):
        instance.write(path)
    elif isinstance(instance, FileInstance):
        write_file(path, instance)
    elif path.suffix in WRITTEN:
        save_instances(path, instance, problem or name_of(instance))
    elif len(instance) != 1:
        raise InputError(f"{path}: {len(instance)} instances, expected {' or '.join(WRITTEN)}")
    else:
        name = problem or name_of(instance)
        write_file(path, FileInstance(path.stem, name, instance, path))


def name_of(instance: TensorDict) -> str:
    """
    The name of the problem whose rules the attributes of instances ``[B]`` ask for.

    Raises
    ------
    InputError
        They do not tell.
    """
    if not says(instance):
        return "tsp" if "locs" in instance.keys() else "atsp"
    if "capacity" not in instance.keys():
        raise InputError("problem: not told by an instance without capacity, expected its name")
    return routing_problem(instance[:1])
