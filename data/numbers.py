"""Numbers as files write them, read strictly: no NaN, no fractions of a unit, no surprises."""

import re

from nco.data.errors import InputError

MAX_INTEGER = 2**31 - 1  # sums over any fleet still fit an int64 exactly
MAX_REAL = 1e12  # squares and sums stay far from overflow
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}(\.0*)?")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


def integer(token: str, where: str, low: int = 0, high: int = MAX_INTEGER) -> int:
    """
    A whole number in ``low..high``; ``10.0`` is one, ``3.5`` is not.

    Raises
    ------
    InputError
        It is something else; ``where`` opens the message.
    """
    if not _INTEGER.fullmatch(token):
        raise InputError(f"{where}: {shown(token)}, expected an integer")
    value = int(token.split(".")[0])
    if not low <= value <= high:
        raise InputError(f"{where}: {shown(token)}, expected an integer from {low} to {high}")
    return value


def real(token: str, where: str, low: float = -MAX_REAL, high: float = MAX_REAL) -> float:
    """
    A finite number in ``low..high``.

    Raises
    ------
    InputError
        It is something else; ``where`` opens the message.
    """
    if not _REAL.fullmatch(token):
        raise InputError(f"{where}: {shown(token)}, expected a number")
    value = float(token)
    if not low <= value <= high:
        raise InputError(f"{where}: {shown(token)}, expected a number from {low:g} to {high:g}")
    return value


def is_real(token: str) -> bool:
    """Whether a token is a finite number, of any size."""
    return _REAL.fullmatch(token) is not None


def shown(text: str) -> str:
    """What was found, quoted on one line and cut to a readable length."""
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def plain(value: float) -> str:
    """A number as files write it: without a fraction if it has none, else to the last bit."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(value)
