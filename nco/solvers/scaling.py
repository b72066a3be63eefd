"""
Distances as the integers that classical solvers compute with: exact where they can be.

Whatever is lost by rounding only steers the search: costs are always recomputed by
`nco.solution.judge` with the instance's own metric.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.metric import pairwise

LARGEST = 2**44  # the largest entry that PyVRP takes; 2^18 legs of it still sum within int64


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
    """

    factor: float
    exact: bool

    def integers(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Scaled values, rounded to the nearest integer."""
        return np.rint(values * self.factor).astype(np.int64)

    def cost(self, units: int) -> float:
        """What a sum of scaled values means in the unit of the instance."""
        return units / self.factor


def distances(instance: TensorDict) -> NDArray[np.float64]:
    """
    All distances ``[N, N]`` of one instance (batch size 1), with zeros from each node to itself.

    Files state anything there (TSPLIB: often 9999), and no route drives it.

    Raises
    ------
    InputError
        A distance is negative, infinite or not a number.
    """
    matrix = pairwise(instance)[0].detach().cpu().double().numpy().copy()
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
        if top * factor <= largest and (np.rint(distance * factor) / factor == distance).all():
            return Scaling(factor, exact=True)
    nodes = len(distance)
    out = np.where(np.eye(nodes, dtype=bool), np.inf, distance).min(axis=1)
    shortest = float(out.sum()) or top  # nodes that all coincide with another: no bound
    wanted = math.ceil(math.log2(2**20 * 2 * nodes) - math.log2(shortest))
    allowed = math.floor(math.log2(largest) - math.log2(top))
    return Scaling(2.0 ** min(wanted, allowed), exact=False)
