"""
Distances as the integers that classical solvers compute with: exact where they can be.

What rounding of costs loses only steers the search: costs are always recomputed by
`nco.solution.judge` with the instance's own metric. What is bounded (lengths of routes, times) is
rounded to the safe side, amounts up and bounds down: what keeps the bounds in integers keeps them
exactly, and all that may be lost are solutions within a millionth of a bound.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.instance import num_nodes
from nco.data.metric import legs_from, resolution

LARGEST = 2**44  # the largest entry that PyVRP takes; 2^18 legs of it still sum within int64
MOST = 2**62  # stands for infinity
FINEST = 2**40  # units of the largest amount of its kind: sums of 2^22 of them fit an int64
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

    def at_least(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Scaled values, rounded up unless scaling is exact: for amounts that are bounded."""
        return self.integers(values) if self.exact else _ints(np.ceil(values * self.factor))

    def at_most(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """
        Scaled values, rounded down: for bounds. Infinite ones become the largest integer.

        Where scaling is exact, what lies within rounding of a whole number is that number.
        """
        scaled = values * self.factor
        near = np.rint(np.nan_to_num(scaled, posinf=0))
        whole = self.exact & (np.abs(scaled - near) < 1e-6)
        return _ints(np.where(whole, near, np.floor(scaled)))

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


def choose_scaling(
    distance: NDArray[np.float64],
    largest: int = LARGEST,
    others: NDArray[np.float64] | None = None,
) -> Scaling:
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
    others
        More amounts in the same unit, such as prices of nodes: they have to be integers as well
        where scaling is exact, and are bounded alike.
    """
    nodes = len(distance)
    others = np.zeros(0) if others is None else others
    top = max(float(distance.max(initial=0)), float(others.max(initial=0)))
    for decimals in range(4):
        factor = 10.0**decimals
        if top * factor <= largest and all(
            (np.rint(values * factor) / factor == values).all()
            for values in (others, *(distance[rows] for rows in _chunks(nodes)))
        ):
            return Scaling(factor, exact=True)
    if not distance.any():  # prizes alone
        allowed = math.floor(math.log2(largest) - math.log2(top) - math.log2(nodes))
        return Scaling(2.0 ** min(allowed, MAX_EXPONENT), exact=False)
    out = np.partition(distance, 1, axis=1)[:, 1] / top  # the smallest is the diagonal's zero
    shortest = float(out.sum()) or 1.0  # every node coincides with another: no bound
    wanted = math.ceil(math.log2(2**20 * 2 * nodes / shortest) - math.log2(top))
    allowed = math.floor(math.log2(largest) - math.log2(top))
    return Scaling(2.0 ** min(wanted, allowed, MAX_EXPONENT), exact=False)


def steps(instance: TensorDict) -> tuple[float, ...]:
    """
    Factors by which sums of lengths are the checker's whole numbers: see `nco.data.metric`.

    With another power of ten, sums of decimals would be equal to a bound that their floating point
    sums exceed.
    """
    whole = resolution(instance)
    return (1.0,) if whole is None else (1.0, float(whole[0]))


def _ints(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Whole numbers as integers; what is too large becomes the largest."""
    return np.where(values < MOST, values, 0).astype(np.int64) + np.where(values < MOST, 0, MOST)


def _chunks(nodes: int) -> list[slice]:
    """Rows at a time, so that the matrices of large instances are not held several times over."""
    return [slice(begin, begin + 256) for begin in range(0, nodes, 256)]


def bounding_scaling(
    legs: NDArray[np.float64],
    bounds: NDArray[np.float64],
    largest: int,
    factors: Sequence[float],
) -> Scaling:
    """
    The scaling for amounts that add up along a route to at most some bound (lengths, times).

    Exact where one of the factors makes integers of all that is finite; else the largest power of
    two that keeps ``legs`` within ``largest``, and sums of bounds within int64.
    """
    bounds = np.abs(bounds[np.isfinite(bounds)])
    top = max(float(legs.max(initial=0)), 2.0**-10 * float(bounds.max(initial=0)))
    for factor in factors:
        if top * factor <= largest and all(
            (np.rint(values * factor) / factor == values).all()
            for values in (bounds, *(legs[rows] for rows in _chunks(len(legs))))
        ):
            return Scaling(factor, exact=True)
    exponent = math.floor(math.log2(largest) - math.log2(top))
    return Scaling(2.0 ** min(exponent, MAX_EXPONENT), exact=False)


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
