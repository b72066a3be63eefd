"""
Solved instances to learn from: ragged arrays, instance after instance, in ``.npz`` files.

Every file has ``xy [sum(nodes), 2]`` (integers; the grid is 0..1000 when there are demands, else
0..65535) and ``nodes`` per instance (depot included). Routing labels add ``demand``,
``capacity`` and ``tour`` with ``tour_len``: a giant tour with 0 between the routes and at both
ends. Tour labels have ``tour``: a permutation per instance.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.archive import read_archive
from nco.data.errors import InputError
from nco.data.instance import make_instance


class Labels:
    """
    Solved instances, looked up by size so that batches need no padding of nodes.

    Parameters
    ----------
    paths
        Files of one problem.

    Raises
    ------
    InputError
        A file is missing, is no such archive, or lacks an array.
    """

    def __init__(self, paths: Sequence[Path]):
        parts = [_load(Path(path)) for path in paths]
        if not parts:
            raise InputError("no label files, expected at least one")
        self._routing = "demand" in parts[0]
        for path, part in zip(paths, parts, strict=True):
            if ("demand" in part) != self._routing:
                raise InputError(f"{path}: labels of another problem than {paths[0]}")
        arrays = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        self._xy = arrays["xy"].float() / (1000 if self._routing else 65535)
        self._tour = arrays["tour"].long()
        self._nodes = arrays["nodes"].long()
        self._length = arrays["tour_len" if self._routing else "nodes"].long()
        self._node_start = self._nodes.cumsum(0) - self._nodes
        self._tour_start = self._length.cumsum(0) - self._length
        if self._routing:
            self._demand = arrays["demand"].long()
            self._capacity = arrays["capacity"].long()
        self._by_size = {
            int(n): (self._nodes == n).nonzero().squeeze(-1) for n in self._nodes.unique()
        }

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def sizes(self) -> list[int]:
        """Numbers of nodes (depot included) that occur."""
        return list(self._by_size)

    def count(self, nodes: int) -> int:
        """Instances with this number of nodes."""
        return len(self._by_size[nodes])

    def select(self, nodes: int, index: Tensor) -> tuple[TensorDict, Tensor]:
        """
        Instances of one size with their solutions.

        Parameters
        ----------
        nodes
            One of `sizes`.
        index
            ``[B]``, each below `count`.

        Returns
        -------
        tuple
            The instances in the unit square and their actions ``[B, T]``, padded with 0.
        """
        which = self._by_size[nodes][index]
        rows = self._node_start[which].unsqueeze(-1) + torch.arange(nodes)
        fields = {"locs": self._xy[rows]}
        if self._routing:
            fields |= {"demand": self._demand[rows], "capacity": self._capacity[which]}
        # The depot at the front of a giant tour is where the vehicle stands, not an action.
        skip = int(self._routing)
        length = self._length[which] - skip
        steps = torch.arange(int(length.max()))
        inside = steps < length.unsqueeze(-1)
        place = self._tour_start[which].unsqueeze(-1) + skip + steps
        return make_instance(**fields), torch.where(inside, self._tour[place * inside], 0)


def _load(path: Path) -> dict[str, Tensor]:
    arrays = read_archive(path).tensors
    wanted = ["xy", "nodes", "tour"]
    wanted += ["capacity", "tour_len"] if "demand" in arrays else []
    for name in wanted:
        if name not in arrays:
            raise InputError(f"{path}: array {name} is missing")
    nodes = arrays["nodes"]
    length = arrays["tour_len" if "demand" in arrays else "nodes"]
    total = int(nodes.sum()) if nodes.ndim == 1 else -1
    shapes = {
        "xy": [total, 2],
        "demand": [total],
        "capacity": [len(nodes)],
        "tour_len": [len(nodes)],
        "tour": [int(length.sum())],
        "nodes": [len(nodes)],
    }
    for name, shape in shapes.items():
        if name in arrays and list(arrays[name].shape) != shape:
            found = list(arrays[name].shape)
            raise InputError(f"{path}: array {name} of shape {found}, expected {shape}")
        if name in arrays and arrays[name].is_floating_point():
            raise InputError(f"{path}: array {name} of {arrays[name].dtype}, expected integers")
    used = {name: arrays[name] for name in shapes if name in arrays}
    _check_tours(path, used, nodes.long(), length.long())
    return used


def _check_tours(path: Path, arrays: dict[str, Tensor], nodes: Tensor, length: Tensor) -> None:
    """Every customer (without demands: every node) of every instance once on its tour."""
    tour = arrays["tour"].long()
    depots = int("demand" in arrays)
    outside = (nodes < 1).any() or (length < depots).any()
    owner = torch.arange(len(nodes)).repeat_interleave(length.clamp_min(0))
    outside |= ((tour < 0) | (tour >= nodes[owner])).any()
    if not outside:
        start = nodes.cumsum(0) - nodes
        counts = torch.bincount(start[owner] + tour, minlength=int(nodes.sum()))
        if depots:
            counts[start] = 1  # a tour may pass the depot any number of times
        outside |= (counts != 1).any()
    if outside:
        raise InputError(f"{path}: array tour, expected every node of every instance once")
