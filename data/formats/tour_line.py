"""
A line of a learning set of tours: ``x y x y ... output 1 3 2 1``, unrounded distances.

The layout of the Pointer Network's sets (Vinyals et al. 2015) and of those after Joshi et al.
(2019); the tour behind ``output`` counts nodes from 1 and returns to its beginning. Such sets have
a line for each instance; a file of one line is an instance, whose tour is a best-known solution.
"""

from pathlib import Path

import torch

from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.rounding import METRICS, Rounding
from nco.data.instance import from_tensors
from nco.data.metric import Metric, leg
from nco.data.numbers import integer, real


def looks_like_tour_line(text: str) -> bool:
    """Whether the first line has numbers in front of ``output`` and behind it."""
    words = text.lstrip().split("\n", 1)[0].split()
    return words.count("output") == 1 and not any(c.isalpha() for c in "".join(words[:4]))


def read_tour_line(text: str, path: Path, rounding: Rounding) -> FileInstance:
    """
    Reads an instance with its tour.

    Raises
    ------
    InputError
        There are several lines, a number is none, or the tour does not visit each node once.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1:
        found = f"{len(lines)} instances, one a line, as learning sets have them"
        raise InputError(f"{path}: {found}; expected a file for each")
    before, _, behind = lines[0].partition("output")
    where = f"{path}, line 1"
    numbers = [real(word, f"{where}: coordinate") for word in before.split()]
    if len(numbers) % 2 or len(numbers) < 4:
        raise InputError(
            f"{where}: {len(numbers)} coordinates, expected x and y of 2 nodes or more"
        )
    n = len(numbers) // 2
    tour = [integer(word, f"{where}: node", 1, n) - 1 for word in behind.split()]
    if sorted(tour[:n]) != list(range(n)) or tour[n:] not in ([], tour[:1]):
        raise InputError(f"{where}: a tour of {len(tour)} nodes, expected each of 1..{n} once")
    fields = {"locs": torch.tensor(numbers, dtype=torch.double).view(1, n, 2)}
    metric = Metric.EUCLIDEAN if rounding == "auto" else METRICS[rounding]
    if metric != Metric.EUCLIDEAN:
        fields["metric"] = torch.tensor([int(metric)])
    instance = from_tensors(**fields)
    order = torch.tensor([tour[:n]])
    length = float(leg(instance, order, order.roll(-1, dims=1)).sum())
    return FileInstance(
        path.stem,
        "tsp",
        instance,
        path,
        best_known=length,
        best_known_source=str(path),
        numbers=tuple(str(k + 1) for k in range(n)),
    )
