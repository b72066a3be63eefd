"""
Which rounding a file means by ``EUC_2D``.

TSPLIB 95 means the nearest integer, and so do CVRPLIB's sets A, B, E, F, M, P, X, XML100 and AGS
(Arnold et al. 2019). The sets CMT, Golden, Li and tai say ``EUC_2D`` too, but their published
costs are unrounded. The families with time windows and fleets have conventions of their own:
`nco.data.formats.vrplib.types`.
"""

import re
import warnings
from typing import Literal, get_args

import torch

from nco.data.errors import InputError, InputWarning
from nco.data.formats.file_instance import FileInstance
from nco.data.metric import Metric

Rounding = Literal["auto", "none", "nearest", "up", "decimal", "milli"]
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
METRICS: dict[str, Metric] = {
    "none": Metric.EUCLIDEAN,
    "nearest": Metric.EUC_2D,
    "up": Metric.CEIL_2D,
    "decimal": Metric.DECIMAL,
    "milli": Metric.MILLI,
}
UNROUNDED_SETS = re.compile(r"CMT\d+|Golden_\d+|Li_\d+|[Tt]ai\d+[a-d]?")
_REMARK = re.compile(rf"\(rounding: ({'|'.join(METRICS)})\)")


def euclidean_metric(
    name: str, comment: str, rounding: Rounding, usual: Metric | None = None
) -> Metric:
    """
    The metric of Euclidean coordinates.

    Parameters
    ----------
    name
        What the file calls itself: the names of `UNROUNDED_SETS` mean unrounded distances.
    comment
        The file's comment; a remark as of `remark` in it goes before the name.
    rounding
        Goes before all of it unless it is ``auto``.
    usual
        What the files of this kind mean, whatever their names; goes before the name.
    """
    if rounding != "auto":
        return METRICS[rounding]
    if match := _REMARK.search(comment):
        return METRICS[match[1]]
    if usual is not None:
        return usual
    return Metric.EUCLIDEAN if UNROUNDED_SETS.fullmatch(name) else Metric.EUC_2D


def remark(metric: Metric) -> str:
    """What to add to the comment of an ``EUC_2D`` file so that it is read back with ``metric``."""
    (rounding,) = (key for key, value in METRICS.items() if value == metric)
    return f"(rounding: {rounding})"


def check_rounding(rounding: str) -> None:
    """
    Whether there is such a rounding.

    Raises
    ------
    InputError
        There is not.
    """
    if rounding not in ROUNDINGS:
        raise InputError(f"rounding: {rounding!r}, expected one of {', '.join(ROUNDINGS)}")


def warn_of_rounding(file: FileInstance) -> None:
    """Warns of coordinates so close that whole distances hardly tell them apart."""
    instance = file.instance
    whole = (Metric.EUC_2D, Metric.CEIL_2D, Metric.MAN_2D, Metric.MAX_2D)
    if "distance" in instance.keys() or int(instance.get("metric", torch.tensor(0))) not in whole:
        return
    locs = instance["locs"][0]
    width, height = (locs.amax(0) - locs.amin(0)).tolist()
    if max(width, height) <= 2 and bool((locs != locs.round()).any()):
        name = Metric(int(instance["metric"])).name
        warnings.warn(
            f"{file.path}: coordinates span {width:g} x {height:g} and {name} rounds distances to "
            "whole numbers; --rounding none does not",
            InputWarning,
            stacklevel=2,
        )
