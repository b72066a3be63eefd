"""Which part of a large solution to improve next: at random, or by what past parts gave."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

CANDIDATES = 24  # parts that a learned choice looks at
FORGET = 0.995  # weight that an old observation keeps with each new one
OPTIMISM = 1.0  # standard deviations of the upper confidence bound


@dataclass(frozen=True)
class Neighbourhood:
    """
    A group of neighbouring routes.

    Parameters
    ----------
    routes
        Their keys.
    features
        What is known of it beforehand.
    """

    routes: tuple[int, ...]
    features: NDArray[np.float64]


class NeighbourhoodSelection(Protocol):
    """Picks a part, and is told what came of it."""

    candidates: int

    def pick(self, parts: Sequence[Neighbourhood]) -> Neighbourhood:
        """One of the parts."""
        ...

    def learn(self, part: Neighbourhood, gain: float) -> None:
        """Takes in what a second spent on a part gained."""
        ...


class RandomSelection:
    """The baseline: neighbouring routes around one picked at random."""

    candidates = 1

    def pick(self, parts: Sequence[Neighbourhood]) -> Neighbourhood:
        return parts[0]

    def learn(self, part: Neighbourhood, gain: float) -> None:
        """Nothing to learn."""


class LearnedSelection:
    """
    A linear model of the gain, learned while the search runs (LinUCB: Li et al. 2010).

    CL-LNS (Feijen et al. 2024) learns beforehand which neighbourhoods are worth a try; here the
    parts of the instance itself are the training data. Old observations are forgotten, for gains
    dwindle as the search goes on.

    Parameters
    ----------
    features
        How many there are.
    """

    candidates = CANDIDATES

    def __init__(self, features: int):
        self._gram = np.eye(features)
        self._moment = np.zeros(features)
        self._scale = 0.0  # mean size of gains, so that optimism is in their unit

    def pick(self, parts: Sequence[Neighbourhood]) -> Neighbourhood:
        inverse = np.linalg.inv(self._gram)
        weights = inverse @ self._moment
        x = np.array([part.features for part in parts])
        doubt = np.sqrt(np.einsum("pi,ij,pj->p", x, inverse, x))
        return parts[int((x @ weights + OPTIMISM * self._scale * doubt).argmax())]

    def learn(self, part: Neighbourhood, gain: float) -> None:
        x = part.features
        ridge = (1 - FORGET) * np.eye(len(x))
        self._gram = FORGET * self._gram + ridge + np.outer(x, x)
        self._moment = FORGET * self._moment + gain * x
        self._scale = gain if self._scale == 0 else 0.95 * self._scale + 0.05 * gain
