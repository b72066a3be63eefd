"""
Solved instances to learn from: ragged arrays, instance after instance, in ``.npz`` files.

Every file has ``nodes`` per instance (depots included), ``tour`` and, but for closed tours without
depot, ``tour_len``. There are three kinds:

- tours: ``xy [sum(nodes), 2]``, integers on the grid 0..65535, and a permutation per instance;
- routes with demands only: ``xy``, integers on the grid 0..1000, ``demand`` and ``capacity``;
- routes with any rules: coordinates ``locs [sum(nodes), 2]`` and further attributes of the schema
  by their names: one row a node, one row a depot node, or one an instance. ``depots`` is the
  number of depot nodes per instance (1 if absent).

Routes are a giant tour with 0 between the routes and at both ends; with several depot nodes, it has
the depot node of the next route there, and that of the last one at its end.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.archive import read_archive
from nco.data.errors import InputError
from nco.data.instance import SCHEMA, from_tensors

GRIDS = {True: 1000, False: 65535}  # by whether there are demands
PLACES = {"nodes", "depots", "tour", "tour_len"}
DEPOT, NODE = "V", "N"  # dimensions of the schema that are ragged here


class Labels:
    """
    Solved instances, looked up by size so that batches need no padding of nodes.

    What only some files state has its neutral value in the instances of the others.

    Parameters
    ----------
    paths
        Files of one problem.
    attributes
        What every instance is to have, if only by a neutral value.

    Raises
    ------
    InputError
        A file is missing, is no such archive, or lacks an array.
    """

    def __init__(self, paths: Sequence[Path], attributes: Sequence[str] = ()):
        loaded = [_load(Path(path)) for path in paths]
        if not loaded:
            raise InputError("no label files, expected at least one")
        self._routing = loaded[0][0]
        for path, (routing, _) in zip(paths, loaded, strict=True):
            if routing != self._routing:
                raise InputError(f"{path}: labels of another problem than {paths[0]}")
        parts = [part for _, part in loaded]
        stated = {name for part in parts for name in part} - PLACES
        names = [name for name in SCHEMA if name in (stated | set(attributes)) - PLACES]
        filled = [_complete(path, part, names) for path, part in zip(paths, parts, strict=True)]
        self._fields = {name: torch.cat([part[name] for part in filled]) for name in names}
        places = {name: torch.cat([part[name] for part in filled]) for name in PLACES}
        self._tour, self._length = places["tour"], places["tour_len"]
        self._nodes, self._depots = places["nodes"], places["depots"]
        self._node_start = self._nodes.cumsum(0) - self._nodes
        self._depot_start = self._depots.cumsum(0) - self._depots
        self._tour_start = self._length.cumsum(0) - self._length
        pairs = torch.stack([self._nodes, self._depots], -1)
        self._by_size = {
            (int(n), int(v)): (pairs == torch.stack([n, v])).all(-1).nonzero().squeeze(-1)
            for n, v in pairs.unique(dim=0)
        }

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Numbers of nodes (depots included) and of depot nodes that occur."""
        return list(self._by_size)

    @property
    def sizes(self) -> list[int]:
        """Numbers of nodes (depot included) that occur with one depot or none."""
        return [nodes for nodes, depots in self._by_size if depots == 1]

    def count(self, nodes: int, depots: int = 1) -> int:
        """Instances with these numbers of nodes and of depot nodes."""
        return len(self._by_size[nodes, depots])

    def select(self, nodes: int, index: Tensor, depots: int = 1) -> tuple[TensorDict, Tensor]:
        """
        Instances of one size with their solutions.

        Parameters
        ----------
        nodes, depots
            One of `shapes`.
        index
            ``[B]``, each below `count`.

        Returns
        -------
        tuple
            The instances and their actions ``[B, T]``, padded with their last node.
        """
        which = self._by_size[nodes, depots][index]
        rows = {
            NODE: self._node_start[which].unsqueeze(-1) + torch.arange(nodes),
            DEPOT: self._depot_start[which].unsqueeze(-1) + torch.arange(depots),
        }
        fields = {}
        for name, values in self._fields.items():
            fields[name] = values[rows.get(_raggedness(name), which)]
        if depots > 1:
            fields["depots"] = torch.arange(depots).expand(len(which), -1).clone()
        # The depot at the front of a giant tour is where the vehicle stands, not an action.
        skip = int(self._routing and depots == 1)
        length = self._length[which].unsqueeze(-1) - skip
        steps = torch.arange(int(length.max())).minimum(length - 1)
        tour = self._tour[self._tour_start[which].unsqueeze(-1) + skip + steps.clamp_min(0)]
        return from_tensors(**fields), torch.where(length > 0, tour, 0)


