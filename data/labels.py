"""
Solved instances to learn from: ragged arrays, instance after instance, in ``.npz`` files.

Every file has ``xy [sum(nodes), 2]`` (integers; the grid is 0..1000 when there are demands, else
0..65535), ``nodes`` per instance (depot included) and ``cost``. Routing labels add ``demand``,
``capacity`` and ``tour`` with ``tour_len``: a giant tour with 0 between the routes and at both
ends. Tour labels have ``tour``: a permutation per instance.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tensordict import TensorDict
from torch import Tensor

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
        arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        self._xy = torch.from_numpy(arrays["xy"].astype(np.float32))
        self._xy /= 1000 if self._routing else 65535
        self._tour = torch.from_numpy(arrays["tour"].astype(np.int64))
        self._nodes = torch.from_numpy(arrays["nodes"].astype(np.int64))
        lengths = arrays["tour_len" if self._routing else "nodes"].astype(np.int64)
        self._length = torch.from_numpy(lengths)
        self._node_start = self._nodes.cumsum(0) - self._nodes
        self._tour_start = self._length.cumsum(0) - self._length
        if self._routing:
            self._demand = torch.from_numpy(arrays["demand"].astype(np.int64))
            self._capacity = torch.from_numpy(arrays["capacity"].astype(np.int64))
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


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file, expected an archive of labels") from None
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path}: no readable .npz archive ({error})") from None
    wanted = ["xy", "nodes", "tour"]
    wanted += ["capacity", "tour_len"] if "demand" in arrays else []
    for key in wanted:
        if key not in arrays:
            raise InputError(f"{path}: array {key} is missing")
    return arrays
