"""The instances that ``nco evaluate`` is about."""

from pathlib import Path

from tensordict import TensorDict
from torch import Tensor

from nco.data.archive import read_archive
from nco.data.dataset import COST, load_instances, read_costs, stored_problem
from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.drawing import Distribution, make_generator
from nco.envs.problems import PROBLEMS, problem
from nco.released import Released, parts

Instances = tuple[str, TensorDict, Tensor | None]  # problem, instances, reference costs


def load(data: Path, name: str | None, count: int | None, released: Released | None) -> Instances:
    """
    Instances of a data set, with its own costs if it has them.

    Parameters
    ----------
    data
        The file.
    name
        Problem, where the file does not state it; by default the policy's.
    count
        How many from the beginning; all by default.
    released
        The policy that will solve them.

    Raises
    ------
    InputError
        The file is no data set, states another problem, or none where one is needed.
    """
    stated = stored_problem(data)
    if stated is not None and name is not None and stated != name:
        raise InputError(f"{data}: of the problem {stated}, expected {name}")
    name = stated or name or (_problem_of(released) if released else None)
    if name is None:
        raise InputError(f"{data}: states no problem, expected --problem")
    problem(name)
    instances = load_instances(data, slice(count), name)
    if count is not None and len(instances) < count:
        raise InputError(f"{data}: {len(instances)} instances, expected {count}")
    return name, instances, _own_costs(data)


def draw(name: str, size: int, count: int, distribution: Distribution, seed: int) -> Instances:
    """Instances of a distribution; the same seed gives the same ones."""
    generator = make_generator(name, size, distribution)
    return name, generator(count, seeded(seed)), None


def _problem_of(released: Released) -> str | None:
    """Name of the problem of a policy's composition."""
    mine = parts(released.env)
    return next((name for name, row in PROBLEMS.items() if parts(row.build()) == mine), None)


def _own_costs(data: Path) -> Tensor | None:
    if data.suffix == ".pkl" or COST not in read_archive(data).tensors:
        return None
    return read_costs(data)
