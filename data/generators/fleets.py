"""Vehicles of several kinds, and what they cost, may and like to do: samplers to compose."""

from typing import Literal, get_args

import torch
from tensordict import TensorDict

from nco.data.errors import InputError
from nco.data.generators.attributes import Attribute, Fields
from nco.data.generators.base import uniform
from nco.data.generators.orienteering import half_tour
from nco.data.generators.uniform import default_capacity
from nco.data.instance import num_depots, num_nodes

PreferenceKind = Literal[
    "random",  # uniform in [0, 1)
    "cluster",  # 1 - the distance from the vehicle's favourite point / the diagonal
]
PREFERENCES: tuple[PreferenceKind, ...] = get_args(PreferenceKind)


class OneDepot(Attribute):
    """All depot nodes are at the place of the first one: kinds of vehicles of one depot."""

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, locs = num_depots(instance), instance["locs"].clone()
        locs[:, :depots] = locs[:, :1]
        fields = {"locs": locs, "depots": torch.zeros_like(instance["depots"])}
        for name in {"distance", "duration"} & set(instance.keys()):
            ways = instance[name].clone()
            ways[:, :depots] = ways[:, :1]
            ways[:, :, :depots] = ways[:, :, :1]
            fields[name] = ways
        return fields


class VehicleKinds(Attribute):
    """
    Kinds of vehicles that cost the more the larger they are (after Golden et al. 1984).

    The k-th of V kinds carries ``(k + 1) / 2`` times the capacity of `default_capacity`, and as
    much as that again is its fixed cost, times ``fixed_cost``; a unit of distance costs 10 % more
    from kind to kind.
    """

    def __init__(self, fixed_cost: float = 0.5):
        if not fixed_cost >= 0:
            raise InputError(f"fixed_cost: {fixed_cost}, expected a number >= 0")
        self.fixed_cost = fixed_cost

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, batch = num_depots(instance), len(instance)
        size = torch.arange(1, depots + 1, device=rng.device) / 2
        capacity = (size * default_capacity(num_nodes(instance) - depots)).long()
        return {
            "capacity": capacity.expand(batch, -1).clone(),
            "fixed_cost": (self.fixed_cost * size).expand(batch, -1).clone(),
            "unit_cost": (0.8 + 0.2 * size).expand(batch, -1).clone(),
        }


class SpeedyVehicles(Attribute):
    """Capacities 20, 25, 30, ... and speeds 1/4, 1/5, 1/6, ... (Li et al. 2021, HCVRP)."""

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        number = torch.arange(num_depots(instance), device=rng.device)
        batch = len(instance)
        return {
            "capacity": (20 + 5 * number).expand(batch, -1).clone(),
            "speed": (1 / (4 + number)).expand(batch, -1).clone(),
        }


class VehicleCounts(Attribute):
    """
    So many vehicles at each depot node; with ``all_leave``, every one of them has to drive.

    Raises
    ------
    InputError
        There is none.
    """

    def __init__(self, count: int, all_leave: bool = False):
        if count < 1:
            raise InputError(f"count: {count}, expected at least 1")
        self.count, self.all_leave = count, all_leave

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, batch = num_depots(instance), len(instance)
        counts = torch.full((batch, depots), self.count, device=rng.device)
        if not self.all_leave:
            return {"vehicle_count": counts}
        least = min(self.count * depots, num_nodes(instance) - depots)
        return {"vehicle_count": counts, "min_routes": counts.new_full((batch,), least)}


class Zones(Attribute):
    """
    Nodes that not every vehicle may visit, but each of them at least one.

    Parameters
    ----------
    share
        Probability that a vehicle may visit a node.
    """

    def __init__(self, share: float = 0.5):
        if not 0 <= share <= 1:
            raise InputError(f"share: {share}, expected a number from 0 to 1")
        self.share = share

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        shape = (len(instance), num_depots(instance), num_nodes(instance))
        draw = uniform(0, 1, shape, rng)
        return {"allowed": ((draw < self.share) | (draw == draw.amin(1, keepdim=True))).long()}


class Preferences(Attribute):
    """
    How much each node likes each vehicle, from 0 to 1 (Hua et al. 2025, CAMP).

    Raises
    ------
    InputError
        The kind is unknown.
    """

    def __init__(self, kind: PreferenceKind = "random"):
        if kind not in PREFERENCES:
            raise InputError(f"kind: {kind!r}, expected one of {', '.join(PREFERENCES)}")
        self.kind = kind

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        batch, depots, nodes = len(instance), num_depots(instance), num_nodes(instance)
        if self.kind == "random":
            preference = uniform(0, 1, (batch, depots, nodes), rng)
        else:
            favourite = uniform(0, 1, (batch, depots, 1, 2), rng)
            distance = (instance["locs"].unsqueeze(1) - favourite).norm(dim=-1)
            preference = (1 - distance / 2**0.5).clamp_min(0)
        preference[..., :depots] = 0
        return {"preference": preference}


class Penalties(Attribute):
    """Costs of leaving customers out: those of the PCTSP (Kool et al. 2019, appendix E)."""

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        depots, shape = num_depots(instance), (len(instance), num_nodes(instance))
        customers = shape[1] - depots
        penalty = uniform(0, 3 * half_tour(customers) / customers, shape, rng)
        penalty[:, :depots] = 0
        return {"penalty": penalty}


class Prizes(Attribute):
    """Prizes 0.01, 0.02, ..., 1 of the customers (Kool et al. 2019, appendix D)."""

    def __call__(self, instance: TensorDict, rng: torch.Generator) -> Fields:
        prize = (1 + (100 * uniform(0, 1, (len(instance), num_nodes(instance)), rng)).long()) / 100
        prize[:, : num_depots(instance)] = 0
        return {"prize": prize}
