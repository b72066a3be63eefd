"""
The 48 variants of RouteFinder, composed by the letters of their names: ``[MD][O]VRP[B|MB][L][TW]``.

MD: several depots; O: open routes; B: deliveries before pickups on each route; MB: deliveries and
pickups mixed; L: a limit of the length of routes; TW: time windows. The capacity is always there,
and a C says so where nothing else is: CVRP, MDCVRP. (Berto et al. 2025, "RouteFinder".)
"""

import re
from functools import partial
from itertools import product

from nco.data.generators.attributes import (
    Attribute,
    Backhauls,
    Demands,
    LengthLimits,
    OpenEnds,
    Windows,
)
from nco.data.generators.variants import VariantGenerator
from nco.envs.base import Constraint
from nco.envs.constraints import (
    Capacity,
    DistanceLimit,
    LinehaulFirst,
    MaximumLoad,
    OpenRoutes,
    TimeWindows,
)
from nco.envs.env import RoutingEnv
from nco.envs.fleet_routes import FleetRoutes
from nco.envs.table import Problem
from nco.envs.visits import DepotRoutes

NAME = re.compile(
    r"(?P<depots>md)?(?P<open>o)?c?vrp(?P<backhaul>m?b)?(?P<limit>l)?(?P<windows>tw)?",
    re.IGNORECASE,
)
DEPOTS = 3  # of the generated instances with several


def canonical(name: str) -> str:
    """
    A variant's name as the table spells it: lower case, a C exactly where nothing else is said.

    What is no such name stays as it is.
    """
    match = NAME.fullmatch(name)
    if match is None:
        return name
    letters = {key: (value or "").lower() for key, value in match.groupdict().items()}
    tail = letters["backhaul"] + letters["limit"] + letters["windows"]
    plain = "" if letters["open"] + tail else "c"
    return f"{letters['depots']}{letters['open']}{plain}vrp{tail}"


def variant(name: str) -> Problem:
    """The row of a variant, by the letters of its name."""
    match = NAME.fullmatch(name)
    assert match is not None, name
    depots, open_ends, backhaul, limit, windows = match.groups()
    rules: list[type[Constraint]] = [MaximumLoad if backhaul else Capacity]
    drawn: list[Attribute] = [Demands()]
    said = []
    if backhaul:
        drawn.append(Backhauls(mixed=backhaul == "mb"))
        said.append("pickups " + ("among deliveries" if backhaul == "mb" else "after deliveries"))
    if backhaul == "b":
        rules.append(LinehaulFirst)
    if limit:
        rules.append(DistanceLimit)
        drawn.append(LengthLimits())
        said.append("a limit of their length")
    if windows:
        rules.append(TimeWindows)
        drawn.append(Windows())
        said.append("time windows")
    if open_ends:
        rules.append(OpenRoutes)
        drawn.append(OpenEnds())
    start = "from several depots" if depots else "from one depot"
    summary = f"shortest {'open ' if open_ends else ''}routes {start}"
    return Problem(
        f"{summary} with {', '.join(said)}" if said else summary,
        partial(_compose, FleetRoutes if depots else DepotRoutes, tuple(rules)),
        partial(_generator, attributes=tuple(drawn), depots=DEPOTS if depots else 1),
    )


def _compose(
    visits: type[DepotRoutes] | type[FleetRoutes], rules: tuple[type[Constraint], ...]
) -> RoutingEnv:
    return RoutingEnv(visits(), [rule() for rule in rules])


def _generator(
    size: int | tuple[int, int], attributes: tuple[Attribute, ...], depots: int
) -> VariantGenerator:
    return VariantGenerator(size, attributes, depots)


VARIANTS: dict[str, Problem] = {
    name: variant(name)
    for parts in product(("", "md"), ("", "o"), ("", "b", "mb"), ("", "l"), ("", "tw"))
    for name in [canonical(f"{parts[0]}{parts[1]}vrp{''.join(parts[2:])}")]
}
