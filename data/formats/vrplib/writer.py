"""Writes ``.tsp`` and ``.vrp`` files."""

import math
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
from nco.data.instance import num_depots, num_nodes
from nco.data.metric import Metric
from nco.data.neutral import says_nothing
from nco.data.numbers import plain
from nco.data.values import attributes

TYPES = {
    **{"tsp": "TSP", "atsp": "ATSP", "cvrp": "CVRP", "sdvrp": "SDVRP", "ovrp": "OVRP"},
    **{"vrptw": "VRPTW", "vrpl": "CVRP", "vrpltw": "VRPTW", "dvrp": "CVRP", "ovrptw": "OVRPTW"},
    **{"vrpspd": "VRPSPD", "vrpspdtw": "VRPSPDTW", "vrpmb": "VRPMPD", "vrpmbtw": "VRPMPDTW"},
}
PLAIN_TYPES = ("tsp", "atsp", "cvrp", "sdvrp")  # whose EUC_2D is the nearest integer
_GEOMETRY = {"locs", "view", "metric", "distance"}
_SECTIONS = {"demand": "DEMAND", "backhaul": "BACKHAUL", "service_time": "SERVICE_TIME"}
_LIMITS = {"distance_limit": "VEHICLES_MAX_DISTANCE", "duration_limit": "VEHICLES_MAX_DURATION"}
_WRITTEN = _GEOMETRY | {
    *("capacity", "vehicle_count", "time_windows", "open_route", *_SECTIONS, *_LIMITS)
}


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
    known = _WRITTEN if routing else _GEOMETRY
    lost = [
        name
        for name in attributes(instance)
        if name not in known and not says_nothing(name, instance[name])
    ]
    if routing and num_depots(instance) > 1:
        lost.append("several depots or kinds of vehicles")
    windows = instance.get("time_windows", None)
    if windows is not None and bool(windows.isinf().any()):
        lost.append("time windows without end")
    if lost:
        raise InputError(f"{path}: TSPLIB has no place for {', '.join(lost)}, expected .json")
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
        for name, key in _LIMITS.items():
            if name in instance.keys() and math.isfinite(float(instance[name])):
                content[key] = plain(float(instance[name]))
    content |= weights
    if routing:
        content["DEMAND_SECTION"] = instance["demand"][0].tolist()
        for name, key in _SECTIONS.items():
            if name in instance.keys() and name != "demand":
                content[f"{key}_SECTION"] = [plain(value) for value in instance[name][0].tolist()]
        if windows is not None:
            content["TIME_WINDOW_SECTION"] = _cells(windows)
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
    usual = metric == Metric.EUC_2D and file.problem in PLAIN_TYPES
    if metric in STATED.values() or usual:
        return "", {"EDGE_WEIGHT_TYPE": metric.name, "NODE_COORD_SECTION": locs}
    if metric not in METRICS.values():
        raise InputError(f"{path}: TSPLIB has no metric {metric.name}, expected .csv or .json")
    return remark(metric), {"EDGE_WEIGHT_TYPE": "EUC_2D", "NODE_COORD_SECTION": locs}


def _cells(values: Tensor) -> list[list[str]]:
    return [[plain(value) for value in row] for row in values[0].tolist()]
