"""The instances that ``nco evaluate`` is about."""

from pathlib import Path

from tensordict import TensorDict
from torch import Tensor

from nco.cli.generators import Distribution, make_generator
from nco.data.archive import read_archive
from nco.data.dataset import COST, READERS, load_instances, read_costs, stored_problem
from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.envs import Constraint, Objective, RoutingEnv
from nco.envs.problems.table import PROBLEMS, problem
from nco.evaluation.papers import PAPERS
from nco.hub.released import Released, parts

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


def of_paper(
    paper: str, released: Released, name: str | None, size: int | None, count: int | None
) -> tuple[str, TensorDict, tuple[tuple[str, float], ...]]:
    """
    The test set of a paper (or its beginning), and the paper's rows for it.

    Parameters
    ----------
    paper
        A key of `nco.evaluation.papers.PAPERS`.
    released
        The policy, which tells the problem and the size unless they are given.
    name, size, count
        Problem, number of customers, number of instances.

    Raises
    ------
    InputError
        The paper has no such set, or nothing tells the size.
    """
    chosen = PAPERS[paper]
    name = name or _problem_of(released)
    size = size or released.card.get("training", {}).get("graph_size")
    if name is None or size is None:
        raise InputError("--paper: the policy does not tell its size, expected --size")
    rows = chosen.find(name, size)
    return name, chosen.instances(name, size, chosen.count)[slice(count)], rows


def _problem_of(released: Released) -> str | None:
    """Name of the problem of a policy's composition."""
    mine = _composition(released.env)
    found = (name for name, row in PROBLEMS.items() if _composition(row.build()) == mine)
    return next(found, None)


def _composition(env: RoutingEnv) -> tuple[object, ...]:
    """Parts and what they read: the PCTSP and the SPCTSP differ in the prize that is collected."""
    rules: tuple[Constraint | Objective, ...] = (*env.constraints, env.objective)
    return (parts(env), *(rule.reads for rule in rules))


def _own_costs(data: Path) -> Tensor | None:
    if data.suffix in READERS:
        return READERS[data.suffix](data)[2]
    if data.suffix == ".pkl" or COST not in read_archive(data).tensors:
        return None
    return read_costs(data)
