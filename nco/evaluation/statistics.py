"""How sure a mean is, and whether two of them differ: Student's t on the same instances."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtr, stdtrit

from nco.data.errors import InputError

LEVEL = 0.95  # of confidence


@dataclass(frozen=True)
class Mean:
    """
    A mean and how far it may be off.

    Parameters
    ----------
    value
        The mean.
    stderr
        Its standard error; 0 of a single value.
    low, high
        The 95 % confidence interval; the mean itself of a single value.
    """

    value: float
    stderr: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """
    By how much the first of two paired samples is above the second.

    Parameters
    ----------
    difference
        Mean of the differences, with its interval.
    p
        Of the two-sided paired t-test: the probability of a difference this large where there is
        none. 1 where all pairs are equal, 0 where all differ by the same.
    """

    difference: Mean
    p: float


def mean_of(values: Sequence[float]) -> Mean:
    """
    Mean of independent values, with the interval of Student's t.

    Raises
    ------
    InputError
        There are no values.
    """
    if not values:
        raise InputError("no values, expected one at least")
    mean, count = fmean(values), len(values)
    if count == 1:
        return Mean(mean, 0.0, mean, mean)
    stderr = stdev(values) / math.sqrt(count)
    reach = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * stderr
    return Mean(mean, stderr, mean - reach, mean + reach)


def compare(first: Sequence[float], second: Sequence[float]) -> Comparison:
    """
    Compares two samples, value by value of the same instances.

    Raises
    ------
    InputError
        They are not of the same length, or hold less than two values.
    """
    if len(first) != len(second) or len(first) < 2:
        raise InputError(f"{len(first)} and {len(second)} values, expected 2 pairs or more")
    difference = mean_of([a - b for a, b in zip(first, second, strict=True)])
    if difference.stderr == 0:
        return Comparison(difference, float(difference.value == 0))
    t = abs(difference.value) / difference.stderr
    return Comparison(difference, 2 * float(stdtr(len(first) - 1, -t)))
