"""Writes ``.tsp`` and ``.vrp`` files."""

from pathlib import Path
from typing import Any

import torch
import vrplib
from torch import Tensor

from nco.data.atomic import atomic
from nco.data.errors import InputError
from nco.data.formats.file_instance import FileInstance
from nco.data.formats.missing_arcs import ALL_THERE, is_misread, number_for_none
from nco.data.formats.rounding import METRICS, remark
from nco.data.formats.vrplib.geometry import METRICS as STATED
from nco.data.instance import num_nodes
from nco.data.metric import Metric
from nco.data.numbers import plain
from nco.data.values import attributes

TYPES = {"tsp": "TSP", "atsp": "ATSP", "cvrp": "CVRP", "sdvrp": "SDVRP"}
_GEOMETRY = {"locs", "view", "metric", "distance"}
_WRITTEN = _GEOMETRY | {"demand", "capacity", "vehicle_count"}


def write_tsplib(path: Path, file: FileInstance) -> None:
    """
    Writes an instance, whole or not at all; it is read back bit by bit, except for labels.

    A rounding that TSPLIB has no name for (none, one decimal, thousandths) is stated in the
    comment; other programs will read it as ``EUC_2D``.

    Raises
    ------
    InputError
        The problem, its metric or an attribute cannot be expressed in the format, or the folder is
        not writable.
    """
    if file.problem not in TYPES:
        raise InputError(f"{path}: problem {file.problem}, expected one of {', '.join(TYPES)}")
    instance = file.instance
    routing = "demand" in instance.keys()
    for name in attributes(instance):
        if name not in (_WRITTEN if routing else _GEOMETRY):
            raise InputError(f"{path}: TSPLIB has no place for {name}, expected .json")
    content: dict[str, Any] = {"NAME": file.name}
    comment, weights = _weights(path, file)
    if comment:
        content["COMMENT"] = comment
    content["TYPE"] = TYPES[file.problem]
    content["DIMENSION"] = num_nodes(instance)
    if routing:
        if "vehicle_count" in instance.keys():
            content["VEHICLES"] = int(instance["vehicle_count"])
        content["CAPACITY"] = int(instance["capacity"])
    content |= weights
    if routing:
        content["DEMAND_SECTION"] = instance["demand"][0].tolist()
        content["DEPOT_SECTION"] = [1, -1]
    with atomic(path) as part:
        vrplib.write_instance(part, content)


def _weights(path: Path, file: FileInstance) -> tuple[str, dict[str, Any]]:
    """Comment, specifications and sections that state the distances."""
    instance = file.instance
    locs = _cells(instance["locs"]) if "locs" in instance.keys() else []
    if "distance" in instance.keys():
        content: dict[str, Any] = {
            "EDGE_WEIGHT_TYPE": "EXPLICIT",
            "EDGE_WEIGHT_FORMAT": "FULL_MATRIX",
        }
        if locs:
            content["NODE_COORD_SECTION"] = locs
        matrix = instance["distance"]
        told = ALL_THERE if is_misread(matrix[0].numpy()) else ""
        lacks = matrix.isinf()
        if bool(lacks.any()):  # TSPLIB has no word for it
            matrix = torch.where(lacks, number_for_none(matrix[0].numpy()), matrix)
        return told, content | {"EDGE_WEIGHT_SECTION": _cells(matrix)}
    metric = Metric(int(instance["metric"])) if "metric" in instance.keys() else Metric.EUCLIDEAN
    if metric in STATED.values() or metric == Metric.EUC_2D:
        return "", {"EDGE_WEIGHT_TYPE": metric.name, "NODE_COORD_SECTION": locs}
    if metric not in METRICS.values():
        raise InputError(f"{path}: TSPLIB has no metric {metric.name}, expected .csv or .json")
    return remark(metric), {"EDGE_WEIGHT_TYPE": "EUC_2D", "NODE_COORD_SECTION": locs}


def _cells(values: Tensor) -> list[list[str]]:
    return [[plain(value) for value in row] for row in values[0].tolist()]
