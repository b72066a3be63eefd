"""Coordinates as a policy sees them: in the unit square, whatever the unit of the instance."""

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import num_depots
from nco.data.metric import Metric, legs_from, pairwise


def unit_square(locs: Tensor) -> Tensor:
    """
    Shifts and scales each instance ``[B, N, 2]`` into the unit square, x and y by the same factor.

    Instances that lie in it already stay as they are, so that policies trained on raw uniform
    coordinates (and published weights) see what they were trained on.
    """
    low, span, inside = _frame(locs)
    return torch.where(inside, locs, (locs - low) / span).float()


def _frame(locs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lower corner ``[B, 1, 2]``, longer side and "inside the unit square" ``[B, 1, 1]``."""
    low = locs.amin(1, keepdim=True)
    high = locs.amax(1, keepdim=True)
    span = (high - low).amax(-1, keepdim=True)
    span = torch.where(span > 0, span, 1)  # all nodes at one place
    return low, span, ((low >= 0) & (high <= 1)).all(-1, keepdim=True)


def embed_distances(distance: Tensor) -> Tensor:
    """
    Coordinates ``[B, N, 2]`` that reproduce given distances ``[B, N, N]`` as well as the plane can.

    Classical multidimensional scaling (Torgerson 1952) of the symmetric part: it lets a policy
    that reads coordinates solve an instance that has none. Where there is no way, nodes are as far
    apart as any others.
    """
    longest = torch.where(distance.isfinite(), distance, 0).amax((1, 2), keepdim=True)
    distance = torch.where(distance.isfinite(), distance, longest)
    squared = ((distance + distance.mT) / 2).double() ** 2
    centred = squared - squared.mean(1, keepdim=True)
    centred = -0.5 * (centred - centred.mean(2, keepdim=True))
    values, vectors = torch.linalg.eigh(centred)
    plane = vectors[..., -2:] * values[..., None, -2:].clamp_min(0).sqrt()
    return torch.nn.functional.pad(plane, (2 - plane.shape[-1], 0))  # a single node has one axis


def coordinates(instance: TensorDict) -> Tensor:
    """
    Normalised coordinates ``[B, N, 2]``: the instance's own, or embedded ones where it has none.

    The key ``view`` holds coordinates that an augmentation has already transformed.
    """
    if "view" in instance.keys():
        return instance["view"]
    if "locs" in instance.keys():
        return unit_square(instance["locs"])
    return unit_square(embed_distances(instance["distance"]))


def length_unit(instance: TensorDict) -> Tensor:
    """
    The length ``[B]`` that policies see as one, so that lengths fit the coordinates they see.

    The factor of `unit_square` where distances are plain ones of the coordinates; elsewhere the
    ratio of distances to those of `coordinates`: of a matrix all of them, of degrees those from
    node 0.
    """
    if "distance" in instance.keys():
        return _ratio(instance["distance"], coordinates(instance))
    _, span, inside = _frame(instance["locs"])
    plane = torch.where(inside, 1, span).flatten()
    if "metric" not in instance.keys():
        return plane
    kind = instance["metric"]
    planar = (kind != Metric.GEO) & (kind != Metric.GREAT_CIRCLE)
    return torch.where(planar, plane, _seen_from_first(instance))


def distances(instance: TensorDict) -> Tensor | None:
    """
    Given distances ``[B, N, N]`` in the unit of `coordinates`; None where no matrix is given.

    Where there is no way, the distance is that of ten diagonals.
    """
    return lengths_seen(instance) if "distance" in instance.keys() else None


def lengths_seen(instance: TensorDict) -> Tensor:
    """All distances ``[B, N, N]`` in the unit of `coordinates`, given or of the metric."""
    return _seen(pairwise(instance), length_unit(instance))


def times_seen(instance: TensorDict) -> Tensor:
    """All travel times ``[B, N, N]`` in `time_unit`: the durations, or the distances."""
    if "duration" not in instance.keys():
        return lengths_seen(instance)
    return _seen(instance["duration"], time_unit(instance))


def _seen(ways: Tensor, unit: Tensor) -> Tensor:
    return (ways / unit.view(-1, 1, 1)).nan_to_num(posinf=10 * 2**0.5).float()


def time_unit(instance: TensorDict) -> Tensor:
    """The travel time ``[B]`` that policies see as one, so that times fit their coordinates."""
    if "duration" not in instance.keys():
        return length_unit(instance)
    fields = {name: instance[name] for name in ("locs", "view") if name in instance.keys()}
    durations = TensorDict({**fields, "distance": instance["duration"]}, len(instance))
    return _ratio(instance["duration"], coordinates(durations))


def limits(instance: TensorDict, name: str, unit: Tensor) -> Tensor:
    """A limit ``[B]`` or ``[B, V]`` in a unit ``[B]``: ``[B, V, 1]``, 0 where there is none."""
    value = instance[name] if instance[name].ndim == 2 else instance[name].unsqueeze(-1)
    value = value.expand(-1, num_depots(instance)) / unit.unsqueeze(-1)
    return value.nan_to_num(posinf=0).unsqueeze(-1).float()


def _seen_from_first(instance: TensorDict) -> Tensor:
    coords = coordinates(instance)
    origin = torch.zeros(len(coords), 1, dtype=torch.long, device=coords.device)
    real = legs_from(instance, origin)[:, 0, 1:].sum(-1)
    seen = (coords[:, 1:] - coords[:, :1]).norm(dim=-1).sum(-1)
    return torch.where((real > 0) & (seen > 0), real / seen, 1)


def _ratio(matrix: Tensor, coords: Tensor) -> Tensor:
    """Ratio ``[B]`` of the given ways ``[B, N, N]`` that there are to those of coordinates."""
    there = matrix.isfinite()
    plane = torch.cdist(coords, coords, compute_mode="donot_use_mm_for_euclid_dist")
    real = torch.where(there, matrix, 0).sum((1, 2), dtype=torch.double)
    seen = torch.where(there, plane, 0).sum((1, 2), dtype=torch.double)
    unit = torch.where((real > 0) & (seen > 0), real / seen, 1)
    return unit.to(matrix.dtype)
