"""
Problems that are composed by the letters of their names: ``[A][MD][O]FAMILY[L][TW][R]``.

The 48 variants of RouteFinder (Berto et al. 2025) are ``[MD][O]VRP[B|MB][L][TW]``. MD: several
depots; O: open routes; B: deliveries before pickups on each route; MB: both mixed; L: a limit of
the length of routes; TW: time windows. The capacity is always there, and a C says so where nothing
else is: CVRP, MDCVRP.

Further families take the place of VRP: PDP (shipments from customer to customer), VRPSPD (delivery
and pickup at the same customer), DVRP (a limit of the time of routes), HFVRP (kinds of vehicles),
PCVRP (customers may be left out), with time windows SDVRPTW (site-dependent: not every vehicle may
visit every customer) and MTVRPTW (several trips of a vehicle). R: release times of the goods. A:
distances that differ by direction, of the generated instances; any problem takes such.
"""

import re
from itertools import product

from nco.data.generators.attributes import (
    Attribute,
    Backhauls,
    Demands,
    DurationLimits,
    LengthLimits,
    OpenEnds,
    Pickups,
    ReleaseTimes,
    Windows,
)
from nco.data.generators.fleets import OneDepot, Penalties, VehicleKinds, Zones
from nco.data.generators.shipments import Shipments, ShipmentWindows
from nco.data.generators.tsp_attributes import Detours
from nco.envs.problems.problem import Problem, composed

NAME = re.compile(
    r"(?P<a>a)?(?P<md>md)?(?P<o>o)?"
    r"(?:(?P<kind>c|d|hf|sd|pc|mt)?vrp(?P<load>spd|mb|b)?|(?P<pdp>pdp))"
    r"(?P<l>l)?(?P<tw>tw)?(?P<r>r)?",
    re.IGNORECASE,
)
VEHICLES = 3  # depot nodes of generated instances with several
# What each group of letters states beside locations, and what draws it, in this order.
LETTERS: dict[str, tuple[str, set[str], list[Attribute]]] = {
    "a": ("asymmetric distances", set(), [Detours()]),
    "md": ("several depots", {"depots"}, []),
    "hf": (
        "kinds of vehicles",
        {"depots", "fixed_cost", "unit_cost"},
        [VehicleKinds()],
    ),
    "sd": ("nodes that not every vehicle may visit", {"depots", "allowed"}, [Zones()]),
    "mt": ("several trips of each vehicle", {"depots", "trips"}, []),
    "pdp": ("shipments", {"delivery", "shipment"}, [Shipments()]),
    "b": ("pickups after deliveries", {"backhaul", "linehaul_first"}, [Backhauls()]),
    "mb": ("pickups among deliveries", {"backhaul"}, [Backhauls(mixed=True)]),
    "spd": ("deliveries and pickups", {"backhaul"}, [Pickups()]),
    "pc": ("customers that may be left out", {"penalty"}, [Penalties()]),
    "l": ("a limit of their length", {"distance_limit"}, [LengthLimits()]),
    "tw": ("time windows", {"time_windows"}, [Windows()]),
    "d": ("a limit of their time", {"duration_limit"}, [DurationLimits()]),
    "r": ("release times", {"release_time"}, [ReleaseTimes()]),
    "o": ("open ends", {"open_route"}, [OpenEnds()]),
}


def letters(name: str) -> set[str] | None:
    """The groups of letters of a name, or None if it is none of a composed problem."""
    match = NAME.fullmatch(name)
    if match is None:
        return None
    found = {group.lower() for group in match.groups() if group}
    timeless = {"sd", "mt", "r"} & found and "tw" not in found
    return None if timeless else found - {"c"}


def canonical(name: str) -> str:
    """
    A composed problem's name as the table spells it: lower case, a C just where nothing is said.

    What is no such name stays as it is.
    """
    found = letters(name)
    if found is None:
        return name
    said = found - {"a", "md"}
    kind = "".join(k for k in ("d", "hf", "sd", "pc", "mt") if k in found) or ("" if said else "c")
    family = "pdp" if "pdp" in found else f"{kind}vrp"
    order = ("spd", "mb", "b", "l", "tw", "r")
    tail = "".join(group for group in order if group in found)
    return "".join(g for g in ("a", "md", "o") if g in found) + family + tail


def variant(name: str) -> Problem:
    """The row of a composed problem, by the letters of its name."""
    found = letters(name)
    assert found is not None, name
    stated = {"capacity"} if "pdp" in found else {"capacity", "demand"}
    drawn: list[Attribute] = [] if "pdp" in found else [Demands()]
    said = []
    if found & {"hf", "sd", "mt"} and "md" not in found:
        drawn.insert(0, OneDepot())
    for group, (words, attributes, samplers) in LETTERS.items():
        if group in found:
            stated |= attributes
            drawn += [ShipmentWindows()] if group == "tw" and "pdp" in found else samplers
            said.append(words)
    several = "depots" in stated
    summary = "shortest routes" + (f" with {', '.join(said)}" if said else "")
    return composed(summary, stated, *drawn, depots=VEHICLES if several else 1)


VARIANTS: dict[str, Problem] = {
    name: variant(name)
    for parts in product(("", "md"), ("", "o"), ("", "b", "mb"), ("", "l"), ("", "tw"))
    for name in [canonical(f"{parts[0]}{parts[1]}vrp{''.join(parts[2:])}")]
}
FAMILIES = (
    *("acvrp", "avrptw", "dvrp", "hfvrp", "mdvrptwr", "mtvrptw", "mtvrptwr", "pcvrp", "pcvrptw"),
    *("pdp", "pdptw", "mdpdptw", "sdvrptw", "vrpspd", "vrpspdtw"),
)
VARIANTS |= {name: variant(name) for name in FAMILIES}
