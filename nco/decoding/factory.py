"""The searches by the names that a person types."""

from typing import Literal

from nco.data.errors import InputError
from nco.decoding.active_search import ActiveSearch
from nco.decoding.beam import Beam
from nco.decoding.reconstruction import Reconstruction
from nco.decoding.search import Augment, MultiStart, Search, Single
from nco.decoding.sgbs import SimulationGuided
from nco.decoding.strategies import Sampling

Decode = Literal["greedy", "sample", "multistart", "beam", "sgbs", "eas", "rrc"]


def make_search(
    decode: Decode = "multistart",
    samples: int = 0,
    augment: int = 1,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    iterations: int = 0,
) -> Search:
    """
    A search from command-line options.

    Parameters
    ----------
    decode
        How: greedy, sample, multistart, beam, simulation-guided beam search (sgbs), efficient
        active search (eas) or random re-construction (rrc).
    samples
        How many: samples (of eas, in each iteration), first moves, beam width, rounds of
        re-construction; 0 takes the default (100 samples, 16 of eas, one start per customer, width
        10, 4 of sgbs, 20 rounds).
    augment
        Views of each instance under the symmetries of the square, 1 to 8.
    temperature, top_k, top_p
        Of sampling, see `Sampling`; of no other way.
    iterations
        Of efficient active search, steps of the optimiser; 0 takes its default.

    Raises
    ------
    InputError
        An option is out of range, or is one of another way of decoding.
    """
    if (temperature, top_k, top_p) != (1.0, 0, 1.0) and decode != "sample":
        raise InputError(f"temperature, top-k and top-p: not of {decode}, expected sample")
    if iterations < 0 or (iterations and decode != "eas"):
        raise InputError(f"iterations: {iterations} of {decode}, expected 1 or more of eas")
    if samples < 0:
        raise InputError(f"samples: {samples}, expected 0 or more")
    search: Search
    if decode == "greedy":
        search = Single()
    elif decode == "sample":
        search = Single(Sampling(temperature, top_k, top_p), samples or 100)
    elif decode == "multistart":
        search = MultiStart(samples)
    elif decode == "beam":
        search = Beam(samples or 10)
    elif decode == "sgbs":
        search = SimulationGuided(samples) if samples else SimulationGuided()
    elif decode == "eas":
        plain = ActiveSearch()
        search = ActiveSearch(
            iterations=iterations or plain.iterations, samples=samples or plain.samples
        )
    else:
        search = Reconstruction(rounds=samples) if samples else Reconstruction()
    return Augment(search, augment) if augment != 1 else search
