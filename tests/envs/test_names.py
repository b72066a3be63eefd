"""Problems by name: each composes the rules that its letters say, and has a generator."""

import re
from itertools import product

import pytest
import torch

from nco.data.errors import InputError
from nco.data.instance import num_depots, validate
from nco.envs import FleetRoutes, OptionalTour, SplitRoutes, Tour, problem, row_of

NAMES = re.split(
    r"\s+",
    "tsp atsp tsptw pdtsp mtsp mtsp-minsum mtsp-minmax cvrp acvrp acvrptw sdvrp hcvrp hfvrp pvrp "
    "pvrp-zones sdvrptw site-dependent mdvrp op top pctsp spctsp pcvrp pdp pdptw vrpspd mtvrp "
    "mtvrptw mdmtvrp",
)
ROUTEFINDER = [
    "".join(parts)
    for parts in product(("", "MD"), ("", "O"), ("VRP",), ("", "B", "MB"), ("", "L"), ("", "TW"))
]
RULES = {
    "O(?=VRP)": {"OpenRoutes"},
    "VRPB": {"LinehaulFirst"},
    "L(?=TW|$)": {"DistanceLimit"},
    "TW": {"TimeWindows"},
}


def rules(name: str) -> set[str]:
    return {type(rule).__name__ for rule in problem(name).constraints}


def test_there_are_48_variants() -> None:
    """RouteFinder's 48 names are different problems of the table, whose CVRP is its VRP."""
    assert len(ROUTEFINDER) == len({id(row_of(name)) for name in ROUTEFINDER}) == 48
    assert row_of("VRP") is row_of("CVRP") and row_of("MDVRP") is row_of("MDCVRP")


@pytest.mark.parametrize("name", ROUTEFINDER)
def test_letters_are_rules(name: str) -> None:
    """Every letter of a RouteFinder name is its rule, and there are no others."""
    expected = {"MaximumLoad" if "B" in name else "Capacity"}
    for letters, meant in RULES.items():
        if re.search(letters, name):
            expected |= meant
    assert rules(name) == expected
    assert isinstance(problem(name).visits, FleetRoutes) == name.startswith("MD")


@pytest.mark.parametrize("name", [*NAMES, *ROUTEFINDER])
def test_every_name_draws_its_instances(name: str) -> None:
    """
    What the generator of a problem draws is valid, has all that the rules read, and says nothing
    that no rule is about; the same seed gives the same.
    """
    row = row_of(name)
    instance = row.generator(9)(3, torch.Generator().manual_seed(0))
    again = row.generator(9)(3, torch.Generator().manual_seed(0))
    validate(instance)
    env = problem(name)
    env.require(instance)
    assert env.num_customers(instance) + env.visits.num_depots >= 9
    assert all(torch.equal(instance[field], again[field]) for field in instance.keys())
    assert problem(name, instance=instance).spec == env.spec


def test_families() -> None:
    """The families that names stand for, where letters alone do not tell."""
    assert isinstance(problem("atsp").visits, Tour)
    assert isinstance(problem("sdvrp").visits, SplitRoutes)
    assert isinstance(problem("op").visits, OptionalTour)
    assert problem("pcvrp").visits.optional and problem("top").visits.optional
    assert (
        rules("sdvrptw")
        == rules("site-dependent")
        == {
            "Capacity",
            "TimeWindows",
            "AllowedVehicles",
        }
    )
    assert "TripWindows" in rules("mtvrptw")
    assert rules("mtvrp") == {
        *("MaximumLoad", "LinehaulFirst", "DistanceLimit", "TimeWindows", "OpenRoutes")
    }
    assert rules("pdptw") == {"PickupDelivery", "MaximumLoad", "TimeWindows"}
    assert rules("mtsp") == {"Fleet", "MinimumRoutes"} and rules("mtsp-minmax") == {"Fleet"}
    matrix = row_of("acvrptw").generator(6)(2, torch.Generator().manual_seed(0))["distance"]
    assert not torch.equal(matrix, matrix.mT)
    assert num_depots(row_of("mdvrp").generator(6)(2, torch.Generator().manual_seed(0))) == 3


@pytest.mark.parametrize("name", ["", "vr", "vrpp", "tspmb", "ovrpltwx", "mtvrpb", "bvrp"])
def test_other_names_are_refused(name: str) -> None:
    """What no rule composes is unknown, however close."""
    with pytest.raises(InputError, match="is unknown, the nearest names are"):
        row_of(name)
