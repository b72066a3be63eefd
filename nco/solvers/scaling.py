"""
Distances as the integers that classical solvers compute with: exact where they can be.

Whatever is lost by rounding only steers the search: costs are always recomputed by
`nco.solution.judge` with the instance's own metric.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.data.metric import legs_from

LARGEST = 2**44  # the largest entry that PyVRP takes; 2^18 legs of it still sum within int64
MAX_EXPONENT = 1000  # of a factor, so that it is a finite number even for absurdly small distances


@dataclass(frozen=True)
class Scaling:
    """
    How costs become integers.

    Parameters
    ----------
    factor
        Integer units per unit of cost.
    exact
        Whether every scaled value is an integer, so that nothing is lost.
    offset
        What the objective is when the solver's costs are zero.
    ties
        Solver's units per integer unit of cost: smaller amounts only break ties.
    """

    factor: float
    exact: bool
    offset: float = 0.0
    ties: int = 1

    def integers(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Scaled values, rounded to the nearest integer."""
        return np.rint(values * self.factor).astype(np.int64)

    def cost(self, units: int) -> float:
        """What a sum of scaled values means in the unit of the instance."""
        return units // self.ties / self.factor + self.offset


def distances(instance: TensorDict) -> NDArray[np.float64]:
    """
    All distances ``[N, N]`` of one instance (batch size 1), with zeros from each node to itself.

    Files state anything there (TSPLIB: often 9999), and no route drives it.

    Raises
    ------
    InputError
        A distance is negative, infinite or not a number.
    """
    nodes = num_nodes(instance)
    instance = instance.cpu()
    matrix = np.empty((nodes, nodes))
    for rows in _chunks(nodes):
        matrix[rows] = legs_from(instance, torch.arange(nodes)[rows].unsqueeze(0))[0].numpy()
    np.fill_diagonal(matrix, 0)
    wrong = np.argwhere(~(np.isfinite(matrix) & (matrix >= 0)))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"distance: {matrix[row, column]} from node {row} to node {column}, "
            "expected a finite number, not negative"
        )
    return matrix


def choose_scaling(distance: NDArray[np.float64], largest: int = LARGEST) -> Scaling:
    """
    The scaling under which sums of legs are exact, or as good as exact.

    Integers stay as they are, and numbers of at most three decimals (DIMACS' tenths) are
    multiplied by the power of ten that makes integers of them. Other numbers are multiplied by a
    power of two so large that rounding every leg changes the cost of any solution by less than
    one part in two million: a solution leaves every node, so it costs at least the sum ``S`` of
    the shortest legs out of each, and drives at most ``L = 2 N`` legs, so the factor ``2^20 L /
    S`` bounds the error ``L / (2 factor)`` by ``S / 2^21``. Where entries would exceed
    ``largest`` then, the factor is the largest power of two that avoids it.

    Parameters
    ----------
    distance
        ``[N, N]``, zeros on the diagonal.
    largest
        Bound on the integers.
    """
    top = float(distance.max(initial=0))
    for decimals in range(4):
        factor = 10.0**decimals
        if top * factor <= largest and all(
            (np.rint(distance[rows] * factor) / factor == distance[rows]).all()
            for rows in _chunks(len(distance))
        ):
            return Scaling(factor, exact=True)
    nodes = len(distance)
    out = np.partition(distance, 1, axis=1)[:, 1] / top  # the smallest is the diagonal's zero
    shortest = float(out.sum()) or 1.0  # every node coincides with another: no bound
    wanted = math.ceil(math.log2(2**20 * 2 * nodes / shortest) - math.log2(top))
    allowed = math.floor(math.log2(largest) - math.log2(top))
    return Scaling(2.0 ** min(wanted, allowed, MAX_EXPONENT), exact=False)


def _chunks(nodes: int) -> list[slice]:
    """Rows at a time, so that the matrices of large instances are not held several times over."""
    return [slice(begin, begin + 256) for begin in range(0, nodes, 256)]


def finest_scaling(values: NDArray[np.float64], largest: int, offset: float = 0.0) -> Scaling:
    """
    The scaling for costs of several kinds, none negative, of which a solution may have few.

    Exact for integers and numbers of at most three decimals; others are multiplied by the largest
    power of two that keeps them within ``largest``.
    """
    top = float(values.max(initial=0))
    for decimals in range(4):
        factor = 10.0**decimals
        if top * factor <= largest and (np.rint(values * factor) / factor == values).all():
            return Scaling(factor, True, offset)
    return Scaling(2.0 ** math.floor(math.log2(largest) - math.log2(top)), False, offset)
