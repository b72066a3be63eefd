"""Steps and masks on a CPU, by the kernels that there may be; plain PyTorch is the reference."""

import torch
from torch import Tensor

from nco.data.native import arguments, library, threads

Row = tuple[Tensor, Tensor]


def fits(*tensors: Tensor) -> bool:
    """Whether there are kernels where the tensors are, and for the way that they lie in memory."""
    plain = all(t.device.type == "cpu" and t.is_contiguous() and t.numel() for t in tensors)
    return plain and not torch.compiler.is_compiling() and library() is not None


def visit(visited: Tensor, count: Tensor, node: Tensor) -> Row:
    """``visited [B, R, N]`` with nodes ``[B, R]``, and how many are."""
    out, more = torch.empty_like(visited), torch.empty_like(count)
    _call("visit", visited, count, node, out, more, count.numel(), visited.shape[-1])
    return out, more


def routes_open(visited: Tensor, count: Tensor, current: Tensor) -> Tensor:
    """Where routes from one depot may go, see `DepotRoutes.feasible`."""
    out = torch.empty_like(visited)
    _call("routes_open", visited, count, current, out, count.numel(), visited.shape[-1])
    return out


def fits_room(load: Tensor, capacity: Tensor, demand: Tensor) -> Tensor:
    """
    Which demands ``[B, N]`` fit beside loads ``[B, R]`` into capacities ``[B]``.

    All are whole numbers that single precision holds; the demands are in it.
    """
    (batch, rollouts), nodes = load.shape, demand.shape[-1]
    out = torch.empty(batch, rollouts, nodes, dtype=torch.bool)
    _call("fits_room", load, capacity, demand, out, batch, rollouts, nodes)
    return out


def loaded(load: Tensor, demand: Tensor, node: Tensor, depots: int) -> Tensor:
    """Loads ``[B, R]`` after moves to nodes; a depot node empties the vehicle."""
    (batch, rollouts), nodes = load.shape, demand.shape[-1]
    out = torch.empty_like(load)
    _call("loaded", load, demand, node, out, batch, rollouts, nodes, depots)
    return out


def in_time(time: Tensor, current: Tensor, first: Tensor, travel: Tensor, last: Tensor) -> Tensor:
    """Nodes that are reached by their last moment, see `TimeWindows.feasible`."""
    (batch, rollouts), (_, depots, nodes) = time.shape, last.shape
    out = torch.empty(batch, rollouts, nodes, dtype=torch.bool)
    _call("in_time", time, current, first, travel, last, out, batch, rollouts, nodes, depots)
    return out


def ready(
    time: Tensor, current: Tensor, node: Tensor, travel: Tensor, opening: Tensor,
    service: Tensor | None, depots: int,
) -> Tensor:  # fmt: skip
    """When vehicles ``[B, R]`` are ready to leave the nodes that they go to, see `Clock`."""
    (batch, rollouts), nodes = time.shape, opening.shape[-1]
    out = torch.empty_like(time)
    _call(
        "ready", time, current, node, travel, opening, service, out, batch, rollouts, nodes, depots
    )
    return out


def _call(name: str, *values: Tensor | float | None) -> None:
    """
    One kernel of step.cpp.

    Raises
    ------
    IndexError
        A node is none of the instance.
    """
    found = library()
    assert found is not None  # callers have asked
    work = max(t.numel() for t in values if isinstance(t, Tensor))
    run = getattr(found, name)
    if unknown := run(*arguments(*values), threads(work // 4)):
        raise IndexError(f"{name}: {unknown} moves to nodes that there are not")
