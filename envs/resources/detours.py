"""
Ways home over other customers, where they may be shorter than the direct leg.

Rounded distances and matrices from outside need not obey the triangle inequality. A mask that
tests the direct way home would then forbid solutions, some of them optimal. So it tests the
shortest way over any customers, a bound that holds always; whether those customers are still
unvisited it cannot tell, so a rollout may come to where no way home is left: see `RoutingEnv.mask`.
"""

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots, num_nodes
from nco.data.metric import Metric
from nco.envs.resources.travel import Kind, column, row
from nco.envs.state import State

ROUNDING = 1e-12  # relative: what the order of a sum may change it by
CHECK_EVERY = 8  # passes between looks at whether anything changes, each of which waits for a GPU
AT_ONCE = 2**24  # legs


def may_be_shorter(instance: TensorDict, kind: Kind) -> bool:
    """Whether a detour can be shorter than the direct leg, as far as the attributes tell."""
    return kind == "time" or "distance" in instance.keys() or "metric" in instance.keys()


def shortest_home(
    instance: TensorDict, tables: dict[str, Tensor], kind: Kind, service: Tensor | None
) -> tuple[Tensor, Tensor] | None:
    """
    The shortest ways from all nodes to every depot node over any customers, ``[B, V, N]``, and
    for which instances ``[B]`` some are shorter than the direct ones.

    Where the direct way is the shortest, its leg to the last bit; others are a little shorter, so
    that no order in which a route is summed up makes it shorter still. None where no way of any
    instance is shorter than the direct one. All in legs of the vehicle's: before `Clock` divides
    by its speed.

    Parameters
    ----------
    instance, tables
        The instances, and the tables of `nco.envs.resources.travel`.
    kind
        What the legs cost.
    service
        What a stop on the way costs, ``[B, N]``, where legs are divided by the speed of the vehicle
        first; None where neither counts.
    """
    depots, nodes = num_depots(instance), num_nodes(instance)
    batch = instance.batch_size[0]
    state = _blank(instance, tables)
    every = torch.arange(nodes, device=state.current.device).expand(batch, -1)
    chunk = max(1, AT_ONCE // (batch * nodes))
    stop = torch.zeros_like(every[:, depots:], dtype=torch.double)
    if service is not None:
        stop = service[:, depots:].double()

    def onward(home: Tensor, speed: Tensor) -> Tensor:
        """The shortest ways ``[B, N]`` of one customer more."""
        rest = (home[:, depots:] + stop).unsqueeze(1)
        parts = [
            (row(state, kind, origins)[..., depots:] / speed + rest).amin(-1)
            for origins in every.split(chunk, 1)
        ]
        return torch.cat(parts, 1)

    rounded = torch.ones(batch, 1, dtype=torch.bool, device=every.device)
    if "distance" not in instance.keys() and kind == "length":
        metric = instance["metric"].unsqueeze(-1)
        rounded = (metric != Metric.EUCLIDEAN) & (metric != Metric.GREAT_CIRCLE)
    found, any_shorter = [], torch.zeros_like(rounded)
    for depot in range(depots):
        speed = torch.ones(batch, 1, 1, dtype=torch.double, device=every.device)
        if service is not None and "speed" in instance.keys():
            speed = instance["speed"][:, depot].double()[:, None, None]
        leg = column(state, kind, torch.full_like(every[:, :1], depot)).squeeze(1)
        straight = (leg / speed.squeeze(-1)).nan_to_num(nan=torch.inf, posinf=torch.inf)
        home = straight
        for number in range(nodes - depots):
            further = onward(home, speed)
            shorter = (further < home) & rounded
            look = number % CHECK_EVERY == 0 or home.device.type == "cpu"
            if look and not bool(shorter.any()):
                break
            home = torch.where(shorter, further, home)
        slack = ROUNDING * _size(instance, home, stop)
        detour = home < straight
        found.append(torch.where(detour, (home - slack) * speed.squeeze(-1), leg))
        any_shorter = any_shorter | detour.any(-1, keepdim=True)
    return (torch.stack(found, 1), any_shorter.squeeze(-1)) if bool(any_shorter.any()) else None


def shortest_reach(ways: Tensor, depots: int) -> Tensor:
    """Nodes from which some way over customers leads to each depot node, ``[B, V, N]`` bool."""
    home = ways[..., :depots].mT
    onward = ways[..., depots:].float().mT
    for number in range(ways.shape[-1] - depots):
        further = home | (home[..., depots:].float() @ onward > 0)
        look = number % CHECK_EVERY == 0 or home.device.type == "cpu"
        if look and bool((further == home).all()):
            break
        home = further
    return home


def _size(instance: TensorDict, home: Tensor, stop: Tensor) -> Tensor:
    """How large sums along a route become, ``[B, 1]``: what their rounding is relative to."""
    finite = torch.where(home.isfinite(), home, 0)
    most = stop.amax(-1, keepdim=True) if stop.shape[-1] else 0
    size = home.shape[-1] * (finite.amax(-1, keepdim=True) + most)
    if "time_windows" in instance.keys():
        windows = instance["time_windows"].double().flatten(1)
        size = size + torch.where(windows.isfinite(), windows, 0).amax(-1, keepdim=True)
    return size


def _blank(instance: TensorDict, tables: dict[str, Tensor]) -> State:
    """A state of no rollout, to look up legs."""
    node = torch.zeros(
        instance.batch_size[0], 1, dtype=torch.long, device=next(iter(instance.values())).device
    )
    return State(instance, node, node, node.unsqueeze(-1).bool(), {}, tables)
