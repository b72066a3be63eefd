"""The compiled engine, called with arrays: see ``kernels/sisr.cpp``."""

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nco.data.errors import InputError
from nco.data.native import kernels

_REALS = (
    *("delivery", "pickup", "open", "close", "service", "visit", "penalty", "capacity"),
    "fixed_cost",
    *("unit_cost", "length_limit", "duration_limit", "speed"),
)
_KINDS: dict[str, Any] = {
    **dict.fromkeys(("xy", "distance", "duration", *_REALS), np.float64),
    "count": np.int64,
    "open_route": np.uint8,
    "allowed": np.uint8,
}


class _Problem(ctypes.Structure):
    """`SisrProblem` of sisr.cpp."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("nodes", "depots")),
        *((name, ctypes.c_void_p) for name in ("xy", "distance", "duration")),
        ("rounding", ctypes.c_int64),
        ("scale", ctypes.c_double),
        *((name, ctypes.c_void_p) for name in (*_REALS, "count", "open_route", "allowed")),
        *((name, ctypes.c_int64) for name in ("linehaul_first", "one_commodity", "exact")),
    ]


class _Settings(ctypes.Structure):
    """`SisrSettings` of sisr.cpp."""

    _fields_ = [
        ("seconds", ctypes.c_double),
        ("seed", ctypes.c_uint64),
        ("iterations", ctypes.c_int64),
        ("mean_removed", ctypes.c_double),
        ("longest_string", ctypes.c_double),
        ("neighbours", ctypes.c_int64),
        ("blink", ctypes.c_double),
        *((name, ctypes.c_double) for name in ("hot", "cold", "progress", "finish")),
        ("stop", ctypes.c_void_p),
        ("trace", ctypes.c_void_p),
        ("room", ctypes.c_int64),
    ]


@dataclass(frozen=True)
class Found:
    """
    What a search found.

    Parameters
    ----------
    cost
        In the engine's unit; with a large amount for every customer that has no place.
    routes
        Depot node and customers of each.
    trace
        (seconds, cost) of improvements.
    iterations
        Ruins and recreations.
    """

    cost: float
    routes: list[tuple[int, list[int]]]
    trace: list[tuple[float, float]]
    iterations: int


@dataclass(frozen=True)
class Cooling:
    """
    Settings of the search; the defaults are those of Christiaens and Vanden Berghe (2020, table 5),
    but for the temperatures, which are relative.

    Parameters
    ----------
    mean_removed, longest_string
        Customers removed in an iteration on average, and in one string at most.
    neighbours
        Nearest customers beside which one may be inserted.
    blink
        Probability to overlook a place.
    hot, cold
        First and last temperature, in mean lengths of arcs to near customers.
    """

    mean_removed: float = 10.0
    longest_string: float = 10.0
    neighbours: int = 30
    blink: float = 0.01
    hot: float = 1.0
    cold: float = 0.1


class Search:
    """
    One instance, ready to be searched by any number of threads.

    Parameters
    ----------
    nodes, depots
        Their numbers.
    columns
        What is stated, by the names of `SisrProblem`: arrays and whole numbers.
    """

    def __init__(self, nodes: int, depots: int, columns: Mapping[str, NDArray[Any] | int | float]):
        self._stop = np.zeros(1, np.int32)
        self._nodes, self._depots = nodes, depots
        self._kept = {
            name: np.ascontiguousarray(value, _KINDS[name])
            for name, value in columns.items()
            if name in _KINDS
        }
        self._problem = _Problem(
            nodes=nodes,
            depots=depots,
            **{name: value.ctypes.data for name, value in self._kept.items()},
            **{name: value for name, value in columns.items() if name not in _KINDS},
        )

    def stop(self) -> None:
        """Ends all searches of this instance within a fraction of a millisecond."""
        self._stop[0] = 1

    def run(
        self,
        seconds: float,
        seed: int,
        start: Sequence[tuple[int, Sequence[int]]] = (),
        cooling: Cooling | None = None,
        span: tuple[float, float] = (0.0, 1.0),
        iterations: int | None = None,
    ) -> Found:
        """
        Searches; other threads run meanwhile.

        Parameters
        ----------
        seconds
            Wall time.
        seed
            Of all randomness.
        start
            Feasible routes to begin with.
        cooling
            See `Cooling`.
        span
            Shares of the cooling at the beginning and at the end.
        iterations
            A bound on their number, by which the temperature then falls.
        """
        settings = cooling or Cooling()
        trace, room = np.zeros((4096, 2)), 4096
        call = _Settings(
            seconds=seconds,
            seed=seed % 2**64,
            iterations=-1 if iterations is None else iterations,
            **vars(settings),
            progress=span[0],
            finish=span[1],
            stop=self._stop.ctypes.data,
            trace=trace.ctypes.data,
            room=room,
        )
        given = np.array(
            [node for depot, visits in start for node in (depot, *visits)], dtype=np.int32
        )
        out = np.zeros(2 * self._nodes, np.int32)
        size, done, traced = ctypes.c_int64(), ctypes.c_int64(), ctypes.c_int64()
        engine = library().sisr
        engine.restype = ctypes.c_double
        cost = engine(
            ctypes.byref(self._problem),
            ctypes.byref(call),
            ctypes.c_void_p(given.ctypes.data),
            ctypes.c_int64(len(given)),
            ctypes.c_void_p(out.ctypes.data),
            *map(ctypes.byref, (size, done, traced)),
        )
        routes: list[tuple[int, list[int]]] = []
        for node in out[: size.value].tolist():
            if node < self._depots:
                routes.append((node, []))
            else:
                routes[-1][1].append(node)
        points = [(float(t), float(c)) for t, c in trace[: traced.value]]
        return Found(float(cost), routes, points, done.value)


def library() -> ctypes.CDLL:
    """
    The compiled kernels.

    Raises
    ------
    InputError
        There are none: see `nco.data.native`.
    """
    found = kernels()
    if found.library is None:
        raise InputError(f"sisr needs the compiled kernels, found none ({found.reason})")
    return found.library
