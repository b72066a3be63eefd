"""Published solutions of every family: feasible, and of the cost that they state."""

from pathlib import Path

import pytest

from nco.data.formats import read
from nco.envs import PROBLEMS, problem
from nco.published import read_routes
from tests.benchmark_data import benchmark_data

# Folder, name of the instance, name of the problem.
CASES = [
    *(("solomon", f"{name}.txt", "vrptw") for name in ("C101", "C201", "R105", "R211")),
    *(("gehring_homberger_1000", f"{name}_10_1.vrp", "vrptw") for name in ("C1", "R1", "RC1")),
    *(("vrpb", f"X-n{name}.vrp", "vrpb") for name in ("524-50-k125", "655-50-k66", "819-50-k86")),
    *(("cvrplib_small", f"{name}.vrp", "vrpl") for name in ("Golden_1", "Li_21")),
    ("cvrplib_small", "CMT6.vrp", "dvrp"),
    *(("hfvrp", f"{name}.vrp", "hfvrp") for name in ("X101-FSMFD", "X256-FSMF", "X480-FSMD")),
    *(("mdvrptw", f"{name}.vrp", "mdvrptw") for name in ("PR11A", "PR15B", "PR20A")),
    *(("sdvrptw", f"{name}.vrp", "sdvrptw") for name in ("PR01", "PR13A", "PR19")),
    *(("pcvrptw", f"{name}_10_1.vrp", "pcvrptw") for name in ("C1", "R1", "RC1")),
    *(("mtvrptwr", f"{name}.vrp", "mtvrptwr") for name in ("C2_2_01R0.5", "R211R0.5")),
    *(("li_lim", f"{name}.txt", "pdptw") for name in ("lc101", "lr101", "lrc201")),
]
# Costs are exact in the steps in which they are stated, but for those of few decimals.
DECIMALS = {"hfvrp": 2, "cvrplib_small": 2, "li_lim": 4}


@pytest.mark.parametrize(("folder", "name", "expected"), CASES)
def test_best_known_solutions(folder: str, name: str, expected: str) -> None:
    """The checker finds nothing wrong, and the cost is the one stated."""
    path = benchmark_data(folder, name)
    file = read(path)
    assert file.problem == expected
    if expected not in PROBLEMS:
        pytest.skip(f"no problem {expected}")
    env = problem(file.problem)
    assert file.best_known is not None and file.best_known_source is not None
    routes = read_routes(Path(file.best_known_source), file)
    assert env.check(file.instance, routes) == [], name
    tolerance = 0.51 * 10 ** -DECIMALS[folder] if folder in DECIMALS else 1e-6
    assert abs(env.routes_cost(file.instance, routes) - file.best_known) <= tolerance
