"""
Arcs that a matrix lacks: null, ``inf``, ``nan``, empty cells, and numbers that stand for them.

In the instance a missing arc is infinitely long. Files without a word for it have a number so
large that no solution takes the arc if it can help it: a row of nines, a power of ten, the largest
integer of a machine. Such a number is taken for a missing arc if twice as many arcs as there are
nodes, all as long as the longest other one, are shorter: a solution without it is then better than
one with it. Where a file remarks `ALL_THERE`, every number is a distance.
"""

import warnings

import numpy as np

from nco.data.errors import InputError, InputWarning
from nco.data.numbers import MAX_REAL, is_real, plain, shown

INF = float("inf")
ALL_THERE = "(missing arcs: none)"  # a remark by which every number of a matrix is a distance
WORDS = {"", "inf", "+inf", "infinity", "+infinity", "nan", "na", "n/a", "null", "none", "-"}
LARGEST = {2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1, 2**30 - 1, 2**30, 0x3F3F3F3F}


def entry(token: str, where: str) -> float:
    """
    An entry of a matrix as text: an amount, or infinity where a word says that there is no arc.

    Raises
    ------
    InputError
        It is something else; ``where`` opens the message.
    """
    if token.lower() in WORDS:
        return INF
    if not is_real(token):
        raise InputError(f"{where}: {shown(token)}, expected a number")
    value = float(token)
    if value < 0:
        raise InputError(f"{where}: {shown(token)}, expected a number from 0 to {MAX_REAL:g}")
    return value


def without_missing_arcs(matrix: np.ndarray, where: str, all_there: bool = False) -> np.ndarray:
    """
    A matrix ``[n, n]`` whose missing arcs are infinite and whose diagonal is 0.

    A number that is taken for a missing arc is told in an `InputWarning`.

    Parameters
    ----------
    matrix
        Amounts, and infinity where arcs are missing; its diagonal says nothing.
    where
        Opens messages.
    all_there
        Whether no number stands for a missing arc.

    Raises
    ------
    InputError
        An entry is too large for a number and none that stands for a missing arc.
    """
    matrix = matrix.astype(np.float64, copy=True)
    np.fill_diagonal(matrix, 0)
    n = len(matrix)
    finite = np.unique(matrix[np.isfinite(matrix)])
    while len(finite) and not all_there and _stands_for_none(finite[-1]):
        longest = finite[-2] if len(finite) > 1 else 0.0
        if finite[-1] <= 2 * n * longest or longest == 0:
            break
        missing = matrix == finite[-1]
        warnings.warn(
            f"{where}: {missing.sum()} entries of {plain(finite[-1])} are taken for missing arcs "
            f"(a comment {ALL_THERE!r} says otherwise)",
            InputWarning,
            stacklevel=2,
        )
        matrix[missing] = INF
        finite = finite[:-1]
    if len(finite) and finite[-1] > MAX_REAL:
        found = f"{finite[-1]:g}"
        raise InputError(f"{where}: {shown(found)}, expected a number from 0 to {MAX_REAL:g}")
    return matrix


def is_misread(matrix: np.ndarray) -> bool:
    """Whether some number of a matrix would be taken for a missing arc."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        return bool((without_missing_arcs(matrix, "") != matrix).any())


def number_for_none(matrix: np.ndarray) -> int:
    """The number that `without_missing_arcs` takes for a missing arc of this matrix."""
    finite = matrix[np.isfinite(matrix)]
    longest = float(finite.max()) if finite.size else 0.0
    digits = 5
    while 10**digits - 1 <= 2 * len(matrix) * longest:
        digits += 1
    return 10**digits - 1


def _stands_for_none(value: float) -> bool:
    """Whether a number is one that people write for infinity."""
    if value >= 1e15:
        return True
    if not float(value).is_integer():
        return False
    number = int(value)
    digits = str(number)
    nines = len(digits) >= 4 and set(digits) == {"9"}
    power = len(digits) >= 5 and set(digits[1:]) == {"0"} and digits[0] == "1"
    return nines or power or number in LARGEST
