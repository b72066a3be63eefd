"""Published solutions of the variant sets (Zhou et al. 2024) before the checker."""

from collections.abc import Sequence

import pytest
from tensordict import TensorDict

from nco.data.formats.pkl import from_items
from nco.data.unpickle import unpickle
from nco.envs import PROBLEMS, problem
from nco.envs.routes import Route
from tests.benchmark_data import benchmark_data

SLACK = 1e-4  # the solvers computed with integers
# Solutions, and how many of the 1,000 break a rule by more than that.
CASES = [
    ("CVRP", "or_tools_200s", 0),
    ("CVRP", "hgs", 0),
    ("CVRP", "lkh", 0),
    ("OVRP", "or_tools_200s", 0),
    ("OVRP", "lkh", 0),
    ("VRPL", "or_tools_200s", 0),
    ("VRPL", "lkh", 0),
    ("VRPTW", "or_tools_200s", 0),
    ("VRPTW", "hgs", 20),
    ("VRPTW", "lkh", 0),
    ("OVRPTW", "or_tools_200s", 0),
]


def routes_of(tour: Sequence[int], is_open: bool) -> list[Route]:
    """The routes of a giant tour with 0 between them."""
    routes: list[list[int]] = [[]]
    for node in tour:
        if node:
            routes[-1].append(node)
        else:
            routes.append([])
    return [Route(tuple(visits), end=None if is_open else 0) for visits in routes if visits]


def checked(name: str, solver: str, rows: slice) -> tuple[int, float]:
    """How many solutions break a rule by more than the slack, and the largest error of a cost."""
    key = name.lower()
    if key not in PROBLEMS:
        pytest.skip(f"no problem {key}")
    folder = benchmark_data("vrp_variants_50", name)
    suffix = f"{key}50_uniform.pkl"
    instances: TensorDict = from_items(unpickle(folder / suffix)[rows], key)
    if "time_windows" in instances.keys():
        instances["time_windows"][..., 1] += SLACK
    if "distance_limit" in instances.keys():
        instances["distance_limit"] += SLACK
    env, wrong, error = problem(key), 0, 0.0
    for k, (cost, tour) in enumerate(unpickle(folder / f"{solver}_{suffix}")[rows]):
        routes = routes_of(tour, name.startswith("O"))
        instance = instances[k : k + 1]
        wrong += bool(env.check(instance, routes))
        error = max(error, abs(env.routes_cost(instance, routes) - cost))
    return wrong, error


@pytest.mark.parametrize(("name", "solver", "late"), CASES)
def test_some_published_solutions(name: str, solver: str, late: int) -> None:
    """The first solutions of every set are feasible, as far as all are, and cost what is said."""
    wrong, error = checked(name, solver, slice(0, 40))
    assert wrong <= (3 if late else 0) and error < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("name", "solver", "late"), CASES)
def test_published_solutions(name: str, solver: str, late: int) -> None:
    """All 1,000 of them, with exactly the exceptions that are known."""
    wrong, error = checked(name, solver, slice(None))
    assert wrong == late and error < 1e-3