def _raggedness(name: str) -> str:
    """The dimension of an attribute that differs from instance to instance, or nothing."""
    return SCHEMA[name].shape[0] if SCHEMA[name].shape else ""


def _complete(path: Path, part: dict[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """With neutral values for the attributes that are missing."""
    rows = {NODE: int(part["nodes"].sum()), DEPOT: int(part["depots"].sum())}
    found = dict(part)
    for name in names:
        if name not in part:
            field = SCHEMA[name]
            if field.neutral is None:
                raise InputError(f"{path}: array {name} is missing")
            value = torch.as_tensor(field.neutral)
            count = rows.get(_raggedness(name), len(part["nodes"]))
            kind = torch.long if field.integer else torch.float32
            found[name] = value.to(kind).expand(count, *value.shape).clone()
    return found


def _load(path: Path) -> tuple[bool, dict[str, Tensor]]:
    """Whether the labels are routes, and all arrays, with ``depots`` and ``tour_len``."""
    arrays = read_archive(path).tensors
    free = "locs" in arrays
    routing = free or "demand" in arrays
    wanted = ["nodes", "tour", *(() if free else ("xy",)), *(("tour_len",) if routing else ())]
    wanted += ["demand", "capacity"] if routing and not free else []
    for name in wanted:
        if name not in arrays:
            raise InputError(f"{path}: array {name} is missing")
    used = {name: arrays[name] for name in wanted}
    if free:
        used |= {name: value for name, value in arrays.items() if name in SCHEMA}
    used.setdefault("tour_len", used["nodes"])  # of a permutation
    used["depots"] = arrays["depots"] if free and "depots" in arrays else used["nodes"] * 0 + 1
    _check_shapes(path, used)
    places = {name: used[name].long() for name in PLACES}
    _check_tours(path, places, routing)
    found = {name: _typed(name, used[name]) for name in used if name in SCHEMA.keys() - PLACES}
    if not free:
        found["locs"] = used["xy"].float() / GRIDS[routing]
    return routing, found | places


def _typed(name: str, value: Tensor) -> Tensor:
    return value.long() if SCHEMA[name].integer else value.float()


def _check_shapes(path: Path, arrays: dict[str, Tensor]) -> None:
    """Every array as long as the others say, and of the right kind of numbers."""
    count = len(arrays["nodes"])
    totals = {
        name: int(arrays[name].sum()) if arrays[name].ndim == 1 else -1
        for name in ("nodes", "depots", "tour_len")
    }
    rows = {NODE: totals["nodes"], DEPOT: totals["depots"]}
    expected = {"nodes": [count], "depots": [count], "tour_len": [count]}
    expected |= {"xy": [totals["nodes"], 2], "tour": [totals["tour_len"]]}
    for name, value in arrays.items():
        field = SCHEMA.get(name)
        if field is not None and name not in PLACES:
            pairs = [2] * (field.shape[-1:] == ("2",))
            expected[name] = [rows.get(_raggedness(name), count), *pairs]
        if list(value.shape) != expected[name]:
            found = list(value.shape)
            raise InputError(f"{path}: array {name} of shape {found}, expected {expected[name]}")
        whole = field is None or field.integer
        if whole and value.is_floating_point():
            raise InputError(f"{path}: array {name} of {value.dtype}, expected integers")


def _check_tours(path: Path, places: dict[str, Tensor], routing: bool) -> None:
    """Every customer (without depots: every node) of every instance once on its tour."""
    nodes, length, tour = places["nodes"], places["tour_len"], places["tour"]
    depots = places["depots"] * int(routing)
    outside = bool(
        (nodes < 1).any() or (depots < int(routing)).any() or (length < depots.clamp_max(1)).any()
    )
    owner = torch.arange(len(nodes)).repeat_interleave(length.clamp_min(0))
    outside = outside or bool(((tour < 0) | (tour >= nodes[owner])).any())
    if not outside:
        customer = tour >= depots[owner]
        start = nodes.cumsum(0) - nodes
        counts = torch.bincount((start[owner] + tour)[customer], minlength=int(nodes.sum()))
        whose = torch.arange(len(nodes)).repeat_interleave(nodes)
        once = (
            torch.arange(len(whose)) - start[whose] >= depots[whose]
        )  # depots any number of times
        outside = bool((counts != once.long()).any())
    if outside:
        raise InputError(f"{path}: array tour, expected every node of every instance once")
