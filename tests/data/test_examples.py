"""The shipped examples: read, feasible, and of the cost that they state."""

from pathlib import Path

import pytest
import torch

from nco.data.formats import read, read_solution
from nco.data.generators import XGenerator
from nco.data.metric import Metric
from nco.data.seeding import seeded
from nco.envs import Route, problem

FOLDER = Path(__file__).parents[2] / "data" / "examples"
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".vrp", ".csv"))


def test_what_is_shipped() -> None:
    """Two instances of the X recipe with 100 and 200 customers, and some forty capitals."""
    sizes = [read(path).instance["locs"].shape[1] - 1 for path in FILES]
    assert sizes == [43, 100, 200]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_best_known_solutions(path: Path) -> None:
    """Every example has a feasible solution beside it that costs what it states."""
    file = read(path)
    numbers, stated = read_solution(path.with_suffix(".sol"))
    routes = [Route(tuple(route)) for route in numbers]
    env = problem(file.problem)
    assert env.impossible(file.instance) == [] and env.check(file.instance, routes) == []
    assert file.best_known == stated == pytest.approx(env.routes_cost(file.instance, routes))


@pytest.mark.parametrize("size", [100, 200])
def test_x_examples_are_our_generators(size: int) -> None:
    """`benchmarks/make_examples.py` draws them from this seed."""
    (path,) = FOLDER.glob(f"nco-n{size + 1}-*.vrp")
    drawn = XGenerator(size, rounded=True)(1, seeded(2017, size))
    instance = read(path).instance
    assert set(instance.keys()) == set(drawn.keys())
    assert all(
        torch.equal(instance[key], drawn[key].to(instance[key].dtype)) for key in drawn.keys()
    )


def test_capitals() -> None:
    """Names, great-circle kilometres, and a depot in the first row."""
    file = read(FOLDER / "capitals.csv")
    assert file.labels is not None and file.labels[0] == "Vienna" and len(set(file.labels)) == 44
    assert file.instance["metric"].tolist() == [Metric.GREAT_CIRCLE]
    assert file.instance["demand"][0, 0] == 0 and (file.instance["demand"][0, 1:] > 0).all()
