"""The published variant sets of Zhou et al. (2024): instances and routes of other solvers."""

from collections.abc import Sequence
from typing import Any

import torch
from tensordict import TensorDict

from nco.data import make_instance
from nco.data.unpickle import unpickle
from nco.envs import Route
from tests.benchmark_data import benchmark_data

HORIZON = 3.0
COLUMNS = {
    "CVRP": (),
    "OVRP": (),
    "VRPB": (),
    "VRPL": ("distance_limit",),
    "VRPTW": ("service", "begin", "end"),
    "OVRPTW": ("service", "begin", "end"),
    "VRPBLTW": ("distance_limit", "service", "begin", "end"),
}


def published_instances(name: str) -> TensorDict:
    """All 1,000 instances of a set, in double precision."""
    items = unpickle(benchmark_data("vrp_variants_50", name, f"{name.lower()}50_uniform.pkl"))
    columns = dict(zip(COLUMNS[name], zip(*(item[4:] for item in items), strict=True), strict=True))

    def numbers(values: Sequence[Any]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.double)

    def nodes(values: Sequence[Any]) -> torch.Tensor:
        return torch.nn.functional.pad(numbers(values), (1, 0))

    locs = torch.stack([numbers([*item[0], *item[1]]) for item in items])
    signed = nodes([item[2] for item in items]).long()
    fields = {
        "locs": locs,
        "demand": signed.clamp_min(0),
        "capacity": numbers([item[3] for item in items]).long(),
    }
    if "B" in name:
        fields["backhaul"] = (-signed).clamp_min(0)
    if name.startswith("O"):
        fields["open_route"] = torch.ones(len(items), dtype=torch.long)
    if "distance_limit" in columns:
        fields["distance_limit"] = numbers(columns["distance_limit"])
    if "begin" in columns:
        windows = torch.stack([nodes(columns["begin"]), nodes(columns["end"])], -1)
        windows[:, 0, 1] = HORIZON
        fields["time_windows"] = windows
        fields["service_time"] = nodes(columns["service"])
    return make_instance(**fields)


def published_routes(name: str, solver: str) -> list[tuple[float, list[Route]]]:
    """Stated cost and routes of every instance, as a solver of that name found them."""
    path = benchmark_data("vrp_variants_50", name, f"{solver}_{name.lower()}50_uniform.pkl")
    end = None if name.startswith("O") else 0
    found = []
    for cost, tour in unpickle(path):
        routes: list[list[int]] = [[]]
        for node in tour:
            if node:
                routes[-1].append(node)
            elif routes[-1]:
                routes.append([])
        found.append((float(cost), [Route(tuple(visits), end=end) for visits in routes if visits]))
    return found
