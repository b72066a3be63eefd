"""Depot and customer positions of the X instances (Uchoa et al. 2017, sections 3.1 and 3.2)."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from nco.data.errors import InputError
from nco.data.generators.base import integers, uniform
from nco.data.generators.locations import LocationSampler

Depot = Literal["random", "center", "corner"]
Customers = Literal["random", "clustered", "random-clustered"]
DEPOTS: tuple[Depot, ...] = get_args(Depot)
CUSTOMERS: tuple[Customers, ...] = get_args(Customers)

GRID = 1000  # coordinates are integers 0..GRID, which float32 holds exactly
CENTRE = GRID // 2
MAX_NODES = GRID * GRID // 25  # so that clusters still have room
SEEDS = (3, 8)  # of clusters; they are customers too
DECAY = 40.0


class XLocations(LocationSampler):
    """
    Distinct points of the integer grid 0..1000, node 0 the depot.

    The depot is in the centre (500, 500), in the corner (0, 0) or anywhere. Customers are
    uniform; or clustered around 3 to 8 seeds, themselves customers at random places, a point p
    being chosen in proportion to the sum over the seeds of exp(-d(p, s) / 40); or half and half.

    Parameters
    ----------
    depot
        Its position, drawn for each instance by default.
    customers
        Their positions, drawn for each instance by default.

    Raises
    ------
    InputError
        An option is unknown; when called, there are more nodes than a grid can sensibly hold.
    """

    def __init__(self, depot: Depot | None = None, customers: Customers | None = None):
        if depot is not None and depot not in DEPOTS:
            raise InputError(f"depot: {depot!r}, expected one of {', '.join(DEPOTS)}")
        if customers is not None and customers not in CUSTOMERS:
            raise InputError(f"customers: {customers!r}, expected one of {', '.join(CUSTOMERS)}")
        self.depot = depot
        self.customers = customers

    def __call__(self, batch_size: int, num_nodes: int, rng: torch.Generator) -> Tensor:
        if num_nodes > MAX_NODES:
            raise InputError(f"size: {num_nodes - 1}, expected at most {MAX_NODES - 1} on the grid")
        shape = (batch_size, 1)
        size = num_nodes - 1
        customers = _choose(CUSTOMERS, self.customers, shape, rng)
        scattered = torch.tensor([size, 0, size // 2], device=rng.device)[customers]
        seeds = integers(*SEEDS, shape, rng).clamp_max(max(size, 1))
        # Nodes in order: depot, seeds, scattered customers, clustered customers.
        rank = torch.arange(num_nodes, device=rng.device).expand(batch_size, -1)
        clustered = rank > seeds + scattered

        def anywhere(rows: Tensor) -> Tensor:
            return integers(0, GRID, (len(rows), 2), rng)

        def near_a_seed(rows: Tensor) -> Tensor:
            pick = 1 + (uniform(0, 1, (len(rows),), rng) * seeds[rows, 0]).long()
            # exp(-d / 40) in the plane: the distance has density d exp(-d / 40), a gamma
            # distribution, so a sum of two exponential ones.
            distance = -DECAY * (1 - uniform(0, 1, (len(rows), 2), rng)).log().sum(-1)
            angle = uniform(0, 2 * torch.pi, (len(rows),), rng)
            offset = distance.unsqueeze(-1) * torch.stack([angle.cos(), angle.sin()], -1)
            return (grid[rows, pick] + offset).round().long()

        grid = torch.full((batch_size, num_nodes, 2), -1, device=rng.device)
        depot = _choose(DEPOTS, self.depot, shape, rng).squeeze(-1)
        corner = torch.tensor([-1, CENTRE, 0], device=rng.device)[depot].unsqueeze(-1)
        grid[:, 0] = torch.where(corner < 0, integers(0, GRID, (batch_size, 2), rng), corner)
        _place(grid, (rank > 0) & ~clustered, anywhere)
        _place(grid, clustered, near_a_seed)
        return grid.float()


def _choose(
    options: tuple[str, ...], option: str | None, shape: tuple[int, ...], rng: torch.Generator
) -> Tensor:
    if option is None:
        return integers(0, len(options) - 1, shape, rng)
    return torch.full(shape, options.index(option), device=rng.device)


def _place(grid: Tensor, wanted: Tensor, propose: Callable[[Tensor], Tensor]) -> None:
    """
    Draws the ``wanted [B, N]`` points of ``grid [B, N, 2]`` anew until all points are distinct.

    Points outside the grid are drawn again too, seed and all, which leaves the density inside
    it in proportion. Of equal points the one that was there first stays. Points at -1 are not
    placed yet.
    """
    rank = torch.arange(grid.shape[1], device=grid.device)
    while wanted.any():
        rows, nodes = wanted.nonzero(as_tuple=True)
        grid[rows, nodes] = propose(rows)
        outside = ((grid < 0) | (grid > GRID)).any(-1)
        key = torch.where(outside, -1 - rank, grid[..., 0] * (GRID + 1) + grid[..., 1])
        order = (2 * key + wanted).argsort(dim=-1, stable=True)
        ascending = key.gather(1, order)
        repeated = torch.zeros_like(wanted)
        repeated[:, 1:] = ascending[:, 1:] == ascending[:, :-1]
        wanted = wanted & (outside | torch.zeros_like(wanted).scatter(1, order, repeated))
