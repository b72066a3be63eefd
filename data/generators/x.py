"""
The recipe of the X instances of CVRPLIB.

Uchoa, E. et al. (2017). New benchmark instances for the Capacitated Vehicle Routing Problem.
*European Journal of Operational Research* 257(3): 845-858, section 3.
"""

from typing import Literal, get_args

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.generators.base import InstanceGenerator, as_range, integers, uniform
from nco.data.generators.x_locations import CENTRE, Customers, Depot, XLocations
from nco.data.instance import from_tensors
from nco.data.metric import Metric

Demand = Literal[
    "unitary",  # 1
    "small-large-cv",  # 1..10
    "small-small-cv",  # 5..10
    "large-large-cv",  # 1..100
    "large-small-cv",  # 50..100
    "quadrant",  # 51..100 in the odd quadrants around the centre, 1..50 in the even ones
    "many-small",  # 1..10 for 70 to 95 % of the customers, 50..100 for the others
]
DEMANDS: tuple[Demand, ...] = get_args(Demand)
RANGES = ((1, 1), (1, 10), (5, 10), (1, 100), (50, 100), (1, 50), (1, 10))
LARGE = {"quadrant": (51, 100), "many-small": (50, 100)}
ROUTE_LENGTH = (3.0, 6.0, 25.0)


class XGenerator(InstanceGenerator):
    """
    Instances like those of the X set: integer coordinates 0..1000, integer demands.

    The capacity lets a vehicle serve ``r`` customers of average demand:
    ``Q = ceil(r * sum(d) / n)``, and never less than the largest demand. What is not given is
    drawn for each instance.

    Parameters
    ----------
    size
        Number of customers, or an inclusive range of it.
    depot, customers
        See `XLocations`.
    demand
        One of the seven kinds of demand, evenly by default.
    route_length
        Average number of customers of a route, r, or a range of it; triangular(3, 6, 25) by
        default.
    rounded
        Whether distances are rounded to the nearest integer (EUC_2D), as the X set's are.

    Raises
    ------
    InputError
        An option is unknown or out of range.
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 100,
        depot: Depot | None = None,
        customers: Customers | None = None,
        demand: Demand | None = None,
        route_length: float | tuple[float, float] | None = None,
        rounded: bool = False,
    ):
        super().__init__(size)
        if demand is not None and demand not in DEMANDS:
            raise InputError(f"demand: {demand!r}, expected one of {', '.join(DEMANDS)}")
        if route_length is not None and not as_range(route_length)[0] >= 1:
            raise InputError(f"route_length: {route_length}, expected at least 1")
        self.locations = XLocations(depot, customers)
        self.demand = demand
        self.route_length = route_length
        self.rounded = rounded

    def generate(self, batch_size: int, size: int, rng: torch.Generator) -> TensorDict:
        locs = self.locations(batch_size, size + 1, rng)
        demand = draw_demands(locs, self.demand, rng)
        if self.route_length is None:
            length = triangular(*ROUTE_LENGTH, (batch_size,), rng)
        else:
            length = uniform(*as_range(self.route_length), (batch_size,), rng)
        # Double precision: sum(d) is exact, and r * sum(d) / n is rounded up only once.
        fitting = (length.double() * demand.sum(-1) / size).ceil().long()
        fields = {
            "locs": locs,
            "demand": demand,
            "capacity": torch.maximum(fitting, demand.amax(-1)),
        }
        if self.rounded:
            fields["metric"] = demand.new_full((batch_size,), Metric.EUC_2D)
        return from_tensors(**fields)


def draw_demands(locs: Tensor, kind: Demand | None, rng: torch.Generator) -> Tensor:
    """
    Demands ``[B, N]`` of nodes at ``locs [B, N, 2]``, int64; 0 at the depot, node 0.

    Parameters
    ----------
    kind
        One of `DEMANDS`, or None to draw one for each instance.
    """
    batch, nodes = locs.shape[:2]
    if kind is None:
        kinds = integers(0, len(DEMANDS) - 1, (batch, 1), rng)
    else:
        kinds = torch.full((batch, 1), DEMANDS.index(kind), device=locs.device)
    low, high = torch.tensor(RANGES, device=locs.device)[kinds].unbind(-1)
    demand = low + (uniform(0, 1, (batch, nodes), rng) * (high - low + 1)).long()

    odd_quadrant = (locs >= CENTRE)[..., 0] == (locs >= CENTRE)[..., 1]
    share = uniform(0.05, 0.30, (batch, 1), rng)
    few = uniform(0, 1, (batch, nodes), rng) < share
    for name, where in (("quadrant", odd_quadrant), ("many-small", few)):
        large = integers(*LARGE[name], (batch, nodes), rng)
        demand = torch.where(where & (kinds == DEMANDS.index(name)), large, demand)
    demand[:, 0] = 0
    return demand


def triangular(
    low: float, mode: float, high: float, shape: tuple[int, ...], rng: torch.Generator
) -> Tensor:
    """Numbers of the triangular distribution, by inversion of its distribution function."""
    u = uniform(0, 1, shape, rng)
    rising = low + (u * (high - low) * (mode - low)).sqrt()
    falling = high - ((1 - u) * (high - low) * (high - mode)).sqrt()
    return torch.where(u < (mode - low) / (high - low), rising, falling)
