"""
What the ``TYPE`` of a ``.vrp`` file settles: the meaning of its numbers, not its rules.

The rules follow from the sections. The conventions are those under which the best-known costs of
each family were published, as PyVRP's collection of instances states them. Costs of vehicles are
read as they stand, but for the sets that state multiples of what their costs were published in:
`vehicle_steps`.
"""

import re
from dataclasses import dataclass

from nco.data.metric import Metric


@dataclass(frozen=True)
class Kind:
    """
    A type of ``.vrp`` files.

    Parameters
    ----------
    metric
        What ``EUC_2D`` means; None where the name of the file tells.
    cost_steps
        Steps of a ``.sol`` file's cost in a unit of the distance: 10 where costs are in tenths.
    linehaul_first
        Whether deliveries come before pickups.
    open_route
        Whether routes end at their last customer.
    sections
        What has to be there, as the type promises it.
    depot_stated
        Whether there has to be a ``DEPOT_SECTION``; else the first node may be the depot.
    one_vehicle
        Whether a single vehicle that carries any load visits all nodes.
    problem
        Name of the problem, where no section states its rule; else it follows from them.
    """

    metric: Metric | None = None
    cost_steps: int = 1
    linehaul_first: bool = False
    open_route: bool = False
    sections: tuple[str, ...] = ()
    depot_stated: bool = True
    one_vehicle: bool = False
    problem: str | None = None


WINDOWS = ("TIME_WINDOW",)
KINDS = {
    "CVRP": Kind(),
    "DCVRP": Kind(),
    "OVRP": Kind(open_route=True),
    "MDVRP": Kind(),
    "SDVRP": Kind(problem="sdvrp"),  # split deliveries
    "VRPB": Kind(Metric.EUC_2D, linehaul_first=True, sections=("BACKHAUL",)),
    "MVRPB": Kind(),
    "VRPMPD": Kind(),
    "VRPSPD": Kind(),
    "VRPTW": Kind(Metric.DECIMAL, sections=WINDOWS),  # DIMACS
    "PCVRPTW": Kind(Metric.DECIMAL, cost_steps=10, sections=(*WINDOWS, "PRIZE")),
    "MTVRPTWR": Kind(
        Metric.DECIMAL, cost_steps=10, sections=(*WINDOWS, "RELEASE_TIME", "VEHICLES_RELOAD_DEPOT")
    ),
    "MDVRPTW": Kind(Metric.MILLI, cost_steps=1000, sections=WINDOWS),
    "SDVRPTW": Kind(
        Metric.MILLI,
        cost_steps=1000,
        sections=(*WINDOWS, "VEHICLES_ALLOWED_CLIENTS"),
        depot_stated=False,
    ),
    "HFVRP": Kind(Metric.EUCLIDEAN),
    # LKH-3's names, and those of the EURO/NeurIPS challenge: EUC_2D is TSPLIB's, the nearest
    # integer, where DIMACS truncates to tenths for VRPTW.
    "ACVRP": Kind(Metric.EUC_2D),
    "ADCVRP": Kind(Metric.EUC_2D),
    "CVRPTW": Kind(Metric.EUC_2D, sections=WINDOWS),
    "ACVRPTW": Kind(Metric.EUC_2D, sections=WINDOWS),
    "OVRPTW": Kind(Metric.EUC_2D, sections=WINDOWS, open_route=True),
    "VRPMPDTW": Kind(Metric.EUC_2D),
    "VRPSPDTW": Kind(Metric.EUC_2D),
    "TSPTW": Kind(Metric.EUC_2D, sections=WINDOWS, depot_stated=False, one_vehicle=True),
}
# The instances of Pessoa, Sadykov and Uchoa (2018), by their NAME: their files state whole numbers,
# a hundred times the fixed and unit costs by which the published solutions are measured.
SCALED_SETS = re.compile(r"X[0-9]+-(FSMF|FSMD|FSMFD|HD|HVRP)")
# Types that no composition of rules states, and why.
REFUSED = {
    "GVRP": "MUTUALLY_EXCLUSIVE_GROUP_SECTION asks for one customer of each group",
}


def vehicle_steps(name: str) -> int:
    """Steps of the costs of vehicles in a unit of the distance, by the ``NAME`` of a file."""
    return 100 if SCALED_SETS.fullmatch(name) else 1
