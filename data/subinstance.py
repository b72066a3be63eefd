"""Parts of instances as instances of their own."""

import torch
from tensordict import TensorDict
from torch import Tensor

from nco.data.instance import SCHEMA, attributes_where


def excerpt(instance: TensorDict, rows: Tensor, nodes: Tensor) -> TensorDict:
    """
    Some nodes of some instances.

    Parameters
    ----------
    instance
        Instances ``[B]``.
    rows
        The instance of each part, ``[S]``.
    nodes
        Its nodes, ``[S, L]``; all depot nodes in their order, then customers. Instances without
        depot have none to keep.

    Returns
    -------
    TensorDict
        Instances ``[S]`` with L nodes and the same attributes, but for those that speak of the
        whole (see `Field.whole`).
    """
    return selected(instance, rows, nodes).exclude(*attributes_where(lambda field: field.whole))


def selected(instance: TensorDict, rows: Tensor, nodes: Tensor) -> TensorDict:
    """As `excerpt`, with all attributes: those whose values are nodes still name the old ones."""
    fields: dict[str, Tensor] = {}
    at = rows.unsqueeze(-1)
    for name in map(str, instance.keys()):
        value: Tensor = instance[name]
        shape = SCHEMA[name].shape
        if shape == ("N", "N"):
            fields[name] = value[at.unsqueeze(-1), nodes.unsqueeze(-1), nodes.unsqueeze(-2)]
        elif shape[:1] == ("N",):
            fields[name] = value[at, nodes]
        elif shape[-1:] == ("N",):
            fields[name] = value[rows].gather(-1, nodes.unsqueeze(1).expand(-1, value.shape[1], -1))
        else:
            fields[name] = value[rows]
    return TensorDict(fields, batch_size=[len(rows)])


def in_double(instance: TensorDict) -> TensorDict:
    """Instances whose measures are in double precision, so that costs compare exactly."""
    fields = {
        name: value.double() if value.is_floating_point() else value
        for name, value in instance.items()
    }
    return TensorDict(fields, batch_size=instance.batch_size)


def zoomed(coords: Tensor) -> Tensor:
    """
    Coordinates ``[S, L, 2]``, each instance scaled to the unit square, also if it lies in it.

    `nco.envs.normalisation.unit_square` leaves such instances alone; a part of one would then be
    seen in a corner of the square, smaller than anything in training.
    """
    low = coords.amin(1, keepdim=True)
    span = (coords.amax(1, keepdim=True) - low).amax(-1, keepdim=True)
    return ((coords - low) / torch.where(span > 0, span, 1)).float()
