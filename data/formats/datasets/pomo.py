"""
``.pt`` data sets of POMO and its successors (Kwon et al. 2020): tensors saved by PyTorch.

TSP: a tensor ``[B, N, 2]``, or a dictionary with it as ``problems``. CVRP: a dictionary of
``depot_xy [B, 1, 2]``, ``node_xy [B, n, 2]`` and ``node_demand [B, n]``, the demands as shares of a
vehicle; they are read as the whole numbers that they were, see `whole_demands`. The file is read as
data: nothing in it is run.
"""

from pathlib import Path

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.errors import InputError
from nco.data.instance import from_tensors
from nco.data.limits import require_size

DEPOT, NODES, DEMAND = "depot_xy", "node_xy", "node_demand"
MAX_CAPACITY = 1000
NEAR = 1e-3  # of a whole number, in units of the load: shares are of single precision


def read_pomo(path: Path) -> tuple[str, TensorDict, None]:
    """
    The problem and the instances ``[B]``, coordinates in double precision; there are no costs.

    Raises
    ------
    InputError
        The file is missing or no such data set.
    """
    try:
        require_size(path.stat().st_size, path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected a data set") from None
    except InputError:
        raise
    except Exception as error:  # torch reports foreign files by whatever its readers raise
        reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise InputError(f"{path}: {reason}, expected tensors of a data set") from None
    try:
        return _read(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _read(content: object) -> tuple[str, TensorDict, None]:
    if isinstance(content, dict) and DEPOT in content:
        locs = torch.cat([_tensor(content, DEPOT, 3), _tensor(content, NODES, 3)], 1)
        demand, capacity = whole_demands(_tensor(content, DEMAND, 2))
        if demand.shape != (len(locs), locs.shape[1] - 1):
            raise InputError(f"{DEMAND}: shape {list(demand.shape)}, expected one of each customer")
        fields = {
            "locs": locs,
            "demand": torch.nn.functional.pad(demand, (1, 0)),
            "capacity": torch.full((len(locs),), capacity),
        }
        return "cvrp", from_tensors(**fields), None
    problems = {"problems": content} if isinstance(content, Tensor) else content
    if not isinstance(problems, dict) or "problems" not in problems:
        raise InputError(f"expected a tensor [B, N, 2], or {DEPOT}, {NODES} and {DEMAND}")
    return "tsp", from_tensors(locs=_tensor(problems, "problems", 3)), None


def whole_demands(shares: Tensor) -> tuple[Tensor, int]:
    """
    Demands as whole numbers, and the capacity of a vehicle in the same unit.

    Parameters
    ----------
    shares
        ``[B, n]`` of a vehicle. The capacity is the least that makes all of them whole: where it is
        less than what they were divided by, demands and capacity are less by the same factor.

    Raises
    ------
    InputError
        No capacity up to 1,000 does.
    """
    for capacity in range(1, MAX_CAPACITY + 1):
        load = shares * capacity
        whole = load.round()
        if bool(((load - whole).abs() < NEAR).all()):
            return whole.long(), capacity
    raise InputError(f"{DEMAND}: no whole numbers, expected multiples of a share of a vehicle")


def _tensor(content: dict[object, object], key: str, dimensions: int) -> Tensor:
    value = content.get(key)
    if not isinstance(value, Tensor) or value.ndim != dimensions or not len(value):
        found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"{key}: {found}, expected a tensor of {dimensions} dimensions")
    if dimensions == 3 and value.shape[-1] != 2:
        raise InputError(f"{key}: shape {list(value.shape)}, expected pairs of coordinates")
    if not bool(value.isfinite().all()):
        raise InputError(f"{key}: values that are not finite, expected numbers")
    return value.double()
