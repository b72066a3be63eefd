"""Instances drawn at random, by the name of their problem."""

from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.seeding import seeded
from nco.envs.problems.table import row_of


def generate(problem: str, size: int = 100, count: int = 1, seed: int = 1234) -> TensorDict:
    """
    Draws instances of a problem from its default distribution.

    Parameters
    ----------
    problem
        Its name, such as ``cvrp``.
    size
        Customers (for the TSP: nodes).
    count
        Instances.
    seed
        The same seed gives the same ones.

    Returns
    -------
    TensorDict
        A batch ``[count]``.

    Raises
    ------
    InputError
        The problem is unknown, or size or count is less than 1.

    Examples
    --------
    >>> import nco
    >>> nco.generate("cvrp", size=20, count=8)["demand"].shape
    torch.Size([8, 21])
    """
    for name, value in (("size", size), ("count", count)):
        if value < 1:
            raise InputError(f"{name}: {value}, expected 1 or more")
    return row_of(problem).generator(size)(count, seeded(seed))
