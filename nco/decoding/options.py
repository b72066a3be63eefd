"""The searches by the names that a person types."""

from typing import Literal

from nco.data.errors import InputError
from nco.decoding.beam import Beam
from nco.decoding.search import Augment, MultiStart, Search, Single
from nco.decoding.strategies import Sampling

Decode = Literal["greedy", "sample", "multistart", "beam"]


def make_search(
    decode: Decode = "multistart",
    samples: int = 0,
    augment: int = 1,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> Search:
    """
    A search from command-line options.

    Parameters
    ----------
    decode
        How: greedy, sample, multistart or beam.
    samples
        How many: samples, first moves or beam width; 0 takes the default (100 samples, one start
        per customer, width 10).
    augment
        Views of each instance under the symmetries of the square, 1 to 8.
    temperature, top_k, top_p
        Of sampling, see `Sampling`.

    Raises
    ------
    InputError
        An option is out of range.
    """
    if samples < 0:
        raise InputError(f"samples: {samples}, expected 0 or more")
    search: Search
    if decode == "greedy":
        search = Single()
    elif decode == "sample":
        search = Single(Sampling(temperature, top_k, top_p), samples or 100)
    elif decode == "multistart":
        search = MultiStart(samples)
    else:
        search = Beam(samples or 10)
    return Augment(search, augment) if augment != 1 else search
